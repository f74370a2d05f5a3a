//! All attackers on one model after the other. Every attack is a record that is found again by its contents: the model's
//! weights, the texts, the attacker. Judges nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use harness_engine::{Encoder, model_identity};
use harness_model::{DeviceName, Model};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::attack::{AttackCurve, Target};
use super::attacker::{AttackData, Attacker, EvaluationGrid};
use super::materials::{Materials, QuestionKind};
use super::untrained::{UntrainedAttack, UntrainedAttackKind, few_shot_set};
use crate::answers::{AnswerKnowledge, AnswerSet, TextPair};
use crate::error::{BenchError, Result};
use crate::event::{Event, Observer};
use crate::run_directory::{RunDirectory, sha256_hex};

/// Raised whenever records of older versions must not be taken over.
const VERSION: u32 = 2;
/// The questions of an attack on what was forgotten.
const FORGOTTEN: [QuestionKind; 2] = [QuestionKind::HeldOut, QuestionKind::Paraphrased];

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
}

/// A model that is attacked; its weights are read when something is to be computed.
#[derive(Debug)]
pub struct Subject<'a> {
    campaign: &'a Campaign<'a>,
    name: String,
    path: PathBuf,
    identity: String,
    opened: Option<Opened>,
}

/// A model in memory with the questions as it reads them.
#[derive(Debug)]
struct Opened {
    model: Model,
    questions: BTreeMap<QuestionKind, AnswerSet>,
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

    fn data(&self, data: AttackData) -> Result<(&str, &[TextPair])> {
        let materials = self.materials;
        let found: Option<(&str, &[TextPair])> = match data {
            AttackData::Forget => Some((&materials.forget.task, &materials.forget.trained)),
            AttackData::Related => (materials.related.as_ref())
                .map(|split| (split.task.as_str(), split.trained.as_slice())),
            AttackData::Unrelated => (materials.unrelated.as_ref())
                .map(|(task, pairs)| (task.as_str(), pairs.as_slice())),
        };
        found.ok_or_else(|| {
            BenchError::Request(format!("no task is given for {} data", data.name()))
        })
    }
}

