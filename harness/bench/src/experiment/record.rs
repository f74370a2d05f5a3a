//! What an experiment measured on each of its models: plain values, one for every document, so that anyone can aggregate them
//! again. Computes nothing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ranking::Demands;
use super::recovery::Recovery;
use super::trail::TrailPoint;
use crate::relearn::AttackedModel;

/// What a model is in the experiment.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SubjectKind {
    /// The model before unlearning.
    Original,
    /// The model that never saw the forget set.
    Oracle,
    /// A second such model, of another seed: what two oracles differ by.
    OracleTwin,
    /// The original with random weights added, as much as the methods changed.
    Noise,
    /// A method's result.
    Method,
}

/// One model of the experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// Row of the scorecard: models that differ in their seed alone share it.
    pub row: String,
    /// What it is.
    pub kind: SubjectKind,
    /// Seed of its making; anchors that were given have none.
    pub seed: Option<u64>,
    /// What was measured, or why nothing was.
    pub outcome: Outcome,
    /// What it took to make.
    pub cost: Option<Cost>,
    /// What it took on the machine where it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_cost: Option<MachineCost>,
    /// What it had come to after some of its steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<TrailPoint>,
}

/// A measurement or the reason for its absence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// What was measured.
    Measured(Box<Scores>),
    /// Why nothing was.
    Failed(String),
}

/// Scores of a set of documents, in the set's order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DocumentScores {
    /// The set's task.
    pub task: String,
    /// By metric, a value for each document.
    pub metrics: BTreeMap<String, Vec<f64>>,
}

/// Scores of a utility task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UtilityScores {
    /// The task.
    pub task: String,
    /// Its metric, whose aggregate is the mean.
    pub metric: String,
    /// Score of guessing.
    pub chance: f64,
    /// A value for each document.
    pub values: Vec<f64>,
}

/// Scores of a harmonic mean's parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompositeScores {
    /// The group of tasks.
    pub task: String,
    /// What the harmonic mean is called.
    pub metric: String,
    /// What it is a mean of.
    pub parts: Vec<CompositePart>,
}

/// One score of a harmonic mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CompositePart {
    /// The task.
    pub task: String,
    /// Its metric, whose aggregate is the mean of `values`.
    pub metric: String,
    /// A value for each document.
    pub values: Vec<f64>,
}

/// Everything measured on one model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scores {
    /// The forget set as it was unlearned.
    pub forget: DocumentScores,
    /// The same facts asked in other words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paraphrased: Option<DocumentScores>,
    /// Texts like the forget set's that no model has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout: Option<DocumentScores>,
    /// The retain set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain: Option<DocumentScores>,
    /// Utility tasks.
    pub utility: Vec<UtilityScores>,
    /// Utility tasks that are harmonic means.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub composites: Vec<CompositeScores>,
    /// Questions with choices about what was to be forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forget_choice: Option<UtilityScores>,
    /// Further sets: `truth_ratio`, `neutral` text, and what was `written` as answers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sets: BTreeMap<String, DocumentScores>,
    /// The forget set after the weights were rounded, by number of bits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rounded: BTreeMap<u32, DocumentScores>,
    /// The way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
    /// What it says to the first questions of the forget set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<String>,
}

/// What it took to make a model, on any machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// Optimiser steps.
    pub steps: usize,
    /// Tokens through models, the frozen original's included.
    pub tokens: usize,
    /// Floating-point operations.
    pub flops: f64,
}

/// What it took on one machine, and differs from run to run: no part of the scorecard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MachineCost {
    /// Wall time of the steps.
    pub seconds: f64,
    /// Largest resident memory, in bytes.
    pub peak_bytes: u64,
}

/// How one model was made: the loss of every step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Training {
    /// Row of the scorecard.
    pub row: String,
    /// Seed.
    pub seed: Option<u64>,
    /// Loss of each step, from the first.
    pub losses: Vec<f64>,
}

/// A question of the forget set and what each model says to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnsweredQuestion {
    /// The prompt's end, as a reader wants to see it.
    pub question: String,
    /// What was to be forgotten.
    pub expected: String,
    /// Rows and their answers, of the first seed.
    pub answers: Vec<(String, String)>,
}

/// A whole experiment, as it lies on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExperimentRecord {
    /// Its name.
    pub name: String,
    /// What methods must keep to be ranked.
    #[serde(default)]
    pub demands: Demands,
    /// What was asked and where it ran: name and value.
    pub facts: Vec<(String, String)>,
    /// The models.
    pub subjects: Vec<Subject>,
    /// How they were made.
    pub training: Vec<Training>,
    /// Everything that was tried on them, evaluation by evaluation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attacks: Vec<AttackedModel>,
    /// Some questions with everybody's answers.
    pub questions: Vec<AnsweredQuestion>,
}
