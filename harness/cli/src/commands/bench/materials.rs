//! What an experiment works on: models found, tasks and methods loaded. Whatever can be wrong with the request is found here,
//! before anything is computed.

use std::collections::BTreeMap;

use anyhow::Result;
use harness_bench::experiment::{ExperimentSpec, FoundMethod, Materials, MethodSpec, NOISE_METHOD};
use harness_bench::unlearn::find_method;
use harness_host::{MethodPath, Need};
use harness_model::Model;
use harness_task::RequestOptions;

use super::Bench;
use super::utility::Utility;
use crate::exit::Refused;
use crate::locations::method_folders;
use crate::model_source::ModelSource;
use crate::options::{limit, worker};
use crate::progress::Terminal;

/// Stands for every method on the search path.
const ALL: &str = "all";
/// Methods that are no competitors: `all` leaves them out.
const BASELINES: [&str; 2] = [NOISE_METHOD, "no_op"];

impl Bench {
    pub(super) fn materials(
        &self,
        spec: &mut ExperimentSpec,
        terminal: &mut Terminal,
    ) -> Result<Materials> {
        let methods = self.find_methods(spec)?;
        for model in spec.models_mut() {
            *model = ModelSource::new(model).locate(terminal)?;
            Model::check(model)?;
        }
        let library = self.tasks_and_data.library()?;
        let source = self.tasks_and_data.source()?;
        let pairs = |task: &Option<String>, share: Option<f64>| match task {
            None => Ok(Vec::new()),
            Some(task) => self.tasks_and_data.answers(&library, task, limit(share)?),
        };
        let utility = Utility::load(&mut spec.utility, &library, &source)?;
        let materials = Materials {
            forget: pairs(&Some(spec.forget.clone()), spec.limits.forget)?,
            paraphrased: pairs(&spec.paraphrased, spec.limits.forget)?,
            holdout: pairs(&spec.holdout, spec.limits.holdout)?,
            retain: pairs(&spec.retain, spec.limits.retain)?,
            related: pairs(&spec.relearn.related, spec.limits.retain)?,
            unrelated: pairs(&spec.relearn.unrelated, spec.limits.retain)?,
            utility: utility.plain,
            measures: self.measures(spec, utility.composites, &library, &source)?,
            utility_options: RequestOptions {
                limit: limit(spec.limits.utility)?,
                ..RequestOptions::default()
            },
            methods,
            oracle_cost: None,
        };
        materials.check(spec)?;
        Ok(materials)
    }

    /// Looks every method up and asks it what it is; `all` becomes the methods there are.
    fn find_methods(&self, spec: &mut ExperimentSpec) -> Result<BTreeMap<String, FoundMethod>> {
        let path = MethodPath::new(method_folders(&self.method_path)?);
        if spec.methods.iter().any(|method| method.method == ALL) {
            let is_named = |id: &String| spec.methods.iter().any(|method| &method.method == id);
            let missing = competitors(&path)?.into_iter().filter(|id| !is_named(id));
            let missing: Vec<MethodSpec> = missing.map(|id| MethodSpec::of(&id)).collect();
            spec.methods.retain(|method| method.method != ALL);
            spec.methods.extend(missing);
        }
        let ids = spec.methods.iter().map(|method| method.method.clone());
        let ids = ids.chain((!spec.noise.is_empty()).then(|| NOISE_METHOD.to_owned()));
        let found = find_all(&path, ids)?;
        for method in &spec.methods {
            let description = &found[&method.method].1;
            description.parse_settings(&method.settings())?;
            let wants = [Need::Retain, Need::Normal, Need::Mismatch];
            if spec.retain.is_none() && wants.into_iter().any(|need| description.needs(need)) {
                let message = format!(
                    "method {} needs a retain set: `retain: TASK`, or --retain TASK",
                    method.method
                );
                return Err(Refused(message).into());
            }
        }
        Ok(found)
    }
}

/// Methods on the search path that are no baselines.
pub(in crate::commands) fn competitors(path: &MethodPath) -> Result<Vec<String>> {
    let known = path.list()?.into_keys();
    Ok(known
        .filter(|id| !BASELINES.contains(&id.as_str()))
        .collect())
}

/// Looks methods up and asks each what it is.
pub(in crate::commands) fn find_all(
    path: &MethodPath,
    ids: impl Iterator<Item = String>,
) -> Result<BTreeMap<String, FoundMethod>> {
    let worker = worker()?;
    ids.map(|id| {
        let found = find_method(&worker, path, &id)?;
        Ok((id, found))
    })
    .collect()
}
