//! How fast an attacker brings the knowledge back to each model of an experiment: the best of a grid of attackers, between the
//! oracle and the original. Without an oracle it starts at what the model itself knew.

use std::path::PathBuf;

use harness_model::DeviceName;
use harness_model::train::ScheduleKind;

use super::parallel::{Progress, in_parallel};
use super::record::{Outcome, Reached, Recovery, Subject, SubjectKind};
use super::run::Experiment;
use crate::error::Result;
use crate::event::Observer;
use crate::finetune::FineTuning;
use crate::relearn::{
    AllAnchors, AttackData, Attackers, Budget, Campaign, CurveVerdict, EvaluationGrid, Materials,
    ModelAttacks, Split, Yardstick, judge,
};

/// Share of the forget set that attackers do not train on, where no task asks for the same facts in other words.
const HELD_OUT: f64 = 0.25;

impl Experiment<'_> {
    /// What attackers train on and are judged by; `None` where nothing is to be attacked.
    ///
    /// # Errors
    /// When the forget set is too small to hold anything out, or questions are in training data.
    pub(super) fn attack_materials(&self) -> Result<Option<Materials>> {
        let (spec, materials) = (self.spec, self.materials);
        if spec.relearn.max_steps == 0 {
            return Ok(None);
        }
        let paraphrased = (spec.paraphrased.clone()).zip(Some(materials.paraphrased.clone()));
        let share = if paraphrased.is_some() { 0.0 } else { HELD_OUT };
        let asked = Materials {
            forget: Split::new(&spec.forget, materials.forget.clone(), share)?,
            paraphrased,
            related: None,
            unrelated: None,
        };
        asked.check()?;
        Ok(Some(asked))
    }

    /// Attacks every measured model, whose directories are in the subjects' order, and writes its recovery into its scores.
    pub(super) fn attack(
        &self,
        materials: &Materials,
        directories: &[Option<PathBuf>],
        subjects: &mut [Subject],
        observer: &mut Observer,
    ) -> Result<()> {
        let relearn = &self.spec.relearn;
        let attackers = Attackers {
            data: vec![AttackData::Forget],
            learning_rates: relearn.learning_rates.clone(),
            lora_ranks: relearn
                .lora_ranks
                .iter()
                .map(|&rank| (rank > 0).then_some(rank))
                .collect(),
            seeds: relearn.seeds.clone(),
            tuning: FineTuning {
                steps: relearn.max_steps,
                batch_size: relearn.batch_size,
                schedule: ScheduleKind::Constant,
                ..FineTuning::default()
            },
        };
        let campaign = Campaign {
            materials,
            attackers: attackers.all(),
            grid: EvaluationGrid { every: 0 },
            untrained: Vec::new(),
            device: DeviceName::Cpu,
            run: Some(self.run),
        };
        let models: Vec<_> = subjects.iter().zip(directories).collect();
        let progress = Progress::new(0, models.len(), "attacked");
        let attacked = in_parallel(
            &models,
            self.jobs,
            &progress,
            observer,
            |model, observer| {
                let (subject, directory) = model;
                let (Outcome::Measured(_), Some(directory)) = (&subject.outcome, directory) else {
                    return Ok(None);
                };
                let mut model = campaign.subject(&subject.row, directory)?;
                Ok(Some(ModelAttacks {
                    before: model.before(observer)?,
                    untrained: Vec::new(),
                    attacks: model.attacks(observer)?,
                }))
            },
        )?;
        judged(&attacked, materials, subjects)
    }
}

/// Writes each model's way back, between the anchors, into its scores.
fn judged(
    attacked: &[Option<ModelAttacks>],
    materials: &Materials,
    subjects: &mut [Subject],
) -> Result<()> {
    let anchor = |kind: SubjectKind| {
        let found = subjects.iter().position(|subject| subject.kind == kind);
        found.and_then(|place| attacked[place].as_ref())
    };
    let Some(original) = anchor(SubjectKind::Original) else {
        return Ok(());
    };
    let oracle = anchor(SubjectKind::Oracle);
    let mut recoveries = Vec::new();
    for (subject, attacks) in subjects.iter().zip(attacked) {
        recoveries.push(match attacks {
            None => None,
            Some(attacks) => {
                let anchors = match oracle {
                    Some(oracle) => AllAnchors::new(oracle, original),
                    None => AllAnchors::from_itself(attacks, original),
                };
                let verdict = judge(&subject.row, attacks, &anchors, materials.headline())?;
                let curve = verdict.best_curve(materials.headline(), Yardstick::Loss);
                curve.map(Recovery::of)
            }
        });
    }
    for (subject, recovery) in subjects.iter_mut().zip(recoveries) {
        if let Outcome::Measured(scores) = &mut subject.outcome {
            scores.recovery = recovery;
        }
    }
    Ok(())
}

impl Recovery {
    fn of(curve: &CurveVerdict) -> Self {
        let reached = |budget: &Budget| Reached {
            samples: budget.spend.samples,
            is_reached: budget.is_reached,
        };
        let [half, nine_tenths, full] = &curve.times;
        Self {
            half: reached(half),
            nine_tenths: reached(nine_tenths),
            full: reached(full),
            area: curve.area,
            curve: curve.points.clone(),
        }
    }
}
