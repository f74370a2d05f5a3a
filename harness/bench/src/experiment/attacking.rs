//! The attacks on the models of an experiment: a campaign of all attackers that its file asks for, judged between the oracle and
//! the original. Without an oracle, recovery starts at what the model itself knew.

use std::path::{Path, PathBuf};

use harness_model::DeviceName;

use super::parallel::{Progress, in_parallel};
use super::record::{Outcome, Subject, SubjectKind};
use super::recovery::Recovery;
use super::run::Experiment;
use crate::error::{BenchError, Result};
use crate::event::{Event, Observer};
use crate::relearn::{
    AllAnchors, AttackData, AttackedModel, Attacker, Campaign, EvaluationGrid, HELD_OUT_SHARE,
    Materials, ModelAttacks, Split, UntrainedAttackKind, Verdict,
};

impl Experiment<'_> {
    /// What attackers train on and are judged by; `None` where nothing is to be attacked.
    ///
    /// # Errors
    /// When a set is too small to hold anything out or to train on, or questions are in training data.
    pub(super) fn attack_materials(&self) -> Result<Option<Materials>> {
        let (spec, materials) = (self.spec, self.materials);
        if spec.relearn.max_steps == 0 {
            return Ok(None);
        }
        let paraphrased = (spec.paraphrased.clone()).zip(Some(materials.paraphrased.clone()));
        let share = if paraphrased.is_some() {
            0.0
        } else {
            HELD_OUT_SHARE
        };
        let unrelated = (spec.relearn.unrelated.clone()).zip(Some(materials.unrelated.clone()));
        let all = Materials {
            forget: Split::new(&spec.forget, materials.forget.clone(), share)?,
            paraphrased,
            related: self.related()?,
            unrelated,
        };
        all.check(&spec.relearn.data, spec.relearn.batch_size)?;
        Ok(Some(all))
    }

    /// The related task, cut into what is trained on and what shows damage. A retain set that nobody named for this is left out
    /// where it is too small.
    fn related(&self) -> Result<Option<Split>> {
        let (spec, relearn) = (self.spec, &self.spec.relearn);
        let (task, pairs) = match (&relearn.related, &spec.retain) {
            (Some(task), _) => (task, &self.materials.related),
            (None, Some(task)) => (task, &self.materials.retain),
            (None, None) => return Ok(None),
        };
        let is_named = relearn.related.is_some() || relearn.data.contains(&AttackData::Related);
        match Split::new(task, pairs.clone(), HELD_OUT_SHARE) {
            Ok(split) if split.trained.len() >= relearn.batch_size => Ok(Some(split)),
            _ if !is_named => Ok(None),
            Ok(split) => {
                let message = format!(
                    "an attacker takes {} documents a step, and {} of {task} are left to train on",
                    relearn.batch_size,
                    split.trained.len()
                );
                Err(BenchError::Request(message))
            }
            Err(error) => Err(error),
        }
    }

    /// Attacks every measured model, whose directories are in the subjects' order, writes its recovery into its scores, and
    /// returns what was tried.
    pub(super) fn attack(
        &self,
        materials: &Materials,
        directories: &[Option<PathBuf>],
        subjects: &mut [Subject],
        observer: &mut Observer,
    ) -> Result<Vec<AttackedModel>> {
        let measured: Vec<(usize, &Path)> = (0..subjects.len())
            .filter(|&place| matches!(subjects[place].outcome, Outcome::Measured(_)))
            .filter_map(|place| Some((place, directories[place].as_deref()?)))
            .collect();
        let anchor = |kind| {
            let mut places = measured.iter();
            places.find(|&&(place, _)| subjects[place].kind == kind)
        };
        let (original, oracle) = (anchor(SubjectKind::Original), anchor(SubjectKind::Oracle));
        let Some(&(original, path)) = original else {
            return Ok(Vec::new());
        };
        let campaign = self.campaign(materials);
        let before = |&(place, path): &(usize, &Path), observer: &mut Observer| {
            campaign
                .subject(&subjects[place].row, path)?
                .before_training(observer)
        };
        let never_forgot = before(&(original, path), observer)?;
        let never_knew = oracle.map(|oracle| before(oracle, observer)).transpose()?;
        if let Some(oracle) = &never_knew {
            let anchors = AllAnchors::new(oracle, &never_forgot).plain;
            if let Err(reason) = anchors.require_scale(materials.headline(), "oracle") {
                observer(Event::Message(format!("no relearning: {reason}")));
                return Ok(Vec::new());
            }
        }
        let progress = Progress::new(0, measured.len(), "attacked");
        let judged = in_parallel(
            &measured,
            self.jobs,
            &progress,
            observer,
            |&(place, path), observer| {
                let mut model = campaign.subject(&subjects[place].row, path)?;
                let before = model.before_training(observer)?;
                let anchors = anchors(never_knew.as_ref(), &before, &never_forgot);
                let (attacks, verdict) = model.attacked(before, &anchors, observer)?;
                Ok((place, attacks, verdict))
            },
        )?;
        let oracle = oracle.map(|&(place, _)| place);
        write_recoveries(&judged, original, oracle, subjects);
        let attacked = judged.into_iter().map(|(place, attacks, _)| AttackedModel {
            model: subjects[place].row.clone(),
            seed: subjects[place].seed,
            attacks,
        });
        Ok(attacked.collect())
    }

    /// What the report says about the attackers.
    pub(super) fn attack_facts(&self) -> Vec<(String, String)> {
        let relearn = &self.spec.relearn;
        if relearn.max_steps == 0 {
            return Vec::new();
        }
        let all = relearn.attackers().all();
        let names: Vec<String> = all.iter().map(Attacker::describe).collect();
        let steps = format!("{} steps of {}", relearn.max_steps, relearn.batch_size);
        vec![
            ("attackers".into(), names.join("; ")),
            (
                "attack".into(),
                format!("{steps}, {} rate", relearn.schedule),
            ),
        ]
    }

    /// The campaign that the file asks for; without the few-shot attack where the forget set is too small for examples.
    fn campaign<'a>(&'a self, materials: &'a Materials) -> Campaign<'a> {
        let relearn = &self.spec.relearn;
        let mut untrained = relearn.untrained(&self.spec.rounding);
        if materials.few_shot().is_err() {
            untrained.retain(|kind| !matches!(kind, UntrainedAttackKind::FewShot(_)));
        }
        Campaign {
            materials,
            attackers: relearn.attackers().all(),
            grid: EvaluationGrid { every: 0 },
            untrained,
            control: relearn.control,
            device: DeviceName::Cpu,
            run: Some(self.run),
        }
    }
}

fn anchors(
    never_knew: Option<&ModelAttacks>,
    itself: &ModelAttacks,
    original: &ModelAttacks,
) -> AllAnchors {
    match never_knew {
        Some(oracle) => AllAnchors::new(oracle, original),
        None => AllAnchors::from_itself(itself, original),
    }
}

/// Writes each model's way back into its scores.
fn write_recoveries(
    judged: &[(usize, ModelAttacks, Verdict)],
    original: usize,
    oracle: Option<usize>,
    subjects: &mut [Subject],
) {
    let of = |place: usize| {
        let found = judged.iter().find(|(judged, ..)| *judged == place);
        found.map(|(_, _, verdict)| verdict)
    };
    let anchors = oracle.and_then(of).zip(of(original));
    for (place, _, verdict) in judged {
        let resistance = anchors.and_then(|(never_knew, original)| {
            verdict.resistance(never_knew, original, verdict.headline)
        });
        if let Outcome::Measured(scores) = &mut subjects[*place].outcome {
            scores.recovery = Recovery::of(verdict, resistance);
        }
    }
}
