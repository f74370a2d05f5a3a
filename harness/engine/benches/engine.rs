//! What scoring makes of a machine: tokens asked, tokens computed, tokens a second, and the share of the machine's own speed at
//! large matrix products, measured in the same run. `HARNESS_SMOLLM2` names the model directory.
//!
//! `HARNESS_SMOLLM2=DIR cargo bench -p harness-engine` prints one JSON object a workload; docs/performance.md reads them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may panic and print"
)]

use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use harness_engine::Scorer;
use harness_model::train::TokenizedPair;
use harness_model::{DecoderSpec, Model, ops};
use serde_json::json;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RUNS: usize = 3;

/// How a task's prompts look: documents with an own part after a shared one, each with several answers.
struct Workload {
    name: &'static str,
    shared: usize,
    documents: usize,
    own: usize,
    answers: usize,
    answer: usize,
}

/// Lengths are near those of the tasks that give the names.
const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "25 own shots (ARC)",
        shared: 0,
        documents: 3,
        own: 1000,
        answers: 4,
        answer: 4,
    },
    Workload {
        name: "5 common shots (MMLU)",
        shared: 600,
        documents: 40,
        own: 60,
        answers: 4,
        answer: 1,
    },
    Workload {
        name: "many answers (TruthfulQA)",
        shared: 200,
        documents: 20,
        own: 15,
        answers: 8,
        answer: 12,
    },
    Workload {
        name: "no shots (ARC easy)",
        shared: 0,
        documents: 100,
        own: 25,
        answers: 4,
        answer: 4,
    },
];

impl Workload {
    fn pairs(&self, vocabulary: usize) -> Vec<TokenizedPair> {
        let token = |i: usize| (i * 7919 % vocabulary) as u32;
        let shared: Vec<u32> = (0..self.shared).map(token).collect();
        let mut pairs = Vec::with_capacity(self.documents * self.answers);
        for document in 0..self.documents {
            let own = (0..self.own).map(|i| token(1_000_003 * (document + 1) + i));
            let prompt: Vec<u32> = shared.iter().copied().chain(own).collect();
            for answer in 0..self.answers {
                let start = 15_485_863 * (answer + 1) + document;
                pairs.push(TokenizedPair {
                    prompt: prompt.clone(),
                    answer: (0..self.answer).map(|i| token(start + i)).collect(),
                });
            }
        }
        pairs
    }

    /// Floating-point operations of what is computed: every layer for every row, the head for every scored token.
    fn flops(&self, spec: &DecoderSpec, computed: usize) -> f64 {
        let head = 2.0 * (spec.vocabulary * spec.embedding.width) as f64;
        // Rows see half of their own part on average, and all that comes before.
        let seen = self.shared as f64 + self.own as f64 / 2.0;
        let scored = (self.documents * self.answers * self.answer) as f64;
        computed as f64 * (spec.forward_flops(seen) - head) + scored * head
    }
}

/// Floating-point operations a second of large products, the best of some.
fn product_speed() -> f64 {
    const SIDE: usize = 2048;
    let matrix = || Tensor::ones((SIDE, SIDE), DType::F32, &Device::Cpu).unwrap();
    let (x, weight) = (matrix(), matrix());
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        ops::linear(&x, &weight, None).unwrap();
        best = best.min(start.elapsed().as_secs_f64());
    }
    2.0 * (SIDE * SIDE * SIDE) as f64 / best
}

fn main() {
    let Some(directory) = std::env::var_os("HARNESS_SMOLLM2") else {
        println!("SKIPPED: HARNESS_SMOLLM2 names no model directory");
        return;
    };
    let model = Model::open(directory.as_ref(), &Device::Cpu).unwrap();
    let peak = product_speed();
    println!(
        "{}",
        json!({ "large products, GFLOP/s": (peak / 1e9).round() })
    );
    for workload in WORKLOADS {
        let pairs = workload.pairs(model.spec.vocabulary);
        let mut seconds = Vec::new();
        let mut statistics = None;
        for _ in 0..RUNS {
            let mut scorer = Scorer::new(model.decoder().unwrap(), model.tokenizer.clone());
            let start = Instant::now();
            scorer.score_answers(&pairs, false, &mut |_| {}).unwrap();
            seconds.push(start.elapsed().as_secs_f64());
            statistics = Some(scorer.statistics());
        }
        seconds.sort_by(f64::total_cmp);
        let (median, statistics) = (seconds[RUNS / 2], statistics.unwrap());
        let computed = statistics.tokens_computed;
        let speed = workload.flops(&model.spec, computed) / median;
        println!(
            "{}",
            json!({
                "workload": workload.name,
                "tokens_asked": statistics.tokens_asked,
                "tokens_computed": computed,
                "seconds": (median * 1e3).round() / 1e3,
                "tokens_per_s": (computed as f64 / median).round(),
                "share_of_products": (speed / peak * 1e3).round() / 1e3,
            })
        );
    }
}
