//! `ExactMatch` against lm-eval's `exact_match`.

use harness_metric::{ExactMatch, PythonRegex};
use serde_json::Value;

use crate::golden::{for_each_case, text};

fn exact_match(options: &Value) -> ExactMatch {
    let flag = |key: &str| options[key].as_bool().unwrap_or(false);
    let patterns = options["regexes_to_ignore"].as_array();
    let compiled = |pattern: &Value| PythonRegex::new(pattern.as_str().unwrap()).unwrap();
    ExactMatch {
        regexes_to_ignore: patterns
            .map(|patterns| patterns.iter().map(compiled).collect())
            .unwrap_or_default(),
        ignore_case: flag("ignore_case"),
        ignore_punctuation: flag("ignore_punctuation"),
        ignore_numbers: flag("ignore_numbers"),
    }
}

#[test]
fn every_option() {
    for_each_case("metrics/lm_eval_aggregations.json", "exact_match", |case| {
        let metric = exact_match(&case["kwargs"]);
        let pairs = case["references"]
            .as_array()
            .unwrap()
            .iter()
            .zip(case["predictions"].as_array().unwrap());
        let matches: Vec<f64> = pairs
            .map(|(reference, prediction)| {
                let matches =
                    metric.matches(reference.as_str().unwrap(), prediction.as_str().unwrap());
                f64::from(u8::from(matches.unwrap()))
            })
            .collect();
        let share = harness_metric::mean(&matches).unwrap();
        assert_eq!(
            share,
            case["expected"]["exact_match"].as_f64().unwrap(),
            "{case}"
        );
    });
}

#[test]
fn one_answer_among_several_is_enough() {
    for_each_case(
        "metrics/lm_eval_process_results.json",
        "generate_until",
        |case| {
            let metric = exact_match(&case["kwargs"]);
            let result = text(case, "result");
            let one = |gold: &Value| {
                let gold = gold
                    .as_str()
                    .map_or_else(|| gold.to_string(), str::to_owned);
                metric.matches(&gold, result).unwrap()
            };
            let gold = &case["doc"]["gold"];
            let matches = gold
                .as_array()
                .map_or_else(|| one(gold), |golds| golds.iter().any(one));
            let expected = case["expected"]["exact_match"].as_f64().unwrap();
            assert_eq!(f64::from(u8::from(matches)), expected, "{case}");
        },
    );
}
