//! BLEU, chrF and TER against sacrebleu's.

use harness_metric::{
    BleuCounts, BleuTokenizer, Chrf, ChrfCounts, MetricError, TerCounts, bleu, bootstrap_stderr,
    chrf, ter,
};
use serde_json::Value;

use crate::golden::{assert_agrees, assert_close, for_each_case, list, number, text};

const RECORDING: &str = "metrics/lm_eval_aggregations.json";

/// What each document of a case brings, by a metric's way to count.
fn counted<C>(case: &Value, count: impl Fn(&[String], &str) -> Result<C, MetricError>) -> Vec<C> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list(&case["input"], |pair| {
        let references = match &pair[0] {
            Value::String(one) => vec![one.clone()],
            several => list(several, text),
        };
        let prediction = match &pair[1] {
            Value::Array(one) => text(&one[0]),
            one => text(one),
        };
        count(&references, &prediction).unwrap()
    })
}

fn bleu_counts(references: &[String], prediction: &str) -> Result<BleuCounts, MetricError> {
    BleuCounts::new(references, prediction, BleuTokenizer::default())
}

fn chrf_counts(references: &[String], prediction: &str) -> Result<ChrfCounts, MetricError> {
    ChrfCounts::new(references, prediction, Chrf::Characters)
}

#[test]
fn scores_of_corpora() {
    for_each_case(RECORDING, "bleu", |case| {
        assert_agrees(bleu(&counted(case, bleu_counts)), &case["expected"], case);
    });
    for_each_case(RECORDING, "chrf", |case| {
        assert_agrees(chrf(&counted(case, chrf_counts)), &case["expected"], case);
    });
    for_each_case(RECORDING, "chrf++", |case| {
        let counts = counted(case, |references, prediction| {
            ChrfCounts::new(references, prediction, Chrf::CharactersAndWords)
        });
        assert_agrees(chrf(&counts), &case["expected"], case);
    });
    for_each_case(RECORDING, "ter", |case| {
        let counts = counted(case, |references, prediction| {
            TerCounts::new(references, prediction)
        });
        assert_agrees(ter(&counts), &case["expected"], case);
    });
}

#[test]
fn bootstraps() {
    let mut checked = 0;
    for_each_case(RECORDING, "bootstrap_stderr", |case| {
        let replicates = case["iters"].as_u64().unwrap() as usize;
        let stderr = match text(case, "metric") {
            "bleu" => bootstrap_stderr(&counted(case, bleu_counts), replicates, bleu),
            "chrf" => bootstrap_stderr(&counted(case, chrf_counts), replicates, chrf),
            "ter" => {
                let counts = counted(case, |references, prediction| {
                    TerCounts::new(references, prediction)
                });
                bootstrap_stderr(&counts, replicates, ter)
            }
            _ => return,
        };
        assert_close(stderr.unwrap().unwrap(), number(&case["expected"]), case);
        checked += 1;
    });
    assert!(checked == 0 || checked == 3, "{checked}");
}
