//! ROUGE against the rouge-score package, and `TruthfulQA`'s generation scores against lm-eval's.

use harness_metric::{
    Rouge, RougeScore, RougeTokenizer, rouge, rouge_with_best, truthfulqa_generation,
};
use serde_json::Value;

use crate::golden::{assert_close, for_each_case, list, number, recorded, text};

const RECORDING: &str = "metrics/rouge_score.json";

const VARIANTS: [(&str, Rouge); 5] = [
    ("rouge1", Rouge::Ngram(1)),
    ("rouge2", Rouge::Ngram(2)),
    ("rouge3", Rouge::Ngram(3)),
    ("rougeL", Rouge::L),
    ("rougeLsum", Rouge::Lsum),
];

fn assert_same(score: RougeScore, expected: &Value, case: &Value) {
    assert_close(score.precision, number(&expected["precision"]), case);
    assert_close(score.recall, number(&expected["recall"]), case);
    assert_close(score.f_measure, number(&expected["fmeasure"]), case);
}

#[test]
fn one_target() {
    for_each_case(RECORDING, "cases", |case| {
        let (target, prediction) = (text(case, "target"), text(case, "prediction"));
        for (name, variant) in VARIANTS {
            for (key, tokenizer) in [
                ("plain", RougeTokenizer::Plain),
                ("stemmer", RougeTokenizer::Stemmed),
            ] {
                let score = rouge(variant, tokenizer, target, prediction);
                assert_same(score, &case[key][name], case);
            }
        }
    });
}

#[test]
fn several_targets() {
    for_each_case(RECORDING, "score_multi", |case| {
        let targets = list(&case["targets"], |target| {
            target.as_str().unwrap().to_owned()
        });
        for (name, variant) in VARIANTS {
            let tokenizer = RougeTokenizer::Stemmed;
            let score = rouge_with_best(variant, tokenizer, &targets, text(case, "prediction"));
            assert_same(score.unwrap(), &case["stemmer"][name], case);
        }
    });
}

/// Words that share a stem are one token, so ROUGE shows each stem: a word recalls its stem once they agree. Short words
/// stay as they are.
#[test]
fn stems() {
    let Some(recorded) = recorded(RECORDING) else {
        return;
    };
    let words: Vec<(&str, &str)> = recorded["porter_nltk"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .filter(|(word, _)| word.len() > 3 && word.chars().all(|c| c.is_ascii_alphanumeric()))
        .collect();
    assert!(words.len() > 400, "{}", words.len());
    for (word, stem) in &words {
        for (other, other_stem) in &words {
            let score = rouge(Rouge::Ngram(1), RougeTokenizer::Stemmed, word, other);
            let same = score.recall > 0.0;
            assert_eq!(
                same,
                stem == other_stem,
                "{word} {stem}, {other} {other_stem}"
            );
        }
    }
}

#[test]
fn truthful_generations() {
    let recording = "metrics/lm_eval_process_results.json";
    for_each_case(recording, "truthfulqa_gen", |case| {
        let references =
            |key: &str| list(&case["doc"][key], |text| text.as_str().unwrap().to_owned());
        let scores = truthfulqa_generation(
            text(case, "completion"),
            &references("correct_answers"),
            &references("incorrect_answers"),
        )
        .unwrap();
        for (name, comparison) in [
            ("bleu", scores.bleu),
            ("rouge1", scores.rouge1),
            ("rouge2", scores.rouge2),
            ("rougeL", scores.rouge_l),
        ] {
            let expected = |suffix: &str| number(&case["expected"][format!("{name}_{suffix}")]);
            assert_close(comparison.nearest_true, expected("max"), case);
            assert_close(comparison.difference(), expected("diff"), case);
            let is_true = f64::from(u8::from(comparison.is_true()));
            assert_eq!(is_true, expected("acc"), "{name} in {case}");
        }
    });
}
