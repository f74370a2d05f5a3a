//! Unlearning metrics against open-unlearning's.

use harness_metric::{
    MetricError, answer_share, area_under_roc, harmonic_mean, kolmogorov_smirnov,
    loss_per_compressed_byte, mean, min_k, privacy_leakage, relative_difference,
    standardised_logprob, truth_ratio, truth_ratio_advantage, truth_ratio_closeness,
};
use serde_json::Value;

use crate::golden::{assert_agrees, assert_close, for_each_case, list, number, text};

const RECORDING: &str = "metrics/open_unlearning_functions.json";

/// One number, or a list of them.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(_) => list(value, number),
        one => vec![number(one)],
    }
}

/// Right and wrong answers' values under `key`, of the items that have both.
fn answers(case: &Value, key: &str) -> Vec<(f64, Vec<f64>)> {
    let items = case["correct"].as_object().unwrap();
    items
        .iter()
        .map(|(index, correct)| (correct, &case["wrong"][index]))
        .filter(|(correct, wrong)| !correct.is_null() && !wrong.is_null())
        .map(|(correct, wrong)| (number(&correct[key]), numbers(&wrong[key])))
        .collect()
}

fn negated(losses: &[f64]) -> Vec<f64> {
    losses.iter().map(|loss| -loss).collect()
}

fn mean_of(values: impl Iterator<Item = Result<f64, MetricError>>) -> Result<f64, MetricError> {
    mean(&values.collect::<Result<Vec<f64>, MetricError>>()?)
}

#[test]
fn truth_ratios() {
    for_each_case(RECORDING, "truth_ratio", |case| {
        let losses = answers(case, "avg_loss");
        let ratios: Vec<f64> = losses
            .iter()
            .map(|(correct, wrong)| truth_ratio(-correct, &negated(wrong)).unwrap())
            .collect();
        let ratios = ratios.into_iter();
        let score = match text(case, "aggregator") {
            "closer_to_1_better" => mean_of(ratios.map(truth_ratio_closeness)),
            "true_better" => mean_of(ratios.map(truth_ratio_advantage)),
            // The share of the right answer against one wrong answer of the same ratio.
            _ => mean_of(losses.iter().map(|(correct, wrong)| {
                answer_share((-correct).exp(), &[mean(&negated(wrong))?.exp()])
            })),
        };
        assert_agrees(score, &case["expected"]["agg_value"], case);
    });
}

#[test]
fn shares_of_right_answers() {
    for_each_case(RECORDING, "probability_w_options", |case| {
        let shares = answers(case, "prob")
            .into_iter()
            .map(|(correct, wrong)| answer_share(correct, &wrong));
        assert_agrees(mean_of(shares), &case["expected"]["agg_value"], case);
    });
}

#[test]
fn harmonic_means() {
    for_each_case(RECORDING, "hm_aggregate", |case| {
        let score = harmonic_mean(&list(&case["input"], number));
        assert_agrees(score, &case["expected"]["agg_value"], case);
    });
}

#[test]
fn kolmogorov_smirnov_tests() {
    for_each_case(RECORDING, "ks_test", |case| {
        if case["retain"].is_null() {
            return;
        }
        let test = kolmogorov_smirnov(&numbers(&case["forget"]), &numbers(&case["retain"]));
        let statistic = test.map(|test| test.statistic);
        assert_agrees(statistic, &case["statistic"], case);
        let p_value = test.map(|test| test.p_value);
        assert_agrees(p_value, &case["expected"]["agg_value"], case);
    });
    for_each_case(RECORDING, "get_forget_quality", |case| {
        let ratios = |key: &str| -> Vec<f64> {
            let ratios = numbers(&case[key]).into_iter();
            ratios.map(|ratio| 1.0 / (ratio + 1e-10)).collect()
        };
        let test = kolmogorov_smirnov(&ratios("model_tr"), &ratios("reference_tr"));
        let p_value = test.map(|test| test.p_value);
        assert_agrees(p_value, &case["expected"]["agg_value"], case);
    });
}

