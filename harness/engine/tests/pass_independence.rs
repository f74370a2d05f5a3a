//! Scores do not depend on how requests are packed: any limit on rows, sequences and memory gives the same answers, for every
//! family. `HARNESS_MODELS` names the folder with small models.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests may panic and print"
)]

use std::path::{Path, PathBuf};

use candle_core::Device;
use harness_engine::{MemoryBudget, Scorer};
use harness_metric::PythonRandom;
use harness_model::Model;
use harness_model::train::TokenizedPair;

fn models() -> Vec<Model> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models");
    let folder = std::env::var_os("HARNESS_MODELS").map_or(default, PathBuf::from);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: no models in {}", folder.display());
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    // What is no model, or of no family that is supported, is other tests' business.
    let opened = folders.iter().map(|path| Model::open(path, &Device::Cpu));
    opened.filter_map(Result::ok).collect()
}

/// Prompts that share beginnings, as few-shot prompts do, with several answers each, in no order.
fn pairs(vocabulary: usize, longest: usize) -> Vec<TokenizedPair> {
    let mut random = PythonRandom::new(7);
    let longest = longest.min(300);
    let mut tokens = |count: usize| -> Vec<u32> {
        (0..count)
            .map(|_| random.randbelow(vocabulary) as u32)
            .collect()
    };
    let shots = tokens(longest / 2);
    let mut pairs = Vec::new();
    for document in 0..5 {
        let kept = [longest / 2, longest / 3, 0][document % 3];
        let question = tokens(1 + longest / 8 * (document % 2));
        let prompt = [&shots[..kept], &question].concat();
        for length in [1, 1, 2, longest / 8] {
            pairs.push(TokenizedPair {
                prompt: prompt.clone(),
                answer: tokens(length),
            });
        }
    }
    random.shuffle(&mut pairs);
    pairs
}

#[test]
fn scores_do_not_depend_on_packing() {
    for model in models() {
        let pairs = pairs(model.spec.vocabulary, model.spec.max_positions);
        let scored = |change: &dyn Fn(Scorer) -> Scorer| -> Vec<f32> {
            let scorer = Scorer::new(model.decoder().unwrap(), model.tokenizer.clone());
            let scores = change(scorer)
                .score_answers(&pairs, false, &mut |_| {})
                .unwrap();
            scores
                .into_iter()
                .flat_map(|score| score.logprobs)
                .collect()
        };
        let mut alone: Vec<f32> = Vec::new();
        for pair in &pairs {
            let mut scorer = Scorer::new(model.decoder().unwrap(), model.tokenizer.clone());
            let one = std::slice::from_ref(pair);
            let scores = scorer.score_answers(one, false, &mut |_| {}).unwrap();
            alone.extend(&scores[0].logprobs);
        }
        let rows = |rows: usize| move |scorer: Scorer| scorer.with_batch_rows(rows);
        let changes: [&dyn Fn(Scorer) -> Scorer; 6] = [
            &|scorer| scorer,
            &rows(1),
            &rows(100),
            &|scorer| scorer.with_batch_sequences(1),
            &|scorer| scorer.with_batch_rows(70).with_batch_sequences(3),
            &|scorer| scorer.with_memory(MemoryBudget::from_bytes(1)),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let together = scored(change);
            assert_eq!(together.len(), alone.len());
            let differences = together.iter().zip(&alone).map(|(a, b)| (a - b).abs());
            let worst = differences.fold(0.0, f32::max);
            let family = &model.spec.family;
            assert!(worst < 1e-4, "{family}, change {number}: {worst}");
        }
    }
}
