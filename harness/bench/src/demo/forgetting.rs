//! One method of the demo: unlearn in a child process, then measure. A method that fails becomes a row that says so.

use std::path::PathBuf;

use candle_core::Device;
use harness_model::{DeviceName, Model};

use super::measure::fingerprint;
use super::pipeline::{Demo, DemoMethod, remove};
use super::world::{FORGET, RETAIN};
use crate::error::{Result, io};
use crate::event::{Event, Observer};
use crate::run_directory::sha256_hex;
use crate::scorecard::{Entry, Outcome, RowKind};
use crate::unlearn::{UnlearnJob, UnlearnSummary, run};

impl Demo<'_> {
    pub(super) fn method(
        &self,
        method: &DemoMethod,
        target_loss: f64,
        observer: &mut Observer,
    ) -> Result<Entry> {
        let summary = match self.unlearn(method, observer) {
            Ok(summary) => summary,
            Err(error) => {
                let remark = "failed".to_owned();
                observer(Event::StageFinished { remark });
                return Ok(Entry {
                    name: method.id.clone(),
                    kind: RowKind::Method,
                    outcome: Outcome::Failed(error.to_string()),
                    cost: None,
                });
            }
        };
        let weights = Model::open(&self.directory(&method.id), &Device::Cpu)?.weights;
        let cost = self.cost(
            summary.steps,
            summary.tokens,
            summary.reference_tokens,
            summary.seconds,
        );
        let measurement = self.measured(&method.id, &weights, target_loss, observer)?;
        Ok(measurement.into_entry(&method.id, RowKind::Method, Some(cost)))
    }

    /// Runs the method, or reads its summary if that is done.
    fn unlearn(&self, method: &DemoMethod, observer: &mut Observer) -> Result<UnlearnSummary> {
        let output = self.directory(&method.id);
        let stage = format!("unlearn-{}", method.id);
        let library = std::fs::read(&method.library).map_err(io(&method.library))?;
        let (forget, retain) = (&self.world.forget, &self.world.retain);
        let original =
            fingerprint(&Model::open(&self.directory("original"), &Device::Cpu)?.weights)?;
        let inputs = (self.recipe, original, sha256_hex(&library), forget, retain);
        if let Some(summary) = self.run.finished(&stage, &inputs)
            && output.is_dir()
        {
            return Ok(summary);
        }
        observer(Event::StageStarted {
            name: format!("unlearn with {}", method.id),
            total: Some(self.recipe.unlearning.steps),
            unit: "steps",
        });
        remove(&output)?;
        let summary = run(self.worker, self.job(method), &output, observer)?;
        self.run.finish(&stage, &inputs, &summary)?;
        let remark = format!("loss {:.3} → {:.3}", summary.first_loss, summary.last_loss);
        observer(Event::StageFinished { remark });
        Ok(summary)
    }

    fn job(&self, method: &DemoMethod) -> UnlearnJob {
        let retain = if method.needs_retain {
            self.world.retain.clone()
        } else {
            Vec::new()
        };
        UnlearnJob {
            model: self.directory("original"),
            device: DeviceName::Cpu,
            library: method.library.clone(),
            options: serde_json::json!({}),
            forget_task: FORGET.into(),
            forget: self.world.forget.clone(),
            retain_task: RETAIN.into(),
            retain,
            normal_task: String::new(),
            normal: Vec::new(),
            alternate_task: String::new(),
            alternate: Vec::new(),
            refusals: Vec::new(),
            mismatched_answers: 1,
            training: self.recipe.unlearning,
            output: PathBuf::new(),
        }
    }
}
