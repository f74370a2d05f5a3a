//! From attacks to verdicts: every curve between its anchors, the best attacker, the model beside the one that never knew.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use harness_metric::normalised_resistance;

use super::attack::AttackCurve;
use super::attacker::{AttackData, Attacker};
use super::campaign::{Attack, ModelAttacks};
use super::materials::QuestionKind;
use super::running_loss::steps_by_rule;
use super::untrained::UntrainedAttackKind;
use super::verdict::{
    Anchors, AttackerVerdict, Budget, ControlVerdict, CurveVerdict, DAMAGED_BELOW, NINE_TENTHS,
    UntrainedVerdict, Verdict, Yardstick,
};
use crate::answers::AnswerKnowledge;
use crate::error::{BenchError, Result};

const YARDSTICKS: [Yardstick; 2] = [Yardstick::Loss, Yardstick::ExtractionStrength];

type Knowledge = BTreeMap<QuestionKind, AnswerKnowledge>;

/// The anchors of attacks without training, each of what the anchor models know under the same attack.
#[derive(Clone, Debug)]
pub struct AllAnchors {
    /// Without any attack.
    pub plain: Anchors,
    untrained: BTreeMap<UntrainedAttackKind, Anchors>,
}

impl AllAnchors {
    /// Between the original and a model that never knew.
    pub fn new(never_knew: &ModelAttacks, original: &ModelAttacks) -> Self {
        let floor = |kind| under(never_knew, kind).cloned().unwrap_or_default();
        Self::between(never_knew.before.clone(), floor, original)
    }

    /// Between the original and what a model itself knew when it was unlearned, where there is none that never knew.
    pub fn from_itself(itself: &ModelAttacks, original: &ModelAttacks) -> Self {
        Self::between(itself.before.clone(), |_| itself.before.clone(), original)
    }

    fn between(
        plain: Knowledge,
        floor: impl Fn(UntrainedAttackKind) -> Knowledge,
        original: &ModelAttacks,
    ) -> Self {
        let anchors = |attack: &super::UntrainedAttack| {
            let floor = floor(attack.kind);
            let ceiling = attack.knowledge.clone();
            (attack.kind, Anchors { floor, ceiling })
        };
        Self {
            plain: Anchors {
                floor: plain,
                ceiling: original.before.clone(),
            },
            untrained: original.untrained.iter().map(anchors).collect(),
        }
    }
}

fn under(attacks: &ModelAttacks, kind: UntrainedAttackKind) -> Option<&Knowledge> {
    let found = attacks.untrained.iter().find(|attack| attack.kind == kind);
    found.map(|attack| &attack.knowledge)
}

/// Reads all attacks on a model.
///
/// # Errors
/// On values that are not finite.
pub fn judge(
    name: &str,
    attacks: &ModelAttacks,
    anchors: &AllAnchors,
    headline: QuestionKind,
) -> Result<Verdict> {
    let attackers = attacks
        .attacks
        .iter()
        .map(|(attacker, attack)| attacker_verdict(attacker, attack, &anchors.plain))
        .collect::<Result<Vec<_>>>()?;
    Ok(Verdict {
        name: name.to_owned(),
        headline,
        best: best(&attackers, headline),
        attackers,
        untrained: untrained(attacks, anchors)?,
        control: control(attacks, &anchors.plain, headline)?,
    })
}

impl Verdict {
    /// The best attacker.
    pub fn best_attacker(&self) -> Option<&AttackerVerdict> {
        self.attackers.get(self.best?)
    }

    /// The best attacker's way back on a kind of question.
    pub fn best_curve(
        &self,
        questions: QuestionKind,
        yardstick: Yardstick,
    ) -> Option<&CurveVerdict> {
        self.best_attacker()?.curve(questions, yardstick)
    }

    /// What the best and the worst attacker needed on the headline's questions for one of the thresholds, by its place.
    pub fn spread(&self, threshold: usize) -> Option<(Budget, Budget)> {
        let mut times: Vec<Budget> = (self.attackers.iter())
            .filter_map(|attacker| attacker.curve(self.headline, Yardstick::Loss))
            .map(|curve| curve.times[threshold])
            .collect();
        times.sort_by(|a, b| a.samples_or_infinite().total_cmp(&b.samples_or_infinite()));
        Some((*times.first()?, *times.last()?))
    }

    /// Samples that this model's best attacker needs, as a multiple of what the other's needs, and whether that is only a
    /// bound; `None` where neither got there, or the other needed nothing.
    pub fn ratio(
        &self,
        other: &Verdict,
        questions: QuestionKind,
        threshold: usize,
    ) -> Option<(f64, Bound)> {
        let time = |verdict: &Verdict| {
            Some(verdict.best_curve(questions, Yardstick::Loss)?.times[threshold])
        };
        let (own, other) = (time(self)?, time(other)?);
        let bound = match (own.is_reached, other.is_reached) {
            (true, true) => Bound::None,
            (false, true) => Bound::AtLeast,
            (true, false) => Bound::AtMost,
            (false, false) => return None,
        };
        let ratio = own.spend.samples as f64 / other.spend.samples as f64;
        ratio.is_finite().then_some((ratio, bound))
    }
}

