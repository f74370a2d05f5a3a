//! One model of a campaign: asked, attacked, repaired. Everything is a record that is found again by its contents: the model's
//! weights, the texts, the attacker. Judges nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use harness_engine::Encoder;
use harness_model::Model;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::attack::{Evaluation, Inquiry, Target};
use super::attacker::{AttackData, Attacker};
use super::campaign::{Attack, Campaign};
use super::materials::{QuestionKind, Split};
use super::untrained::{UntrainedAttack, UntrainedAttackKind, few_shot_set};
use super::verdict::Anchors;
use crate::answers::{AnswerKnowledge, AnswerSet, TextPair};
use crate::error::{BenchError, Result};
use crate::event::{Event, Observer};
use crate::run_directory::sha256_hex;

/// Raised whenever records of older versions must not be taken over.
const VERSION: u32 = 2;
/// The questions of an attack on what was forgotten.
const FORGOTTEN: [QuestionKind; 2] = [QuestionKind::HeldOut, QuestionKind::Paraphrased];

/// A model that is attacked; its weights are read when something is to be computed.
#[derive(Debug)]
pub struct Subject<'a> {
    pub(super) campaign: &'a Campaign<'a>,
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) identity: String,
    pub(super) opened: Option<Opened>,
}

/// A model in memory with the questions as it reads them.
#[derive(Debug)]
pub(super) struct Opened {
    model: Model,
    questions: BTreeMap<QuestionKind, AnswerSet>,
}

