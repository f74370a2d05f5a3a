//! What crosses between the parent and the child that runs a method: plain values, JSON on the wire.

use std::collections::BTreeMap;
use std::path::PathBuf;

use harness_host::MethodDescription;
use harness_model::DeviceName;
use serde::{Deserialize, Serialize};

use super::options::TrainingOptions;
use crate::answers::TextPair;

/// What a child is asked to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Load a library and say what it is.
    Describe {
        /// The library.
        library: PathBuf,
    },
    /// Unlearn.
    Unlearn(Box<UnlearnJob>),
}

/// One method applied to one model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnlearnJob {
    /// Directory of the original model.
    pub model: PathBuf,
    /// Where the model computes.
    pub device: DeviceName,
    /// The method's library.
    pub library: PathBuf,
    /// The method's options, checked against its description.
    pub options: serde_json::Value,
    /// The forget set's task.
    pub forget_task: String,
    /// What is to be forgotten.
    pub forget: Vec<TextPair>,
    /// The retain set's task.
    pub retain_task: String,
    /// What is to be kept; empty where the method does not want it.
    pub retain: Vec<TextPair>,
    /// The task of the general prompts and answers.
    #[serde(default)]
    pub normal_task: String,
    /// General prompts and answers, for methods that want such; empty: the retain set's.
    #[serde(default)]
    pub normal: Vec<TextPair>,
    /// The task of the other answers.
    #[serde(default)]
    pub alternate_task: String,
    /// The forget set's prompts with other answers, document by document, for methods that want such; empty: refusals.
    #[serde(default)]
    pub alternate: Vec<TextPair>,
    /// Answers that take the place of the forget set's where there are no others; one is drawn for each document.
    #[serde(default)]
    pub refusals: Vec<String>,
    /// Answers of other prompts for each forget prompt, for methods that want such and have no option for it.
    #[serde(default)]
    pub mismatched_answers: u64,
    /// The training loop's settings.
    pub training: TrainingOptions,
    /// Directory that the child writes the model into; it holds the parent's log already.
    pub output: PathBuf,
}

impl UnlearnJob {
    /// General prompts and answers, with their task's name.
    pub fn general(&self) -> (&str, &[TextPair]) {
        if self.normal.is_empty() {
            (&self.retain_task, &self.retain)
        } else {
            (&self.normal_task, &self.normal)
        }
    }
}

/// One optimiser step: a line of `unlearn.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Counted from 1.
    pub step: usize,
    /// The loss that was differentiated.
    pub loss: f64,
    /// What the method logged, such as the loss's parts.
    pub parts: BTreeMap<String, f64>,
    /// The learning rate of this step.
    pub learning_rate: f64,
    /// Joint L2 norm of the gradients before clipping.
    pub gradient_norm: f64,
    /// Forget documents of this step.
    pub forget_documents: Vec<usize>,
    /// Retain documents of this step.
    pub retain_documents: Vec<usize>,
    /// Tokens through the trained model, all roles.
    pub tokens: usize,
    /// Tokens through the frozen original.
    pub reference_tokens: usize,
    /// Wall time of this step.
    pub seconds: f64,
}

/// A line that the child writes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum WorkerEvent {
    /// Answer to [`Job::Describe`].
    Described(MethodDescription),
    /// The model is there and training begins.
    Started {
        /// The method that trains.
        method: MethodDescription,
    },
    /// One step is done.
    Step(StepRecord),
    /// The method has something to say.
    Message {
        /// Its words.
        text: String,
    },
    /// The run ends before its last step.
    Stopped {
        /// The bound that was reached.
        reason: String,
    },
    /// The steps are done, and the weights are about to be written.
    Writing,
    /// The weights are written.
    Finished {
        /// The most resident memory of the child; 0 where the system does not tell.
        peak_memory_bytes: u64,
    },
    /// The work cannot go on.
    Failed {
        /// Names plugin, function and cause.
        message: String,
        /// Whether nothing was started because the request was wrong.
        refused: bool,
    },
}
