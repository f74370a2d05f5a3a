//! Loglikelihoods against what lm-eval recorded with SmolLM2-135M in f32. `HARNESS_SMOLLM2` names the model directory
//! (`../shared/bin/get-smollm2` makes one), `HARNESS_GOLDEN` the recordings.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests may panic and print"
)]

use std::path::{Path, PathBuf};

use candle_core::Device;
use harness_engine::Scorer;
use harness_model::Model;
use harness_task::{Request, Response};
use serde_json::Value;

fn from_environment(variable: &str, default: &str) -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(default);
    std::env::var_os(variable).map_or(default, PathBuf::from)
}

/// Requests with the recorded answers of the first documents of a samples file.
fn recorded(file: &Path, documents: usize) -> Vec<(Request, f64, bool)> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text
        .lines()
        .take(documents)
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let request = |(arguments, response): (&Value, &Value)| {
        let text = |i: usize| arguments[i].as_str().unwrap().to_owned();
        let request = Request::Loglikelihood {
            context: text(0),
            continuation: text(1),
        };
        (
            request,
            response[0][0].as_f64().unwrap(),
            response[0][1].as_bool().unwrap(),
        )
    };
    let document = |line: Value| -> Vec<_> {
        let (arguments, responses) = (
            line["arguments"].as_array().unwrap(),
            line["resps"].as_array().unwrap(),
        );
        arguments.iter().zip(responses).map(request).collect()
    };
    lines.flat_map(document).collect()
}

fn check(file: &str, documents: usize) {
    let golden = from_environment("HARNESS_GOLDEN", "../shared/golden")
        .join("lm-eval")
        .join(file);
    let directory = from_environment("HARNESS_SMOLLM2", "../M");
    if !golden.is_file() || !directory.is_dir() {
        eprintln!(
            "SKIPPED: needs {} and a SmolLM2 directory in HARNESS_SMOLLM2",
            golden.display()
        );
        return;
    }
    let model = Model::open(&directory, &Device::Cpu).unwrap();
    let mut scorer = Scorer::new(model.decoder().unwrap(), model.tokenizer.clone());
    let recorded = recorded(&golden, documents);
    let requests: Vec<Request> = recorded
        .iter()
        .map(|(request, ..)| request.clone())
        .collect();
    let responses = scorer.answer(&requests, &mut |_| {}).unwrap();
    let mut worst = 0f64;
    for ((request, logprob, greedy), response) in recorded.iter().zip(responses) {
        let Response::Loglikelihood {
            logprob: got,
            is_greedy,
        } = response
        else {
            panic!("{response:?}")
        };
        worst = worst.max((got - logprob).abs());
        assert_eq!(is_greedy, *greedy, "{request:?}");
    }
    println!(
        "{file}: worst difference {worst:.1e} over {} requests; {:?}",
        recorded.len(),
        scorer.statistics()
    );
    assert!(worst < 2e-3, "{file}: {worst}");
}

#[test]
fn arc_easy_without_shots() {
    check("arc_easy.0shot.samples.jsonl", 60);
}

#[test]
fn arc_challenge_with_25_shots() {
    check("arc_challenge.25shot.samples.jsonl", 2);
}
