//! The anchors that an experiment makes itself, of one base by plain fine-tuning: an original that learns what is to be forgotten and
//! what is to be kept, and oracles that learn what is to be kept alone. Refuses settings that leave nothing to train.

use std::path::{Path, PathBuf};

use candle_core::Device;
use harness_engine::{Encoder, model_identity};
use harness_model::Model;
use harness_model::train::ScheduleKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::making::Made;
use super::numbers::{Written, number};
use super::plan::PlannedSubject;
use super::record::Cost;
use super::run::{Experiment, Materials};
use crate::answers::{AnswerSet, TextPair};
use crate::error::Result;
use crate::event::{Event, Observer};
use crate::finetune::{FineTuning, finetune_into};

/// How the anchors that are not given are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FinetuneSpec {
    /// The model that they are made of: a directory, a GGUF file or a hub id.
    pub base: PathBuf,
    /// Passes over the documents.
    #[serde(default = "five")]
    pub epochs: usize,
    /// Peak learning rate of `AdamW`.
    #[serde(default = "slow", deserialize_with = "number")]
    #[schemars(with = "Written")]
    pub learning_rate: f64,
    /// Documents a step.
    #[serde(default = "four")]
    pub batch_size: usize,
    /// Steps over which the rate rises.
    #[serde(default)]
    pub warmup_steps: usize,
    /// What follows: `constant`, `linear` or `cosine`.
    #[serde(default = "linear")]
    #[schemars(with = "String")]
    pub schedule: ScheduleKind,
    /// Decoupled weight decay of matrices.
    #[serde(default = "hundredth", deserialize_with = "number")]
    #[schemars(with = "Written")]
    pub weight_decay: f64,
    /// Joint L2 norm that gradients are clipped to; 0 clips nothing.
    #[serde(default = "one", deserialize_with = "number")]
    #[schemars(with = "Written")]
    pub max_grad_norm: f64,
    /// Rank of adapters that are trained and merged; 0 trains every weight.
    #[serde(default)]
    pub lora_rank: usize,
    /// Whether layers are run again for the gradients: less memory, about a third more time.
    #[serde(default)]
    pub activation_checkpoints: bool,
    /// Seed of the order of documents; the twin's is the next.
    #[serde(default)]
    pub seed: u64,
    /// Whether a second oracle is made.
    #[serde(default = "yes")]
    pub twin: bool,
}

fn five() -> usize {
    5
}

fn four() -> usize {
    4
}

fn slow() -> f64 {
    1e-5
}

fn hundredth() -> f64 {
    0.01
}

fn one() -> f64 {
    1.0
}

fn linear() -> ScheduleKind {
    ScheduleKind::Linear
}

fn yes() -> bool {
    true
}

impl FinetuneSpec {
    /// What makes no sense, if anything does not.
    pub(super) fn problem(&self) -> Option<&'static str> {
        if self.epochs == 0 || self.batch_size == 0 {
            return Some("`finetune`: `epochs` and `batch_size` must be positive");
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return Some("`finetune`: `learning_rate` must be positive");
        }
        None
    }

    pub(super) fn fine_tuning(&self, documents: usize, seed: u64) -> FineTuning {
        FineTuning {
            steps: FineTuning::steps_of_epochs(self.epochs, documents, self.batch_size),
            batch_size: self.batch_size,
            learning_rate: self.learning_rate,
            warmup_steps: self.warmup_steps,
            schedule: self.schedule,
            weight_decay: self.weight_decay,
            max_gradient_norm: (self.max_grad_norm > 0.0).then_some(self.max_grad_norm),
            lora_rank: (self.lora_rank > 0).then_some(self.lora_rank),
            activation_checkpoints: self.activation_checkpoints,
            seed,
        }
    }
}

/// How one anchor is made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedFineTuning {
    /// The settings of all anchors.
    pub settings: FinetuneSpec,
    /// Whether it learns the forget set, too, or the retain set alone.
    pub learns_forget_set: bool,
    /// Its seed.
    pub seed: u64,
}

/// What an anchor depends on.
#[derive(Serialize)]
struct Inputs<'a> {
    base: String,
    documents: &'a [TextPair],
    tuning: FineTuning,
}

impl Experiment<'_> {
    /// Makes an anchor, or finds it made.
    pub(super) fn fine_tuned(
        &self,
        planned: &PlannedSubject,
        anchor: &PlannedFineTuning,
        observer: &mut Observer,
    ) -> Result<Made> {
        let base = &anchor.settings.base;
        let documents = self.materials.documents(anchor);
        let tuning = anchor.settings.fine_tuning(documents.len(), anchor.seed);
        let inputs = Inputs {
            base: model_identity(&[base], "")?.to_string(),
            documents: &documents,
            tuning,
        };
        let name = planned.file_name();
        let (stage, directory) = (format!("make-{name}"), self.directory(planned));
        if let Some(made) = self.found_made(&stage, &inputs, &directory) {
            return Ok(made);
        }
        observer(Event::StageStarted {
            name: format!("fine-tune {name}"),
            total: Some(tuning.steps),
            unit: "steps",
        });
        self.run.clear(&directory)?;
        let cost = train(base, &name, &documents, &tuning, &directory, observer);
        let cost = cost.inspect_err(|_| {
            let remark = "failed".to_owned();
            observer(Event::StageFinished { remark });
        })?;
        let made = Made {
            cost: Some(cost),
            ..Made::given(directory)
        };
        self.run.finish(&stage, &inputs, &made)?;
        let remark = format!("{} tokens", cost.tokens);
        observer(Event::StageFinished { remark });
        Ok(made)
    }
}

impl Materials {
    /// What an anchor learns.
    pub(super) fn documents(&self, anchor: &PlannedFineTuning) -> Vec<TextPair> {
        let forget = self.forget.iter().filter(|_| anchor.learns_forget_set);
        forget.chain(&self.retain).cloned().collect()
    }
}

fn train(
    base: &Path,
    name: &str,
    documents: &[TextPair],
    tuning: &FineTuning,
    directory: &Path,
    observer: &mut Observer,
) -> Result<Cost> {
    let model = Model::open(base, &Device::Cpu)?;
    let encoder = Encoder::new(model.tokenizer.clone(), model.spec.max_positions);
    let set = AnswerSet::new(name, documents, &encoder)?;
    let summary = finetune_into(directory, &model, &set, tuning, observer)?;
    Ok(Cost {
        steps: summary.steps,
        tokens: summary.tokens,
        flops: summary.flops,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever has to change this text makes every unfinished experiment begin anew.
    #[test]
    fn finished_anchors_are_found_again_by_later_versions() {
        let settings: FinetuneSpec = serde_json::from_str(r#"{"base": "here"}"#).unwrap();
        let documents = [TextPair {
            prompt: "a".into(),
            answer: " b".into(),
        }];
        let inputs = Inputs {
            base: "identity".into(),
            documents: &documents,
            tuning: settings.fine_tuning(documents.len(), 1),
        };
        let known = r#"{"base":"identity","documents":[{"prompt":"a","answer":" b"}],"tuning":{"steps":2,"batch_size":4,"learning_rate":0.00001,"warmup_steps":0,"schedule":"linear","weight_decay":0.01,"max_gradient_norm":1.0,"lora_rank":null,"activation_checkpoints":false,"seed":1}}"#;
        assert_eq!(serde_json::to_string(&inputs).unwrap(), known);
    }
}
