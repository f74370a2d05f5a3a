//! Aggregates, groups and standard errors against lm-eval's.

use harness_metric::{
    AnswerJudgement, MetricError, acc_all, acc_all_stderr, bits_per_byte, bootstrap_stderr, mean,
    mean_by_size, mean_stderr, median, nanmean, perplexity, pooled_stderr, unweighted_mean_stderr,
    weighted_mean, weighted_perplexity, word_count,
};
use serde_json::Value;

use crate::golden::{assert_agrees, assert_close, for_each_case, list, number, pairs, text};

const RECORDING: &str = "metrics/lm_eval_aggregations.json";

fn whole(value: &Value) -> usize {
    value.as_u64().unwrap() as usize
}

#[test]
fn of_single_values() {
    type Aggregate = fn(&[f64]) -> Result<f64, MetricError>;
    let aggregates: [(&str, Aggregate); 4] = [
        ("mean", mean),
        ("median", median),
        ("perplexity", perplexity),
        ("nanmean", nanmean),
    ];
    for (section, aggregate) in aggregates {
        for_each_case(RECORDING, section, |case| {
            let values = list(&case["input"], number);
            // Upstream sorts NaN somewhere and takes what then stands in the middle.
            if section == "median" && values.iter().any(|value| value.is_nan()) {
                assert!(aggregate(&values).is_err());
                return;
            }
            assert_agrees(aggregate(&values), &case["expected"], case);
        });
    }
}

#[test]
fn of_weighted_values() {
    type Aggregate = fn(&[(f64, usize)]) -> Result<f64, MetricError>;
    let aggregates: [(&str, Aggregate); 3] = [
        ("weighted_mean", weighted_mean),
        ("weighted_perplexity", weighted_perplexity),
        ("bits_per_byte", bits_per_byte),
    ];
    for (section, aggregate) in aggregates {
        for_each_case(RECORDING, section, |case| {
            let items = pairs(&case["input"], number, whole);
            assert_agrees(aggregate(&items), &case["expected"], case);
        });
    }
}

#[test]
fn words_and_bytes_of_rolling_texts() {
    let recording = "metrics/lm_eval_process_results.json";
    for_each_case(recording, "loglikelihood_rolling", |case| {
        let text = text(&case["doc"], "t");
        let expected = &case["expected"];
        assert_eq!(
            word_count(text),
            whole(&expected["word_perplexity"][1]),
            "{case}"
        );
        assert_eq!(text.len(), whole(&expected["byte_perplexity"][1]), "{case}");
    });
}

#[test]
fn standard_errors_of_means() {
    for_each_case(RECORDING, "mean_stderr", |case| {
        let values = list(&case["input"], number);
        let expected = &case["expected"];
        match mean_stderr(&values) {
            Ok(Some(stderr)) => assert_close(stderr, number(expected), case),
            Ok(None) => assert!(expected.is_object(), "{case}"),
            Err(_) => assert!(number(expected).is_nan(), "{case}"),
        }
    });
}

fn judgement(item: &Value) -> AnswerJudgement {
    let index = |key: &str| item[1]["idx"][key].as_i64().unwrap();
    AnswerJudgement {
        paragraph: index("paragraph"),
        question: index("question"),
        is_right: item[0].as_bool().unwrap() == (item[1]["label"] == 1),
    }
}

#[test]
fn questions_with_all_answers_right() {
    for_each_case(RECORDING, "acc_all", |case| {
        let judgements = list(&case["input"], judgement);
        assert_agrees(acc_all(&judgements), &case["expected"], case);
    });
    for_each_case(RECORDING, "acc_all_stderr", |case| {
        let stderr = acc_all_stderr(&list(&case["input"], judgement)).unwrap();
        assert_close(stderr.unwrap(), number(&case["expected"]), case);
    });
}

#[test]
fn groups() {
    for_each_case(RECORDING, "aggregate_subtask_metrics", |case| {
        let scores = list(&case["metrics"], number);
        let score = if case["weight_by_size"] == true {
            mean_by_size(&scores, &list(&case["sizes"], whole))
        } else {
            mean(&scores)
        };
        assert_agrees(score, &case["expected"], case);
    });
    let stderrs = |case: &Value| list(&case["stderrs"], |stderr| Some(number(stderr)));
    for_each_case(RECORDING, "pooled_sample_stderr", |case| {
        let pooled = pooled_stderr(&stderrs(case), &list(&case["sizes"], whole)).unwrap();
        match pooled {
            Some(pooled) => assert_close(pooled, number(&case["expected"]), case),
            None => assert!(case["expected"].is_object(), "{case}"),
        }
    });
    for_each_case(RECORDING, "unweighted_mean_stderr", |case| {
        let stderr = unweighted_mean_stderr(&stderrs(case)).unwrap();
        assert_close(stderr.unwrap(), number(&case["expected"]), case);
    });
}

#[test]
fn bootstraps_of_single_values() {
    for_each_case(RECORDING, "bootstrap_stderr", |case| {
        let replicates = whole(&case["iters"]);
        let aggregate = match text(case, "metric") {
            "median" => median,
            "perplexity" => perplexity,
            "nanmean" => nanmean,
            _ => return,
        };
        let values = list(&case["input"], number);
        match bootstrap_stderr(&values, replicates, aggregate).unwrap() {
            Some(stderr) => assert_close(stderr, number(&case["expected"]), case),
            None => assert_eq!(values.len(), 1, "{case}"),
        }
    });
}

/// What a command waits for after the model has answered.
#[test]
fn a_bootstrap_of_the_usual_size_takes_seconds() {
    let values: Vec<f64> = (0..1000)
        .map(|index| -f64::from(index % 37) / 7.0)
        .collect();
    for aggregate in [perplexity, median] {
        let started = std::time::Instant::now();
        assert!(
            bootstrap_stderr(&values, 100_000, aggregate)
                .unwrap()
                .is_some()
        );
        let seconds = started.elapsed().as_secs_f64();
        eprintln!("100,000 replicates of 1,000 documents: {seconds:.1} s");
        assert!(seconds < 60.0, "{seconds} s");
    }
}
