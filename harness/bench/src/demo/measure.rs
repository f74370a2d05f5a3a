//! What is measured on every model of the demo: knowledge of the forget set, utility, and resistance to relearning.

use harness_model::Weights;
use harness_task::RequestOptions;

use super::pipeline::Demo;
use crate::answers::Estimate;
use crate::error::Result;
use crate::evaluate::evaluate;
use crate::event::{Event, Observer};
use crate::relearn::{RelearnCurve, relearn};
use crate::run_directory::sha256_hex;
use crate::scorecard::{Measurement, UtilityScore};

/// Accuracy of guessing on the demo's four-way choices.
const CHANCE: f64 = 0.25;

impl Demo<'_> {
    /// Measures a model, or reads the measurement if that is done.
    pub(super) fn measured(
        &self,
        name: &str,
        weights: &Weights,
        target_loss: f64,
        observer: &mut Observer,
    ) -> Result<Measurement> {
        let stage = format!("measure-{name}");
        let inputs = (
            self.recipe,
            &self.untrained,
            target_loss,
            fingerprint(weights)?,
        );
        if let Some(measurement) = self.run.finished(&stage, &inputs) {
            return Ok(measurement);
        }
        let measurement = self.measure(name, weights, target_loss, observer)?;
        self.run.finish(&stage, &inputs, &measurement)?;
        Ok(measurement)
    }

    fn measure(
        &self,
        name: &str,
        weights: &Weights,
        target_loss: f64,
        observer: &mut Observer,
    ) -> Result<Measurement> {
        observer(Event::StageStarted {
            name: format!("score {name}"),
            total: None,
            unit: "tasks",
        });
        let mut scorer = self.scorer(weights)?;
        let forget = self.forget.knowledge(&mut scorer, &mut |_| {})?;
        let forget_paraphrased = self
            .forget_paraphrased
            .knowledge(&mut scorer, &mut |_| {})?;
        let mut utilities = Vec::new();
        for task in &self.world.utility {
            let result =
                evaluate(task, &mut scorer, &RequestOptions::default(), &mut |_| {})?.result;
            let accuracy = result.metrics.iter().find(|metric| metric.name == "acc");
            utilities.extend(accuracy.map(|metric| UtilityScore {
                task: result.task.clone(),
                accuracy: Estimate {
                    value: metric.value,
                    stderr: metric.stderr,
                },
                chance: CHANCE,
            }));
        }
        let remark = format!(
            "forget answers' probability {:.3}",
            forget.probability.value
        );
        observer(Event::StageFinished { remark });
        let relearning = self.attack(name, weights, target_loss, observer)?;
        Ok(Measurement {
            forget,
            forget_paraphrased,
            utilities,
            relearning,
        })
    }

    fn attack(
        &self,
        name: &str,
        weights: &Weights,
        target_loss: f64,
        observer: &mut Observer,
    ) -> Result<RelearnCurve> {
        let options = self.recipe.relearning;
        observer(Event::StageStarted {
            name: format!("relearn {name}"),
            total: Some(options.max_steps),
            unit: "steps",
        });
        let curve = relearn(
            &self.spec,
            weights,
            &self.forget,
            target_loss,
            options,
            observer,
        )?;
        let remark = format!("{} samples", curve.samples_text());
        observer(Event::StageFinished { remark });
        Ok(curve)
    }
}

/// A hash of all weights: a measurement belongs to these and no others.
pub(super) fn fingerprint(weights: &Weights) -> Result<String> {
    let mut bytes = Vec::new();
    for (name, tensor) in weights.iter() {
        bytes.extend_from_slice(name.as_bytes());
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    Ok(sha256_hex(&bytes))
}