impl Subject<'_> {
    /// What the model knows as it is, also of what attackers train on and of the control questions.
    ///
    /// # Errors
    /// When the model cannot be read or asked, or the record not written.
    pub fn before(
        &mut self,
        observer: &mut Observer,
    ) -> Result<BTreeMap<QuestionKind, AnswerKnowledge>> {
        let kinds = QuestionKind::ALL;
        let name = format!("ask {}", self.name);
        let asked = self.asked(&kinds);
        self.cell(&("ask", asked), &name, None, observer, |opened, _| {
            opened.target().ask(&opened.model.weights, &kinds)
        })
    }

    /// Attacks without training.
    ///
    /// # Errors
    /// As [`Self::before`], and when questions with examples do not fit the model.
    pub fn untrained(&mut self, observer: &mut Observer) -> Result<Vec<UntrainedAttack>> {
        let mut all = Vec::new();
        for &kind in &self.campaign.untrained {
            let name = format!("{} {}", kind.name(), self.name);
            let examples = &self.campaign.materials.forget.trained;
            let inputs = ("untrained", kind, self.asked(&FORGOTTEN), examples);
            let materials = self.campaign.materials;
            all.push(self.cell(&inputs, &name, None, observer, |opened, _| {
                opened.without_training(kind, materials)
            })?);
        }
        Ok(all)
    }

    /// All attackers.
    ///
    /// # Errors
    /// As [`Self::before`]. An attack that fails is a record that says so.
    pub fn attacks(&mut self, observer: &mut Observer) -> Result<Vec<(Attacker, Attack)>> {
        let mut all = Vec::new();
        for attacker in self.campaign.attackers.clone() {
            all.push((attacker, self.attack(&attacker, &FORGOTTEN, observer)?));
        }
        Ok(all)
    }

    /// The same attacker on the related task, judged by the control questions: how long the model takes to know again what it
    /// should never have forgotten.
    ///
    /// # Errors
    /// As [`Self::before`], and when there is no related task.
    pub fn control(&mut self, attacker: &Attacker, observer: &mut Observer) -> Result<Attack> {
        let control = Attacker {
            data: AttackData::Related,
            ..*attacker
        };
        self.attack(&control, &[QuestionKind::Control], observer)
    }

    fn attack(
        &mut self,
        attacker: &Attacker,
        kinds: &[QuestionKind],
        observer: &mut Observer,
    ) -> Result<Attack> {
        let grid = self.campaign.grid;
        let campaign = self.campaign;
        let (task, pairs) = campaign.data(attacker.data)?;
        let inputs = ("attack", attacker, grid, self.asked(kinds), pairs);
        let name = format!("{}: {}", self.name, attacker.describe());
        let steps = Some(attacker.tuning.steps);
        self.cell(&inputs, &name, steps, observer, |opened, observer| {
            let data = AnswerSet::new(task, pairs, &opened.encoder())?;
            let (weights, target) = (&opened.model.weights, opened.target());
            match target.attack(weights, &data, attacker, kinds, grid, observer) {
                Ok(curve) => Ok(Attack::Curve(curve)),
                Err(BenchError::Diverged(message)) => Ok(Attack::Failed(message)),
                Err(BenchError::Model(error)) => Ok(Attack::Failed(error.to_string())),
                Err(BenchError::Engine(error)) => Ok(Attack::Failed(error.to_string())),
                Err(error) => Err(error),
            }
        })
    }

    /// A record found again, or computed and kept.
    fn cell<T: Serialize + DeserializeOwned>(
        &mut self,
        inputs: &impl Serialize,
        name: &str,
        steps: Option<usize>,
        observer: &mut Observer,
        compute: impl FnOnce(&Opened, &mut Observer) -> Result<T>,
    ) -> Result<T> {
        let inputs = (VERSION, self.identity.clone(), self.campaign.device, inputs);
        let text =
            serde_json::to_vec(&inputs).map_err(|error| BenchError::Request(error.to_string()))?;
        let stage = format!("relearn-{}", &sha256_hex(&text)[..16]);
        let _alone = self.campaign.run.map(|run| run.alone(&stage));
        if let Some(found) = (self.campaign.run).and_then(|run| run.finished(&stage, &inputs)) {
            return Ok(found);
        }
        observer(Event::StageStarted {
            name: name.to_owned(),
            total: steps,
            unit: "steps",
        });
        let outcome = compute(self.opened()?, observer)?;
        observer(Event::StageFinished {
            remark: "done".into(),
        });
        if let Some(run) = self.campaign.run {
            run.finish(&stage, &inputs, &outcome)?;
        }
        Ok(outcome)
    }

    fn opened(&mut self) -> Result<&Opened> {
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => Opened::open(&self.path, self.campaign)?,
        };
        Ok(self.opened.insert(opened))
    }

    /// The questions of these kinds, as a record's inputs.
    fn asked(&self, kinds: &[QuestionKind]) -> Vec<(QuestionKind, String)> {
        let materials = self.campaign.materials;
        let hash = |&kind: &QuestionKind| {
            let (_, pairs) = materials.questions(kind)?;
            let texts: Vec<String> = pairs
                .iter()
                .map(|pair| format!("{:?}{:?}", pair.prompt, pair.answer))
                .collect();
            Some((kind, sha256_hex(texts.concat().as_bytes())))
        };
        kinds.iter().filter_map(hash).collect()
    }
}

impl Opened {
    fn open(path: &Path, campaign: &Campaign) -> Result<Self> {
        let model = Model::open(path, &campaign.device.open()?)?;
        let encoder = Encoder::new(model.tokenizer.clone(), model.spec.max_positions);
        let mut questions = BTreeMap::new();
        for kind in QuestionKind::ALL {
            if let Some((task, pairs)) = campaign.materials.questions(kind) {
                questions.insert(kind, AnswerSet::new(task, pairs, &encoder)?);
            }
        }
        Ok(Self { model, questions })
    }

    fn encoder(&self) -> Encoder {
        Encoder::new(self.model.tokenizer.clone(), self.model.spec.max_positions)
    }

    fn target(&self) -> Target<'_> {
        Target {
            spec: &self.model.spec,
            tokenizer: &self.model.tokenizer,
            questions: &self.questions,
        }
    }

    fn without_training(
        &self,
        kind: UntrainedAttackKind,
        materials: &Materials,
    ) -> Result<UntrainedAttack> {
        let knowledge = match kind {
            UntrainedAttackKind::Rounding(bits) => {
                let rounded = self.model.weights.rounded(&self.model.spec, bits)?;
                self.target().ask(&rounded, &FORGOTTEN)?
            }
            // A paraphrase among the examples would give its answer away.
            UntrainedAttackKind::FewShot(shots) => {
                let mut questions = BTreeMap::new();
                if let Some((task, pairs)) = materials.questions(QuestionKind::HeldOut) {
                    let examples = &materials.forget.trained;
                    let set = few_shot_set(task, pairs, examples, shots, &self.encoder())?;
                    questions.insert(QuestionKind::HeldOut, set);
                }
                let target = Target {
                    questions: &questions,
                    ..self.target()
                };
                target.ask(&self.model.weights, &FORGOTTEN)?
            }
        };
        Ok(UntrainedAttack { kind, knowledge })
    }
}
