//! The binary with a real model beside what lm-eval recorded with it: requests, answers, filters, metrics and results of
//! whole runs. `HARNESS_SMOLLM2` names the model; where it or the recordings are not there, the tests say that they skip.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests may panic and print"
)]

mod comparison;
mod recording;

use crate::comparison::Comparison;
use crate::recording::Recording;

/// Runs that take seconds, one of each kind: choices, few-shot, a Python-free row filter, generation.
const SHARE: [&str; 4] = [
    "hellaswag.0shot",
    "truthfulqa_gen.0shot",
    "truthfulqa_mc2.0shot",
    "winogrande.5shot",
];

/// The table of all runs that `wanted` chooses; afterwards nothing may differ.
fn all_agree(wanted: impl Fn(&str) -> bool) {
    let Some(model) = recording::model() else {
        return;
    };
    let recordings: Vec<Recording> = Recording::all()
        .into_iter()
        .filter(|recording| wanted(&recording.name))
        .collect();
    println!("{}", Comparison::HEADER);
    let mut wrong = Vec::new();
    for recording in &recordings {
        let compared = Comparison::new(recording, &recording.run(&model));
        println!("{compared}");
        wrong.extend(compared.wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_share_of_the_recorded_runs_comes_out_as_recorded() {
    all_agree(|name| SHARE.contains(&name));
}

/// `cargo test --release -p harness-cli --test live_runs -- --ignored --nocapture` prints the table of all runs.
#[test]
#[ignore = "takes minutes"]
fn every_recorded_run_comes_out_as_recorded() {
    all_agree(|_| true);
}
