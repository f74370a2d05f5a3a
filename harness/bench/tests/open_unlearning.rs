//! What a model knows of answers, against open-unlearning's own functions on the same tiny models: `HARNESS_GOLDEN` names the
//! recordings, `HARNESS_MODELS` the models that their weights belong to.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests may panic and print"
)]

use std::path::{Path, PathBuf};

use candle_core::Device;
use harness_bench::AnswerSet;
use harness_bench::{GradientNorm, gradient_norms};
use harness_engine::Scorer;
use harness_metric::{
    answer_share, area_under_roc, loss_per_compressed_byte, mean, truth_ratio,
    truth_ratio_advantage, truth_ratio_closeness,
};
use harness_model::Model;
use harness_model::train::TokenizedPair;
use harness_task::{AnswerTokens, Generation, Request, Response};
use serde_json::{Value, json};

fn shared(variable: &str, folder: &str) -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    std::env::var_os(variable).map_or_else(|| default.join(folder), PathBuf::from)
}

/// A recorded model with its weights in place.
struct Recorded {
    family: String,
    numbers: Value,
    model: Model,
    reference: Model,
}

fn recorded() -> Vec<Recorded> {
    let (golden, models) = (
        shared("HARNESS_GOLDEN", "golden"),
        shared("HARNESS_MODELS", "models"),
    );
    let file = golden.join("metrics/open_unlearning_models.json");
    let Ok(text) = std::fs::read_to_string(&file) else {
        eprintln!("SKIPPED: no {} (set HARNESS_GOLDEN)", file.display());
        return Vec::new();
    };
    let all: Value = serde_json::from_str(&text).unwrap();
    let of_family = |(family, numbers): (&String, &Value)| {
        let stored = models.join(family);
        if !stored.is_dir() {
            eprintln!("SKIPPED: no {} (set HARNESS_MODELS)", stored.display());
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(&stored).unwrap().flatten() {
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        let weights = golden.join(numbers["weights"].as_str().unwrap());
        std::fs::copy(weights, folder.path().join("model.safetensors")).unwrap();
        Some(Recorded {
            family: family.clone(),
            numbers: numbers.clone(),
            model: Model::open(folder.path(), &Device::Cpu).unwrap(),
            reference: Model::open(&stored, &Device::Cpu).unwrap(),
        })
    };
    all["models"]
        .as_object()
        .unwrap()
        .iter()
        .filter_map(of_family)
        .collect()
}

fn ids(value: &Value) -> Vec<i64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_i64().unwrap())
        .collect()
}

/// An item as a pair: what has no label is the prompt. An item without labels is none.
fn pair(item: &Value) -> Option<TokenizedPair> {
    let (inputs, labels) = (ids(&item["input_ids"]), ids(&item["labels"]));
    let start = labels.iter().position(|&label| label >= 0)?;
    let tokens = |ids: &[i64]| ids.iter().map(|&id| u32::try_from(id).unwrap()).collect();
    let end = labels.iter().rposition(|&label| label >= 0)? + 1;
    // A label at the very first place is never predicted.
    let start = start.max(1);
    (end > start).then(|| TokenizedPair {
        prompt: tokens(&inputs[..start]),
        answer: tokens(&labels[start..end]),
    })
}

impl Recorded {
    fn scorer(&self) -> Scorer {
        Scorer::new(self.model.decoder().unwrap(), self.model.tokenizer.clone())
    }

    /// The items of a set, or of a list of sets the number `of`.
    fn items(&self, set: &str) -> Vec<Value> {
        let items = self.numbers["sets"][set].as_array().unwrap().iter();
        items.cloned().collect()
    }

    fn pairs(&self, set: &str) -> Vec<(String, TokenizedPair)> {
        let items = self.items(set);
        let items = items.iter();
        items
            .filter_map(|item| Some((item["index"].to_string(), pair(item)?)))
            .collect()
    }

    fn tokens(&self, scorer: &mut Scorer, set: &str) -> Vec<(String, AnswerTokens)> {
        let pairs = self.pairs(set);
        let only: Vec<TokenizedPair> = pairs.iter().map(|(_, pair)| pair.clone()).collect();
        let scored = scorer.score_answers(&only, true, &mut |_| {}).unwrap();
        let numbers = pairs.into_iter().map(|(index, _)| index);
        numbers.zip(scored).collect()
    }

    fn value(&self, result: &str, index: &str, key: &str) -> f64 {
        let results = &self.numbers["results"];
        results[result]["value_by_index"][index][key]
            .as_f64()
            .unwrap()
    }

    fn close(&self, what: &str, got: f64, want: f64) {
        let close = (got - want).abs() <= 2e-4 * want.abs().max(0.1);
        assert!(close, "{}, {what}: {got} for {want}", self.family);
    }