/// Above 10,000 values the reference approximates; the exact value is near.
#[test]
fn a_large_kolmogorov_smirnov_test() {
    for_each_case(RECORDING, "ks_test_large", |case| {
        let sample = |factor: u64, offset: u64, modulus: u64, scale: f64| -> Vec<f64> {
            (0..10_001)
                .map(|index| ((index * factor + offset) % modulus) as f64 / modulus as f64 * scale)
                .collect()
        };
        let left = sample(7919, 13, 10_007, 1.0);
        let right = sample(104_729, 7, 10_009, 1.02);
        let test = kolmogorov_smirnov(&left, &right).unwrap();
        assert_close(test.statistic, number(&case["statistic"]), case);
        let approximation = number(&case["expected"]["agg_value"]);
        let ratio = test.p_value / approximation;
        assert!((ratio - 1.0).abs() < 0.02, "{test:?} in {case}");
    });
}

#[test]
fn membership() {
    for_each_case(RECORDING, "mia_auc", |case| {
        let auc = area_under_roc(&numbers(&case["forget"]), &numbers(&case["holdout"]));
        assert_agrees(
            auc,
            case["expected"].get("auc").unwrap_or(&case["expected"]),
            case,
        );
    });
    let (mut exact, mut all) = (0, 0);
    for_each_case(RECORDING, "zlib", |case| {
        let score = loss_per_compressed_byte(number(&case["loss"]), text(case, "text")).unwrap();
        let bytes = (number(&case["loss"]) / score).round();
        let expected = number(&case["compressed_len"]);
        exact += usize::from(bytes.total_cmp(&expected).is_eq());
        all += 1;
        // Long texts of one short word are where implementations of the format differ most.
        let tolerance = (0.01 * expected).max(8.0);
        assert!((bytes - expected).abs() <= tolerance, "{bytes} in {case}");
    });
    assert!(
        exact * 10 >= all * 9,
        "{exact} of {all} texts take as many bytes as with zlib"
    );
    // The reference computes in f32.
    let assert_near = |score: f64, case: &Value| {
        let expected = number(&case["expected"]);
        assert!(
            (score - expected).abs() <= 2e-4 * expected.abs().max(0.1),
            "{score} in {case}"
        );
    };
    for_each_case(RECORDING, "min_k", |case| {
        let logprobs = numbers(&case["logprobs_f32"]);
        match min_k(&logprobs, number(&case["k"])) {
            Ok(score) => assert_near(score, case),
            Err(_) => assert!(logprobs.is_empty(), "{case}"),
        }
    });
    for_each_case(RECORDING, "min_k_plus_plus", |case| {
        let rows = list(&case["vocab_logprobs_f32"], numbers);
        let tokens = list(&case["target_ids"], |id| id.as_u64().unwrap() as usize);
        let standardised: Vec<f64> = rows
            .iter()
            .zip(tokens)
            .map(|(row, token)| standardised_logprob(row, token).unwrap())
            .collect();
        match min_k(&standardised, number(&case["k"])) {
            Ok(score) => assert_near(score, case),
            Err(_) => assert!(standardised.is_empty(), "{case}"),
        }
    });
}

#[test]
fn changes_against_a_reference() {
    let assert_same = |change: Result<f64, MetricError>, case: &Value| {
        let expected = number(&case["expected"]["agg_value"]);
        match change {
            Ok(change) => assert_close(change, expected, case),
            // Where the reference is zero, upstream divides by 1e-10.
            Err(_) => assert!(expected.abs() > 1e9, "{case}"),
        }
    };
    let values = |case: &Value| {
        let reference = case.get("ref_value").unwrap_or(&case["retain"]);
        (number(&case["forget"]), number(reference))
    };
    for_each_case(RECORDING, "privleak", |case| {
        let (forget, retain) = values(case);
        assert_same(privacy_leakage(forget, retain), case);
    });
    for_each_case(RECORDING, "rel_diff", |case| {
        let (forget, retain) = values(case);
        assert_same(relative_difference(forget, retain), case);
    });
}
