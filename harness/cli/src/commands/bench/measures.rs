//! Loads what an experiment measures besides knowledge of answers and plain utility tasks. Refuses tasks that cannot give it.

use anyhow::Result;
use harness_bench::experiment::{
    Composite, ExperimentSpec, Measures, gives_truth_ratios, truth_ratio_task,
};
use harness_data::DataSource;
use harness_task::{RequestOptions, Task, TaskLibrary};

use super::Bench;
use crate::exit::Refused;
use crate::options::limit;

impl Bench {
    pub(super) fn measures(
        &self,
        spec: &ExperimentSpec,
        composites: Vec<Composite>,
        library: &TaskLibrary,
        source: &DataSource,
    ) -> Result<Measures> {
        let resolve = |name: &String| library.resolve(std::slice::from_ref(name));
        let truth_ratio = match &spec.truth_ratio {
            None => {
                let mut own = resolve(&spec.forget)?;
                if own.len() == 1 && gives_truth_ratios(&own[0]) {
                    Some(truth_ratio_task(own.remove(0), source)?)
                } else {
                    None
                }
            }
            Some(name) => {
                let mut specs = resolve(name)?;
                if specs.len() > 1 {
                    let message = format!("truth_ratio: {name} is a group; name one of its tasks");
                    return Err(Refused(message).into());
                }
                Some(truth_ratio_task(specs.remove(0), source)?)
            }
        };
        let choice = spec.forget_choice.iter().map(resolve);
        let choice: Vec<_> = choice.collect::<Result<_, _>>()?;
        let choice = choice.into_iter().flatten();
        let choice = choice.map(|spec| Task::load(spec, source));
        let neutral = match &spec.neutral {
            None => Vec::new(),
            Some(name) => {
                let limit = limit(spec.limits.neutral)?;
                self.tasks_and_data.answers(library, name, limit)?
            }
        };
        Ok(Measures {
            truth_ratio,
            forget_choice: choice.collect::<Result<_, _>>()?,
            forget_options: RequestOptions {
                limit: limit(spec.limits.forget)?,
                ..RequestOptions::default()
            },
            neutral,
            composites,
        })
    }
}
