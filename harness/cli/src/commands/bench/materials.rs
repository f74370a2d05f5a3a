//! What an experiment works on: models found, tasks and methods loaded. Whatever can be wrong with the request is found here,
//! before anything is computed.

use std::collections::BTreeMap;

use anyhow::Result;
use harness_bench::experiment::{ExperimentSpec, FoundMethod, Materials, MethodSpec, NOISE_METHOD};
use harness_bench::unlearn::find_method;
use harness_host::MethodPath;
use harness_model::Model;
use harness_task::{RequestOptions, Task};

use super::Bench;
use crate::locations::method_folders;
use crate::model_source::ModelSource;
use crate::options::{limit, worker};
use crate::progress::Terminal;

/// Stands for every method on the search path.
const ALL: &str = "all";

impl Bench {
    pub(super) fn materials(
        &self,
        spec: &mut ExperimentSpec,
        terminal: &mut Terminal,
    ) -> Result<Materials> {
        let methods = self.find_methods(spec)?;
        for model in [
            Some(&mut spec.model),
            spec.oracle.as_mut(),
            spec.oracle_twin.as_mut(),
        ] {
            if let Some(model) = model {
                *model = ModelSource::new(model).locate(terminal)?;
                Model::check(model)?;
            }
        }
        let library = self.tasks_and_data.library()?;
        let source = self.tasks_and_data.source()?;
        let pairs = |task: &Option<String>, share: Option<f64>| match task {
            None => Ok(Vec::new()),
            Some(task) => self.tasks_and_data.answers(&library, task, limit(share)?),
        };
        let mut utility = Vec::new();
        for name in &spec.utility {
            let specs = library.resolve(std::slice::from_ref(name))?;
            let tasks = specs.into_iter().map(|spec| Task::load(spec, &source));
            utility.push((name.clone(), tasks.collect::<Result<Vec<_>, _>>()?));
        }
        Ok(Materials {
            forget: pairs(&Some(spec.forget.clone()), spec.limits.forget)?,
            paraphrased: pairs(&spec.paraphrased, spec.limits.forget)?,
            retain: pairs(&spec.retain, spec.limits.retain)?,
            utility,
            utility_options: RequestOptions {
                limit: limit(spec.limits.utility)?,
                ..RequestOptions::default()
            },
            methods,
        })
    }

    /// Looks every method up and asks it what it is; `all` becomes the methods there are.
    fn find_methods(&self, spec: &mut ExperimentSpec) -> Result<BTreeMap<String, FoundMethod>> {
        let path = MethodPath::new(method_folders(&self.method_path)?);
        let worker = worker()?;
        if spec.methods.iter().any(|method| method.method == ALL) {
            let known = path.list()?.into_iter().map(|(id, _)| id);
            let missing = known.filter(|id| {
                let is_baseline = id == NOISE_METHOD || id == "no_op";
                !is_baseline && !spec.methods.iter().any(|method| &method.method == id)
            });
            let missing: Vec<MethodSpec> = missing.map(|id| MethodSpec::of(&id)).collect();
            spec.methods.retain(|method| method.method != ALL);
            spec.methods.extend(missing);
        }
        let mut ids: Vec<&str> = spec
            .methods
            .iter()
            .map(|method| method.method.as_str())
            .collect();
        ids.extend(spec.noise.then_some(NOISE_METHOD));
        let mut found = BTreeMap::new();
        for id in ids {
            found.insert(id.to_owned(), find_method(&worker, &path, id)?);
        }
        for method in &spec.methods {
            found[&method.method].1.parse_settings(&method.settings())?;
        }
        Ok(found)
    }
}