impl Verdict {
    /// How well the model resists, by the areas under the best attackers' curves: 1 like one that never knew, 0 like the original;
    /// `None` where those two are alike.
    pub fn resistance(
        &self,
        never_knew: &Verdict,
        original: &Verdict,
        questions: QuestionKind,
    ) -> Option<f64> {
        let area = |verdict: &Verdict| Some(verdict.best_curve(questions, Yardstick::Loss)?.area);
        normalised_resistance(area(self)?, area(never_knew)?, area(original)?).ok()
    }
}

/// What a ratio is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The ratio itself.
    None,
    /// It is this or more: the model was not brought back.
    AtLeast,
    /// It is this or less: the model that it is compared with was not.
    AtMost,
}

fn attacker_verdict(
    attacker: &Attacker,
    attack: &Attack,
    anchors: &Anchors,
) -> Result<AttackerVerdict> {
    let mut verdict = AttackerVerdict {
        attacker: *attacker,
        curves: Vec::new(),
        by_running_loss: None,
        failure: None,
    };
    match attack {
        Attack::Failed(reason) => verdict.failure = Some(reason.clone()),
        Attack::Curve(curve) => {
            for questions in [QuestionKind::HeldOut, QuestionKind::Paraphrased] {
                for yardstick in YARDSTICKS {
                    let read =
                        CurveVerdict::new(questions, yardstick, &curve.evaluations, anchors)?;
                    verdict.curves.extend(read);
                }
            }
            verdict.by_running_loss = by_running_loss(attacker, curve, anchors);
        }
    }
    Ok(verdict)
}

fn by_running_loss(
    attacker: &Attacker,
    curve: &AttackCurve,
    anchors: &Anchors,
) -> Option<(usize, bool)> {
    let target = anchors.ceiling.get(&QuestionKind::Trained)?.loss;
    let steps = steps_by_rule(&curve.losses, target);
    let samples = steps.unwrap_or(curve.losses.len()) * attacker.tuning.batch_size;
    (attacker.data == AttackData::Forget).then_some((samples, steps.is_some()))
}

/// The attacker that first brings nine tenths back, or half, or most on average.
fn best(attackers: &[AttackerVerdict], headline: QuestionKind) -> Option<usize> {
    let rank = |curve: &CurveVerdict| {
        let [half, most, _] = curve.times;
        [
            most.samples_or_infinite(),
            half.samples_or_infinite(),
            -curve.area,
        ]
    };
    let compare = |a: &[f64; 3], b: &[f64; 3]| {
        let pairs = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
        pairs.fold(Ordering::Equal, Ordering::then)
    };
    let ranked = attackers
        .iter()
        .enumerate()
        .filter_map(|(place, attacker)| {
            Some((rank(attacker.curve(headline, Yardstick::Loss)?), place))
        });
    ranked
        .min_by(|(a, _), (b, _)| compare(a, b))
        .map(|(_, place)| place)
}

/// How the model stands on what it should not have forgotten: before any attack, and how long the repair takes.
fn control(
    attacks: &ModelAttacks,
    anchors: &Anchors,
    headline: QuestionKind,
) -> Result<Option<ControlVerdict>> {
    let kind = QuestionKind::Control;
    let (Some(scale), Some(known)) = (anchors.of_control(headline), attacks.before.get(&kind))
    else {
        return Ok(None);
    };
    let Some(start) = scale.recovery(kind, Yardstick::Loss, known)? else {
        return Ok(None);
    };
    let repair = match &attacks.repair {
        Some((_, Attack::Curve(curve))) => {
            CurveVerdict::new(kind, Yardstick::Loss, &curve.evaluations, &scale)?
        }
        _ => None,
    };
    Ok(Some(ControlVerdict {
        start,
        is_damaged: start < DAMAGED_BELOW,
        repair: repair.map(|repair| repair.times[NINE_TENTHS]),
    }))
}

fn untrained(attacks: &ModelAttacks, anchors: &AllAnchors) -> Result<Vec<UntrainedVerdict>> {
    let mut verdicts = Vec::new();
    let mut read = |kind, knowledge: &Knowledge, anchors: &Anchors| -> Result<()> {
        for questions in [QuestionKind::HeldOut, QuestionKind::Paraphrased] {
            let Some(known) = knowledge.get(&questions) else {
                continue;
            };
            let by = |yardstick| anchors.recovery(questions, yardstick, known);
            verdicts.push(UntrainedVerdict {
                kind,
                questions,
                by_loss: by(Yardstick::Loss)?,
                by_extraction_strength: by(Yardstick::ExtractionStrength)?,
                knowledge: *known,
            });
        }
        Ok(())
    };
    read(None, &attacks.before, &anchors.plain)?;
    for attack in &attacks.untrained {
        let Some(anchors) = anchors.untrained.get(&attack.kind) else {
            let message = format!("the original was not attacked with {}", attack.kind.name());
            return Err(BenchError::Request(message));
        };
        read(Some(attack.kind), &attack.knowledge, anchors)?;
    }
    Ok(verdicts)
}