    fn text(&self, pair: &TokenizedPair) -> String {
        self.model.tokenizer.decode(&pair.answer, true).unwrap()
    }
}

#[test]
fn answers_are_known_as_recorded() {
    for recorded in recorded() {
        let mut scorer = recorded.scorer();
        for set in ["forget", "holdout", "para"] {
            for (index, tokens) in recorded.tokens(&mut scorer, set) {
                let place = format!("{set} {index}");
                let result = format!("probability.{set}");
                let close =
                    |what: &str, got, want| recorded.close(&format!("{place} {what}"), got, want);
                close(
                    "probability",
                    tokens.probability(true).unwrap(),
                    recorded.value(&result, &index, "prob"),
                );
                close(
                    "loss",
                    tokens.loss(true).unwrap(),
                    recorded.value(&result, &index, "avg_loss"),
                );
                if set == "para" {
                    continue;
                }
                assert!(tokens.ends_text, "{place}");
                let memorised =
                    recorded.value(&format!("exact_memorization.{set}"), &index, "score");
                close("EM", tokens.exact_memorisation(false).unwrap(), memorised);
                let extracted =
                    recorded.value(&format!("extraction_strength.{set}"), &index, "score");
                close(
                    "ES",
                    tokens.extraction_strength(false, true).unwrap(),
                    extracted,
                );
            }
        }
        let first = recorded.tokens(&mut scorer, "forget");
        let listed = recorded.numbers["results"]["tokenwise_logprobs.first3"]
            .as_array()
            .unwrap();
        for ((_, tokens), want) in first.iter().zip(listed) {
            for (got, want) in tokens.logprobs(false).iter().zip(want.as_array().unwrap()) {
                assert!((got - want.as_f64().unwrap()).abs() < 1e-4);
            }
        }
    }
}

