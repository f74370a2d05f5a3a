//! Which models an experiment has, in the order in which they are made and measured. Makes none of them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::anchors::PlannedFineTuning;
use super::making::Made;
use super::record::{Outcome, Subject, SubjectKind};
use super::spec::{ExperimentSpec, MethodSpec};

/// The original's row, and the name of its files.
pub(super) const ORIGINAL: &str = "original";

/// A model of the plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedSubject {
    /// Row of the scorecard.
    pub row: String,
    /// What it is.
    pub kind: SubjectKind,
    /// Seed of its making.
    pub seed: Option<u64>,
    /// How it comes to be.
    pub making: Making,
}

/// How a model comes to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Making {
    /// It is there.
    Given(PathBuf),
    /// It is a base that learns documents.
    FineTuning(Box<PlannedFineTuning>),
    /// A method makes it of the original.
    Unlearning(PlannedUnlearning),
    /// Random weights are added to the original: so many times as much as the methods changed it, in the mean.
    Noise(f64),
}

/// A method's run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedUnlearning {
    /// The method's id.
    pub method: String,
    /// Its options, as `--set` takes them.
    pub settings: Vec<String>,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Optimiser steps.
    pub steps: usize,
}

impl PlannedSubject {
    /// Name of its files: the row and the seed.
    pub fn file_name(&self) -> String {
        let plain = |c: char| {
            if c.is_alphanumeric() || "._-".contains(c) {
                c
            } else {
                '-'
            }
        };
        let row: String = self.row.chars().map(plain).collect();
        match self.seed {
            Some(seed) => format!("{row}-seed{seed}"),
            None => row,
        }
    }

    /// When it can be made: after everything of a lower number. All need the original, and noise needs the methods' size.
    pub(super) fn wave(&self) -> usize {
        match self.kind {
            SubjectKind::Original => 0,
            SubjectKind::Oracle | SubjectKind::OracleTwin | SubjectKind::Method => 1,
            SubjectKind::Noise => 2,
        }
    }

    /// It with its outcome.
    pub(super) fn subject(&self, outcome: Outcome, made: Option<&Made>) -> Subject {
        Subject {
            row: self.row.clone(),
            kind: self.kind,
            seed: self.seed,
            outcome,
            cost: made.and_then(|made| made.cost),
            machine_cost: made.and_then(|made| made.machine_cost),
            trail: made.map_or_else(Vec::new, |made| made.trail.clone()),
        }
    }
}

/// The models of an experiment: anchors, then each method at each learning rate with each seed, then noise, whose size depends
/// on the methods.
pub fn plan(spec: &ExperimentSpec) -> Vec<PlannedSubject> {
    let mut subjects = anchors(spec);
    for method in &spec.methods {
        subjects.extend(of_method(spec, method));
    }
    for &times in &spec.noise {
        subjects.extend(of_noise(spec, times));
    }
    subjects
}

impl ExperimentSpec {
    /// A name of files that two models would share.
    pub(super) fn files_named_twice(&self) -> Option<String> {
        let mut names = BTreeSet::new();
        let planned = plan(self).into_iter();
        let mut planned = planned.map(|subject| subject.file_name());
        planned.find(|name| !names.insert(name.clone()))
    }
}

fn of_noise(spec: &ExperimentSpec, times: f64) -> Vec<PlannedSubject> {
    let is_once = (times - 1.0).abs() < f64::EPSILON;
    let row = if is_once {
        "noise".to_owned()
    } else {
        format!("noise × {times}")
    };
    let subject = |&seed: &u64| PlannedSubject {
        row: row.clone(),
        kind: SubjectKind::Noise,
        seed: Some(seed),
        making: Making::Noise(times),
    };
    spec.seeds.iter().map(subject).collect()
}

/// The original and the oracles: given, or else made of the base.
fn anchors(spec: &ExperimentSpec) -> Vec<PlannedSubject> {
    let made = |learns_forget_set: bool, later: u64| {
        let settings = spec.finetune.as_ref();
        settings.map(|settings| {
            Making::FineTuning(Box::new(PlannedFineTuning {
                seed: settings.seed + later,
                settings: settings.clone(),
                learns_forget_set,
            }))
        })
    };
    let given = |path: &Option<PathBuf>| path.clone().map(Making::Given);
    let wants_twin = spec.finetune.as_ref().is_some_and(|own| own.twin);
    let twin = given(&spec.oracle_twin).or_else(|| made(false, 1).filter(|_| wants_twin));
    let all = [
        (
            ORIGINAL,
            SubjectKind::Original,
            given(&spec.model).or_else(|| made(true, 0)),
        ),
        (
            "oracle",
            SubjectKind::Oracle,
            given(&spec.oracle).or_else(|| made(false, 0)),
        ),
        ("oracle twin", SubjectKind::OracleTwin, twin),
    ];
    let planned = all.into_iter().filter_map(|(row, kind, making)| {
        Some(PlannedSubject {
            row: row.to_owned(),
            kind,
            seed: None,
            making: making?,
        })
    });
    planned.collect()
}

fn of_method(spec: &ExperimentSpec, method: &MethodSpec) -> Vec<PlannedSubject> {
    let rates = if method.learning_rates.is_empty() {
        &spec.unlearn.learning_rates
    } else {
        &method.learning_rates
    };
    let name = method.name.as_ref().unwrap_or(&method.method);
    let row = |rate: f64| match rates.len() {
        1 => name.clone(),
        _ => format!("{name} lr {rate:e}"),
    };
    let subject = |rate: f64, seed: u64| PlannedSubject {
        row: row(rate),
        kind: SubjectKind::Method,
        seed: Some(seed),
        making: Making::Unlearning(PlannedUnlearning {
            method: method.method.clone(),
            settings: method.settings(),
            learning_rate: rate,
            steps: method.steps.unwrap_or(spec.unlearn.steps),
        }),
    };
    let with_seeds = |&rate| spec.seeds.iter().map(move |&seed| (rate, seed));
    let pairs = rates.iter().flat_map(with_seeds);
    pairs.map(|(rate, seed)| subject(rate, seed)).collect()
}
