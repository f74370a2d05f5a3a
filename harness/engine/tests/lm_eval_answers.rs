//! Answers to requests against what lm-eval recorded with SmolLM2-135M in f32. `HARNESS_SMOLLM2` names the model directory
//! (`../shared/bin/get-smollm2` makes one), `HARNESS_GOLDEN` the recordings.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests may panic and print"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use candle_core::Device;
use harness_engine::Scorer;
use harness_model::Model;
use harness_task::{Generation, Request, Response};
use serde_json::Value;

fn from_environment(variable: &str, default: &str) -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(default);
    std::env::var_os(variable).map_or(default, PathBuf::from)
}

/// Requests with the recorded answers of the first documents of a samples file.
fn recorded(file: &Path, documents: usize) -> Vec<(Request, Value)> {
    let text = std::fs::read_to_string(file).unwrap();
    let request = |(arguments, response): (&Value, &Value)| {
        let text = |i: usize| arguments[i].as_str().unwrap().to_owned();
        let request = match &arguments[1] {
            Value::Null => Request::LoglikelihoodRolling { text: text(0) },
            Value::Object(kwargs) => Request::GenerateUntil {
                context: text(0),
                generation: Generation::from_kwargs(kwargs.clone()).unwrap(),
            },
            _ => Request::Loglikelihood {
                context: text(0),
                continuation: text(1),
            },
        };
        (request, response[0].clone())
    };
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        // Each filter pipeline has a line of its own.
        if seen.len() == documents || !seen.insert(line["doc_id"].as_u64().unwrap()) {
            continue;
        }
        let (arguments, responses) = (
            line["arguments"].as_array().unwrap(),
            line["resps"].as_array().unwrap(),
        );
        all.extend(arguments.iter().zip(responses).map(request));
    }
    all
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
        .map(|(request, _)| request.clone())
        .collect();
    let responses = scorer.answer(&requests, &mut |_| Ok(())).unwrap();
    let (mut worst, mut other_texts) = (0f64, 0);
    for ((request, want), response) in recorded.iter().zip(responses) {
        match response {
            Response::Loglikelihood { logprob, is_greedy } => {
                worst = worst.max((logprob - want[0].as_f64().unwrap()).abs());
                assert_eq!(is_greedy, want[1].as_bool().unwrap(), "{request:?}");
            }
            Response::LoglikelihoodRolling { logprob } => {
                // A sum over thousands of tokens.
                let want = want.as_f64().or_else(|| want[0].as_f64()).unwrap();
                worst = worst.max((logprob / want - 1.0).abs());
            }
            Response::GenerateUntil { text } => {
                let want = want.as_str().unwrap();
                if text != want {
                    other_texts += 1;
                    println!("{file}: {text:?}\n  instead of {want:?}");
                }
            }
            other => panic!("{other:?}"),
        }
    }
    println!(
        "{file}: worst difference {worst:.1e}, {other_texts} other texts over {} requests; {:?}",
        recorded.len(),
        scorer.statistics()
    );
    assert!(worst < 2e-3, "{file}: {worst}");
    assert!(20 * other_texts <= recorded.len(), "{file}: {other_texts}");
}

#[test]
fn arc_easy_without_shots() {
    check("arc_easy.0shot.samples.jsonl", 60);
}

#[test]
fn arc_challenge_with_25_shots() {
    check("arc_challenge.25shot.samples.jsonl", 2);
}

#[test]
fn gsm8k_with_5_shots() {
    check("gsm8k.5shot.samples.jsonl", 2);
}

#[test]
fn truthfulqa_generation() {
    check("truthfulqa_gen.0shot.samples.jsonl", 20);
}

#[test]
fn wikitext() {
    check("wikitext.0shot.samples.jsonl", 2);
}