#[test]
fn truth_ratios_and_shares_are_as_recorded() {
    for recorded in recorded() {
        let mut scorer = recorded.scorer();
        let right = recorded.tokens(&mut scorer, "para");
        let wrong: Vec<Vec<f64>> = recorded
            .items("pert")
            .iter()
            .map(|items| {
                let items: Vec<&Value> = match items {
                    Value::Array(items) => items.iter().collect(),
                    by_number => by_number.as_object().unwrap().values().collect(),
                };
                let pairs: Vec<TokenizedPair> = items.into_iter().filter_map(pair).collect();
                let scored = scorer.score_answers(&pairs, false, &mut |_| {}).unwrap();
                scored
                    .iter()
                    .map(|tokens| -tokens.loss(true).unwrap())
                    .collect()
            })
            .collect();
        let (mut closeness, mut advantage, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        for ((index, right), wrong) in right.iter().zip(&wrong) {
            let ratio = truth_ratio(-right.loss(true).unwrap(), wrong).unwrap();
            let want = recorded.value("truth_ratio.true_better", index, "score");
            recorded.close(&format!("truth ratio {index}"), ratio, want);
            closeness.push(truth_ratio_closeness(ratio).unwrap());
            advantage.push(truth_ratio_advantage(ratio).unwrap());
            let wrong: Vec<f64> = wrong.iter().map(|logprob| logprob.exp()).collect();
            let share = answer_share(right.probability(true).unwrap(), &wrong).unwrap();
            recorded.close(
                "share",
                share,
                recorded.value("probability_w_options", index, "prob"),
            );
            shares.push(share);
        }
        for (name, values) in [
            ("truth_ratio.closer_to_1_better", closeness),
            ("truth_ratio.true_better", advantage),
            ("probability_w_options", shares),
        ] {
            let want = recorded.numbers["results"][name]["agg_value"]
                .as_f64()
                .unwrap();
            recorded.close(name, mean(&values).unwrap(), want);
        }
    }
}

/// Scores of a set by the names of the recordings.
fn attack_scores(recorded: &Recorded, set: &str) -> Vec<(String, Vec<(String, f64)>)> {
    let mut scorer = recorded.scorer();
    let tokens = recorded.tokens(&mut scorer, set);
    let pairs = recorded.pairs(set);
    let of = |score: &dyn Fn(usize, &AnswerTokens) -> f64| -> Vec<(String, f64)> {
        let all = tokens.iter().enumerate();
        all.map(|(place, (index, tokens))| (index.clone(), score(place, tokens)))
            .collect()
    };
    let loss = |tokens: &AnswerTokens| tokens.loss(true).unwrap();
    let reference = {
        let decoder = recorded.reference.decoder().unwrap();
        let mut scorer = Scorer::new(decoder, recorded.reference.tokenizer.clone());
        recorded.tokens(&mut scorer, set)
    };
    let mut all = vec![
        ("mia_loss".to_owned(), of(&|_, tokens| loss(tokens))),
        (
            "mia_zlib".to_owned(),
            of(&|place, tokens| {
                let text = recorded.text(&pairs[place].1);
                loss_per_compressed_byte(loss(tokens), &text).unwrap()
            }),
        ),
        (
            "mia_reference".to_owned(),
            of(&|place, tokens| loss(tokens) - loss(&reference[place].1)),
        ),
    ];
    for share in [0.2, 0.4] {
        let name = format!("mia_min_k.{share}");
        all.push((name, of(&|_, tokens| tokens.min_k(false, share).unwrap())));
        let name = format!("mia_min_k_plus_plus.{share}");
        let score = |_: usize, tokens: &AnswerTokens| tokens.min_k_plus_plus(false, share).unwrap();
        all.push((name, of(&score)));
    }
    let set = AnswerSet {
        name: set.to_owned(),
        texts: pairs.iter().map(|(_, pair)| recorded.text(pair)).collect(),
        pairs: pairs.into_iter().map(|(_, pair)| pair).collect(),
    };
    for (name, norm) in [
        ("1", GradientNorm::One),
        ("2", GradientNorm::Two),
        ("inf", GradientNorm::Largest),
    ] {
        let model = (&recorded.model.spec, &recorded.model.weights);
        let ends = |pair: &TokenizedPair| scorer.encoder().ends_text(pair);
        let norms = gradient_norms(model, &set, ends, norm).unwrap();
        all.push((format!("mia_gradnorm.{name}"), of(&|place, _| norms[place])));
    }
    all
}

#[test]
fn attacks_find_what_was_recorded() {
    for recorded in recorded() {
        let forget = attack_scores(&recorded, "mia_forget");
        let holdout = attack_scores(&recorded, "mia_holdout");
        for ((name, forget), (_, holdout)) in forget.iter().zip(&holdout) {
            let want = &recorded.numbers["results"][name];
            for (part, scores) in [("forget", forget), ("holdout", holdout)] {
                let by_index = want[part]["value_by_index"].as_object().unwrap();
                assert_eq!(by_index.len(), scores.len(), "{name} {part}");
                for (index, score) in scores {
                    let want = by_index[index]["score"].as_f64().unwrap();
                    // Norms sum thousands of roundings, and a compressed text may be two bytes off.
                    let relative = if name == "mia_zlib" { 0.05 } else { 1e-3 };
                    let tolerance = relative * want.abs().max(0.05);
                    let place = format!("{}, {name} {part} {index}", recorded.family);
                    assert!(
                        (score - want).abs() <= tolerance,
                        "{place}: {score} for {want}"
                    );
                }
            }
            let scores =
                |of: &[(String, f64)]| of.iter().map(|(_, score)| *score).collect::<Vec<_>>();
            let area = area_under_roc(&scores(forget), &scores(holdout)).unwrap();
            let auc = want["auc"].as_f64().unwrap();
            // A text of both sets scores the same, but for the rounding of a batch: half a pair.
            let half_a_pair = 0.5 / (forget.len() * holdout.len()) as f64;
            let difference = (area - auc).abs();
            assert!(difference < 1.01 * half_a_pair, "{name}: {area} for {auc}");
        }
    }
}

/// What the model writes after the recorded prompts, token for token of the same ids.
#[test]
fn texts_are_written_as_recorded() {
    for recorded in recorded() {
        let mut scorer = recorded.scorer();
        let generated = recorded.numbers["results"]["rouge.plain"]["value_by_index"]
            .as_object()
            .unwrap();
        let mut compared = 0;
        for item in recorded.items("generate") {
            let want = &generated[&item["index"].to_string()];
            let tokens: Vec<u32> = ids(&item["input_ids"])
                .iter()
                .map(|&id| u32::try_from(id).unwrap())
                .collect();
            let context = recorded.model.tokenizer.decode(&tokens, false).unwrap();
            let context = context.trim_start_matches("</s>").trim_start_matches("<s>");
            // Only prompts whose text gives the same ids again can be asked by their text.
            if scorer.encoder().prompt(context, 50).unwrap().0 != tokens {
                continue;
            }
            let settings = json!({"max_gen_toks": 50, "do_sample": false});
            let request = Request::GenerateUntil {
                context: context.to_owned(),
                generation: Generation::from_kwargs(settings.as_object().unwrap().clone()).unwrap(),
            };
            let answers = scorer.answer(&[request], &mut |_| Ok(())).unwrap();
            let [Response::GenerateUntil { text }] = &answers[..] else {
                panic!("{answers:?}");
            };
            let want = want["generation"].as_str().unwrap().trim();
            assert!(
                text.trim().starts_with(want) || want.starts_with(text.trim()),
                "{text:?} for {want:?}"
            );
            compared += 1;
        }
        eprintln!("{}: {compared} texts compared", recorded.family);
    }
}
