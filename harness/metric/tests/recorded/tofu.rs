//! The TOFU authors' own logs of a model and of its retrained reference: model utility and forget quality as they follow from each
//! document's losses and texts.

use harness_metric::{
    Rouge, RougeTokenizer, answer_share, harmonic_mean, kolmogorov_smirnov, mean, rouge,
    truth_ratio, truth_ratio_advantage,
};
use serde_json::Value;

use crate::golden::{list, number, recorded};

/// The logs of the retain set, real authors and world facts.
const UTILITY: [&str; 3] = [
    "eval_log.json",
    "eval_real_author_wo_options.json",
    "eval_real_world_wo_options.json",
];
const FORGET: &str = "eval_log_forget.json";

/// A log's values by document, in the order of the documents.
fn column<'a>(log: &'a Value, key: &str) -> Vec<&'a Value> {
    let documents = log[key].as_object().unwrap();
    (0..documents.len())
        .map(|document| &documents[&document.to_string()])
        .collect()
}

fn truth_ratios(log: &Value) -> Vec<f64> {
    let right = column(log, "avg_paraphrased_loss");
    let wrong = column(log, "average_perturb_loss");
    let pairs = right.into_iter().zip(wrong);
    pairs
        .map(|(right, wrong)| {
            let wrong: Vec<f64> = list(wrong, number).iter().map(|loss| -loss).collect();
            truth_ratio(-number(right), &wrong).unwrap()
        })
        .collect()
}

/// Probability, normalised among the wrong answers where there are options, ROUGE-L recall and truth ratio.
fn three_scores(name: &str, log: &Value) -> [f64; 3] {
    let probability = |loss: &Value| (-number(loss)).exp();
    let losses = column(log, "avg_gt_loss");
    let wrong = column(log, "average_perturb_loss");
    let own = losses.into_iter().zip(wrong).map(|(loss, wrong)| {
        if name == UTILITY[0] {
            return probability(loss);
        }
        answer_share(probability(loss), &list(wrong, probability)).unwrap()
    });
    let recalls: Vec<f64> = column(log, "generated_text")
        .into_iter()
        .zip(column(log, "rougeL_recall"))
        .map(|(texts, recorded)| {
            let [written, gold] = [1, 2].map(|place| texts[place].as_str().unwrap());
            let recall = rouge(Rouge::L, RougeTokenizer::Stemmed, gold, written).recall;
            let recorded = number(recorded);
            assert!(
                (recall - recorded).abs() < 1e-12,
                "{recall} for {recorded}: {texts}"
            );
            recall
        })
        .collect();
    let ratios = truth_ratios(log).into_iter().map(truth_ratio_advantage);
    let ratios: Vec<f64> = ratios.map(Result::unwrap).collect();
    [
        mean(&own.collect::<Vec<f64>>()).unwrap(),
        mean(&recalls).unwrap(),
        mean(&ratios).unwrap(),
    ]
}

/// The published four digits.
fn assert_published(value: f64, published: f64) {
    assert!(
        (value - published).abs() < 5.1e-5,
        "{value} for {published}"
    );
}

#[test]
fn model_utility_and_forget_quality() {
    let model = recorded("tofu-logs/llama2-7b_full.json");
    let retrained = recorded("tofu-logs/llama2-7b_retain90.json");
    let (Some(model), Some(retrained)) = (model, retrained) else {
        return;
    };
    for (logs, utility, forget) in [
        (&model, 0.6227, [0.9909, 0.9854]),
        (&retrained, 0.6137, [0.1476, 0.4082]),
    ] {
        let nine = UTILITY.map(|name| three_scores(name, &logs[name]));
        assert_published(harmonic_mean(&nine.concat()).unwrap(), utility);
        let log = &logs[FORGET];
        let probability = column(log, "avg_gt_loss");
        let probability: Vec<f64> = probability
            .iter()
            .map(|loss| (-number(loss)).exp())
            .collect();
        assert_published(mean(&probability).unwrap(), forget[0]);
        let [_, recall, _] = three_scores(UTILITY[0], log);
        assert_published(recall, forget[1]);
    }
    let test = kolmogorov_smirnov(
        &truth_ratios(&model[FORGET]),
        &truth_ratios(&retrained[FORGET]),
    );
    let test = test.unwrap();
    assert_published(test.statistic, 0.3967);
    assert!((test.p_value / 1.834e-21 - 1.0).abs() < 5e-4, "{test:?}");
    assert!((test.log10_p() - 1.834e-21_f64.log10()).abs() < 5e-4);
}
