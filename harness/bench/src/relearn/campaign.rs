//! What a campaign tries on its models, and what it has of them in the end. Runs nothing by itself.

use std::collections::BTreeMap;
use std::path::Path;

use harness_engine::model_identity;
use harness_model::DeviceName;
use serde::{Deserialize, Serialize};

use super::attack::AttackCurve;
use super::attacker::{Attacker, EvaluationGrid};
use super::materials::{Materials, QuestionKind};
use super::subject::Subject;
use super::untrained::{UntrainedAttack, UntrainedAttackKind};
use crate::answers::AnswerKnowledge;
use crate::error::Result;
use crate::run_directory::RunDirectory;

/// What is tried on every model.
#[derive(Debug)]
pub struct Campaign<'a> {
    /// What is trained on and asked.
    pub materials: &'a Materials,
    /// Who attacks.
    pub attackers: Vec<Attacker>,
    /// When a model under attack is asked.
    pub grid: EvaluationGrid,
    /// What is tried without training.
    pub untrained: Vec<UntrainedAttackKind>,
    /// Whether the related task is trained on until the model knows it again, with the best attacker's settings.
    pub control: bool,
    /// Where to compute.
    pub device: DeviceName,
    /// Where records are kept, if anywhere.
    pub run: Option<&'a RunDirectory>,
}

/// How an attack ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// With a curve.
    Curve(AttackCurve),
    /// Without one, such as when training diverged.
    Failed(String),
}

/// Everything that was tried on a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelAttacks {
    /// What it knew before, by kind of question.
    pub before: BTreeMap<QuestionKind, AnswerKnowledge>,
    /// Attacks without training.
    pub untrained: Vec<UntrainedAttack>,
    /// The attackers with what they did.
    pub attacks: Vec<(Attacker, Attack)>,
    /// The best of them on the related task, judged by the control questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<(Attacker, Attack)>,
}

/// A model's name with everything that was tried on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttackedModel {
    /// The model, or its row of the scorecard.
    pub model: String,
    /// Seed of its making, where its row has several.
    pub seed: Option<u64>,
    /// What was tried.
    pub attacks: ModelAttacks,
}

impl Campaign<'_> {
    /// A model of the campaign.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn subject(&self, name: &str, path: &Path) -> Result<Subject<'_>> {
        Ok(Subject {
            campaign: self,
            name: name.to_owned(),
            path: path.to_owned(),
            identity: model_identity(&[path], "")?.to_string(),
            opened: None,
        })
    }
}