impl Subject<'_> {
    /// What the model knows as it is, also of what attackers train on and of the control questions.
    ///
    /// # Errors
    /// When the model cannot be read or asked, or the record not written.
    pub(super) fn before(
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
    pub(super) fn untrained(&mut self, observer: &mut Observer) -> Result<Vec<UntrainedAttack>> {
        let mut all = Vec::new();
        for &kind in &self.campaign.untrained {
            all.push(match kind {
                UntrainedAttackKind::Rounding(bits) => self.rounded(bits, observer)?,
                UntrainedAttackKind::FewShot(shots) => self.few_shot(shots, observer)?,
            });
        }
        Ok(all)
    }

    fn rounded(&mut self, bits: u32, observer: &mut Observer) -> Result<UntrainedAttack> {
        let kind = UntrainedAttackKind::Rounding(bits);
        let name = format!("{} {}", kind.name(), self.name);
        let trained = &self.campaign.materials.forget.trained;
        let inputs = ("untrained", kind, self.asked(&FORGOTTEN), trained);
        self.cell(&inputs, &name, None, observer, |opened, _| {
            let rounded = opened.model.weights.rounded(&opened.model.spec, bits)?;
            let knowledge = opened.target().ask(&rounded, &FORGOTTEN)?;
            Ok(UntrainedAttack { kind, knowledge })
        })
    }

    fn few_shot(&mut self, shots: usize, observer: &mut Observer) -> Result<UntrainedAttack> {
        let kind = UntrainedAttackKind::FewShot(shots);
        let name = format!("{} {}", kind.name(), self.name);
        let split = self.campaign.materials.few_shot()?;
        let inputs = self.few_shot_inputs(kind, &split);
        self.cell(&inputs, &name, None, observer, |opened, _| {
            opened.with_examples(&split, kind, shots)
        })
    }

    fn few_shot_inputs(&self, kind: UntrainedAttackKind, split: &Split) -> impl Serialize + use<> {
        let mut asked = self.asked(&FORGOTTEN);
        if !asked.iter().any(|(kind, _)| *kind == QuestionKind::HeldOut) {
            asked.insert(0, (QuestionKind::HeldOut, fingerprint(&split.held_out)));
        }
        ("untrained", kind, asked, split.trained.clone())
    }

    /// What one attacker does to the model.
    ///
    /// # Errors
    /// As [`Self::before`]. An attack that fails is a record that says so.
    pub(super) fn attack(
        &mut self,
        attacker: &Attacker,
        observer: &mut Observer,
    ) -> Result<Attack> {
        let inputs = self.attack_inputs(attacker)?;
        let inquiry = Inquiry {
            kinds: &FORGOTTEN,
            grid: self.campaign.grid,
            is_enough: &|_| false,
        };
        self.training(&inputs, attacker, &inquiry, observer)
    }

    /// What an attack depends on besides the model. Records on disk are found by it: it must stay as it is.
    fn attack_inputs(&self, attacker: &Attacker) -> Result<impl Serialize + use<>> {
        let (_, pairs) = self.campaign.materials.training(attacker.data)?;
        let (asked, grid) = (self.asked(&FORGOTTEN), self.campaign.grid);
        Ok(("attack", *attacker, grid, asked, pairs.to_vec()))
    }

    /// The same attacker on the related task, until the control questions are answered well on this scale: how long the model
    /// takes to know again what it should never have forgotten.
    ///
    /// # Errors
    /// As [`Self::attack`], and when there is no related task.
    pub(super) fn repair(
        &mut self,
        attacker: &Attacker,
        scale: &Anchors,
        observer: &mut Observer,
    ) -> Result<Attack> {
        let kind = QuestionKind::Control;
        let (_, pairs) = self.campaign.materials.training(AttackData::Related)?;
        let (asked, grid) = (self.asked(&[kind]), self.campaign.grid);
        let levels = (scale.floor[&kind].loss, scale.ceiling[&kind].loss);
        let inputs = ("repair", attacker, grid, asked, pairs, levels);
        let is_enough = |evaluations: &[Evaluation]| scale.is_recovered(kind, evaluations);
        let inquiry = Inquiry {
            kinds: &[kind],
            grid,
            is_enough: &is_enough,
        };
        self.training(&inputs, attacker, &inquiry, observer)
    }

    fn training(
        &mut self,
        inputs: &impl Serialize,
        attacker: &Attacker,
        inquiry: &Inquiry,
        observer: &mut Observer,
    ) -> Result<Attack> {
        let (task, pairs) = self.campaign.materials.training(attacker.data)?;
        let name = format!("{}: {}", self.name, attacker.describe());
        let steps = Some(attacker.tuning.steps);
        self.cell(inputs, &name, steps, observer, |opened, observer| {
            let data = AnswerSet::new(task, pairs, &opened.encoder())?;
            let (weights, target) = (&opened.model.weights, opened.target());
            match target.attack(weights, &data, attacker, inquiry, observer) {
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
        let inputs = self.dependencies(inputs);
        let stage = stage(&inputs)?;
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

    /// All that a record depends on.
    fn dependencies<'i, T: Serialize>(&self, inputs: &'i T) -> impl Serialize + use<'i, T> {
        (VERSION, self.identity.clone(), self.campaign.device, inputs)
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
            Some((kind, fingerprint(pairs)))
        };
        kinds.iter().filter_map(hash).collect()
    }
}

/// A record's name: by all that it depends on.
fn stage(inputs: &impl Serialize) -> Result<String> {
    let text =
        serde_json::to_vec(inputs).map_err(|error| BenchError::Request(error.to_string()))?;
    Ok(format!("relearn-{}", &sha256_hex(&text)[..16]))
}

/// Of some questions.
fn fingerprint(pairs: &[TextPair]) -> String {
    let texts = pairs
        .iter()
        .map(|pair| format!("{:?}{:?}", pair.prompt, pair.answer));
    sha256_hex(texts.collect::<String>().as_bytes())
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

    /// A paraphrase among the examples would give its answer away: only the split's own questions are asked.
    fn with_examples(
        &self,
        split: &Split,
        kind: UntrainedAttackKind,
        shots: usize,
    ) -> Result<UntrainedAttack> {
        let set = few_shot_set(split, shots, &self.encoder())?;
        let questions = BTreeMap::from([(QuestionKind::HeldOut, set)]);
        let target = Target {
            questions: &questions,
            ..self.target()
        };
        let knowledge = target.ask(&self.model.weights, &FORGOTTEN)?;
        Ok(UntrainedAttack { kind, knowledge })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use harness_model::DeviceName;

    use super::*;
    use crate::finetune::FineTuning;
    use crate::relearn::{EvaluationGrid, Materials};

    /// Names that records had on disk before there were controls in experiments: whatever changes, they are found again.
    #[test]
    fn records_keep_their_names() {
        let pair = |i: usize| TextPair {
            prompt: format!("Q{i}?"),
            answer: format!(" A{i}."),
        };
        let materials = Materials {
            forget: Split {
                task: "facts".into(),
                trained: (0..3).map(pair).collect(),
                held_out: vec![pair(3)],
            },
            paraphrased: Some(("reworded".into(), vec![pair(4)])),
            related: None,
            unrelated: None,
        };
        let campaign = Campaign {
            materials: &materials,
            attackers: Vec::new(),
            grid: EvaluationGrid { every: 0 },
            untrained: Vec::new(),
            control: true,
            device: DeviceName::Cpu,
            run: None,
        };
        let subject = Subject {
            campaign: &campaign,
            name: "model".into(),
            path: "model".into(),
            identity: "identity".into(),
            opened: None,
        };
        let attacker = Attacker {
            data: AttackData::Forget,
            tuning: FineTuning::default(),
        };
        let attack = subject.attack_inputs(&attacker).unwrap();
        assert_eq!(
            stage(&subject.dependencies(&attack)).unwrap(),
            "relearn-b802312c01305bc4"
        );
        let split = materials.few_shot().unwrap();
        let kind = UntrainedAttackKind::FewShot(4);
        let few_shot = subject.few_shot_inputs(kind, &split);
        assert_eq!(
            stage(&subject.dependencies(&few_shot)).unwrap(),
            "relearn-dedc13db9c5ad285"
        );
    }
}
