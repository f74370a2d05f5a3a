//! The plan of an experiment for people: its models with what each comes of and takes, what waits for what, and how many are worked on
//! at once. It decides nothing.

use std::fmt;

use harness_bench::experiment::{
    Capacity, ExperimentSpec, Foreseen, Foresight, Making, PlannedFineTuning, PlannedSubject,
    SubjectKind,
};
use harness_report::{Align, Table};

/// A plan with what it will take.
pub(super) struct PlanText<'a> {
    pub(super) spec: &'a ExperimentSpec,
    pub(super) subjects: &'a [PlannedSubject],
    pub(super) foresight: &'a Foresight,
    pub(super) capacity: Capacity,
    pub(super) jobs: usize,
}

impl fmt::Display for PlanText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utility = match self.spec.utility.as_slice() {
            [] => "nothing that is measured".to_owned(),
            tasks => tasks.join(", "),
        };
        let (name, models) = (&self.spec.name, self.subjects.len());
        writeln!(
            f,
            "Experiment {name}: {models} models, useful for {utility}\n"
        )?;
        writeln!(f, "{}", self.table().plain())?;
        for (subject, foreseen) in self.subjects.iter().zip(&self.foresight.models) {
            if let Foreseen::Failure(reason) = foreseen {
                writeln!(f, "{} will fail: {reason}", subject.row)?;
            }
        }
        writeln!(f, "{}", self.order())?;
        writeln!(f, "{}", self.at_once())
    }
}

impl PlanText<'_> {
    fn table(&self) -> Table {
        let mut table = Table::new(&[
            ("Model", Align::Left),
            ("Seed", Align::Right),
            ("Memory", Align::Right),
            ("Comes of", Align::Left),
        ]);
        for (subject, foreseen) in self.subjects.iter().zip(&self.foresight.models) {
            let seed = subject.seed.map_or(String::new(), |seed| seed.to_string());
            let memory = match foreseen {
                Foreseen::Bytes(bytes) => gibibytes(*bytes as u64),
                Foreseen::Given | Foreseen::Failure(_) => "–".to_owned(),
            };
            let making = self.making(&subject.making);
            table.push(vec![subject.row.clone(), seed, memory, making]);
        }
        table
    }

    fn making(&self, making: &Making) -> String {
        match making {
            Making::Given(path) => path.display().to_string(),
            Making::FineTuning(anchor) => self.fine_tuning(anchor),
            Making::Noise(times) => {
                format!("the original and random weights, {times} × the methods' change")
            }
            Making::Unlearning(run) => {
                let settings = run.settings.iter().map(|setting| format!(", {setting}"));
                let settings: String = settings.collect();
                format!(
                    "{} steps of {} at {:e}{settings}",
                    run.steps, run.method, run.learning_rate
                )
            }
        }
    }

    fn fine_tuning(&self, anchor: &PlannedFineTuning) -> String {
        let forget = anchor.learns_forget_set.then_some(&self.spec.forget);
        let tasks: Vec<&str> = (forget.into_iter().chain(&self.spec.retain))
            .map(String::as_str)
            .collect();
        let settings = &anchor.settings;
        format!(
            "{} epochs of {} at {:e}, seed {}, on {}",
            settings.epochs,
            tasks.join(" and "),
            settings.learning_rate,
            anchor.seed,
            settings.base.display()
        )
    }

    /// What waits for what.
    fn order(&self) -> String {
        let has = |kinds: &[SubjectKind]| {
            let mut subjects = self.subjects.iter();
            subjects.any(|subject| kinds.contains(&subject.kind))
        };
        let side_by_side = if has(&[SubjectKind::Oracle, SubjectKind::OracleTwin]) {
            "oracles and methods"
        } else {
            "methods"
        };
        let mut order =
            format!("The original is made and measured first, then {side_by_side} side by side");
        if has(&[SubjectKind::Noise]) {
            order += ", then noise, whose size depends on the methods";
        }
        if self.spec.relearn.max_steps > 0 {
            order += "; attacks on all of them come last";
        }
        order + "."
    }

    /// How many at once, and what decides it.
    fn at_once(&self) -> String {
        let threads = match self.capacity.threads {
            1 => "1 thread".to_owned(),
            threads => format!("{threads} threads"),
        };
        let spare = self.capacity.spare_bytes;
        let spare = spare.map_or(String::new(), |bytes| {
            format!("{} to spare, ", gibibytes(bytes))
        });
        format!(
            "{} at a time: up to {} each, {spare}{threads}.",
            self.jobs,
            gibibytes(self.foresight.bytes_each() as u64)
        )
    }
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / (1u64 << 30) as f64)
}
