//! Scores of choices against lm-eval's `process_results`.

use harness_metric::{
    argmax, argmax_mutual_information, argmax_per_byte, argmax_per_char, brier_score, softmax,
    true_share,
};
use serde_json::Value;

use crate::golden::{assert_agrees, assert_close, for_each_case, list, number, pairs};

const RECORDING: &str = "metrics/lm_eval_process_results.json";

/// One or several right choices; none for what is none of the choices.
fn gold(case: &Value, choices: &[String]) -> Vec<usize> {
    let index = |gold: &Value| match gold {
        Value::String(text) => choices.iter().position(|choice| choice == text),
        number => number.as_u64().map(|index| index as usize),
    };
    let gold = &case["doc"]["gold"];
    match gold.as_array() {
        Some(several) => several.iter().filter_map(index).collect(),
        None => index(gold).into_iter().collect(),
    }
}

#[test]
fn preferred_choices() {
    let sections = [
        "multiple_choice",
        "multiple_choice_text_gold",
        "multiple_choice_multiple_gold",
        "multiple_choice_mutual_info",
    ];
    let mut checked = 0;
    for section in sections {
        for_each_case(RECORDING, section, |case| {
            let logprobs = list(&case["loglikelihoods"], |answer| number(&answer[0]));
            let choices = list(&case["doc"]["choices"], |choice| {
                choice.as_str().unwrap().to_owned()
            });
            let (logprobs, unconditional) = logprobs.split_at(choices.len());
            let gold = gold(case, &choices);
            let preferred = [
                ("acc", argmax(logprobs)),
                ("acc_norm", argmax_per_char(logprobs, &choices)),
                ("acc_bytes", argmax_per_byte(logprobs, &choices)),
                (
                    "acc_mutual_info",
                    argmax_mutual_information(logprobs, unconditional),
                ),
            ];
            for (metric, preferred) in preferred {
                let Some(expected) = case["expected"].get(metric) else {
                    continue;
                };
                // What is refused here, upstream scores by the first NaN.
                let Ok(preferred) = preferred else {
                    let is_nan = logprobs.iter().any(|logprob| logprob.is_nan());
                    assert!(is_nan || choices.iter().any(String::is_empty), "{case}");
                    continue;
                };
                let is_right = f64::from(u8::from(gold.contains(&preferred)));
                assert_eq!(is_right, number(expected), "{metric} in {case}");
                checked += 1;
            }
        });
    }
    assert!(checked == 0 || checked > 150, "{checked}");
}

#[test]
fn probabilities() {
    let recording = "metrics/lm_eval_aggregations.json";
    for_each_case(recording, "softmax", |case| {
        let probabilities = softmax(&list(&case["input"], number)).unwrap();
        for (value, expected) in probabilities
            .iter()
            .zip(case["expected"].as_array().unwrap())
        {
            assert_close(*value, number(expected), case);
        }
    });
    for_each_case(recording, "brier_score", |case| {
        // A gold answer of -1 is the last choice upstream; here it is none.
        if list(&case["input"], |item| number(&item[0])).contains(&-1.0) {
            return;
        }
        let documents = pairs(
            &case["input"],
            |gold| gold.as_u64().unwrap() as usize,
            |probabilities| list(probabilities, number),
        );
        assert_agrees(brier_score(&documents), &case["expected"], case);
    });
}

#[test]
fn truthful_answers() {
    for_each_case(RECORDING, "truthfulqa_mc2", |case| {
        let logprobs = list(&case["loglikelihoods"], number);
        let is_true = list(&case["labels"], |label| *label == 1);
        // Upstream's exponentials vanish without a shift.
        if logprobs.iter().all(|logprob| *logprob < -1000.0) {
            assert_eq!(true_share(&logprobs, &is_true), Ok(1.0), "{case}");
            return;
        }
        assert_agrees(
            true_share(&logprobs, &is_true),
            &case["expected"]["acc"],
            case,
        );
    });
}
