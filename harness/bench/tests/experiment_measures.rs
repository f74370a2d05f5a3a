//! Measures of the scorecard on made-up scores whose numbers are worked by hand, and identities: the oracle against itself, the original
//! against itself.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::collections::BTreeMap;

use harness_bench::experiment::{
    CompositePart, CompositeScores, Demands, DocumentScores, Outcome, Scorecard, Scores, Standing,
    Subject, SubjectKind, UtilityScores,
};
use harness_metric::Bootstrap;

/// Fewer draws than a report's: the numbers that are tested do not hang on them.
const DRAWS: Bootstrap = Bootstrap {
    replicates: 50,
    confidence: 0.95,
    seed: 0,
};

const DOCUMENTS: usize = 8;

fn set(metrics: &[(&str, Vec<f64>)]) -> DocumentScores {
    let metrics = metrics.iter();
    DocumentScores {
        task: "authors".into(),
        metrics: metrics
            .map(|(name, values)| ((*name).to_owned(), values.clone()))
            .collect(),
    }
}

/// Values that differ by document, with this mean.
fn around(mean: f64) -> Vec<f64> {
    (0..DOCUMENTS)
        .map(|document| mean + 0.01 * (document as f64 - 3.5))
        .collect()
}

/// As many of eight right.
fn right(count: usize) -> Vec<f64> {
    (0..DOCUMENTS)
        .map(|document| f64::from(u8::from(document < count)))
        .collect()
}

/// What a model knows of the forget set, and its other scores in a fixed relation to that.
fn scores(strength: f64, loss: f64, ratio: f64) -> Scores {
    Scores {
        forget: set(&[
            ("extraction_strength", around(strength)),
            ("loss", around(loss)),
        ]),
        paraphrased: None,
        holdout: Some(set(&[("loss", around(3.0))])),
        retain: Some(set(&[
            ("loss", around(0.5 + 2.0 * (1.0 - strength))),
            ("divergence_from_original", around(1.0 - strength)),
            ("agreement_with_original", around(strength)),
        ])),
        utility: Vec::new(),
        composites: vec![CompositeScores {
            task: "all".into(),
            metric: "model_utility".into(),
            parts: vec![
                part("near", "probability", 0.8 * strength),
                part("near", "rougeL_recall", 0.4 * strength),
                part("far", "probability", 0.5),
            ],
        }],
        forget_choice: Some(UtilityScores {
            task: "choices".into(),
            metric: "acc".into(),
            chance: 0.25,
            values: right((8.0 * (0.25 + 0.75 * strength)).round() as usize),
        }),
        sets: BTreeMap::from([
            (
                "truth_ratio".to_owned(),
                set(&[("truth_ratio", around(ratio))]),
            ),
            (
                "written".to_owned(),
                set(&[
                    ("fluency", around(0.5 + 0.5 * strength)),
                    ("refusal", right(2)),
                ]),
            ),
        ]),
        rounded: BTreeMap::new(),
        recovery: None,
        answers: Vec::new(),
    }
}

fn part(task: &str, metric: &str, mean: f64) -> CompositePart {
    CompositePart {
        task: task.into(),
        metric: metric.into(),
        values: around(mean),
    }
}

fn subject(kind: SubjectKind, row: &str, seed: Option<u64>, scores: Scores) -> Subject {
    Subject {
        row: row.into(),
        kind,
        seed,
        outcome: Outcome::Measured(Box::new(scores)),
        cost: None,
        machine_cost: None,
        trail: Vec::new(),
    }
}

fn original() -> Subject {
    subject(
        SubjectKind::Original,
        "original",
        None,
        scores(1.0, 1.0, 0.2),
    )
}

fn oracle() -> Subject {
    subject(SubjectKind::Oracle, "oracle", None, scores(0.2, 2.95, 0.7))
}

fn method(seed: u64, ratio: f64) -> Subject {
    let own = scores(0.5, 2.0, ratio);
    subject(SubjectKind::Method, "method", Some(seed), own)
}

fn card(subjects: &[Subject]) -> Scorecard {
    Scorecard::new(subjects, Demands::default(), DRAWS).unwrap()
}

fn standing<'a>(card: &'a Scorecard, row: &str) -> &'a Standing {
    let row = card.rows.iter().find(|own| own.name == row).unwrap();
    row.standing.as_ref().unwrap()
}

fn near(value: f64, want: f64) {
    assert!((value - want).abs() < 1e-8, "{value} for {want}");
}

#[test]
fn the_oracle_is_the_oracle() {
    let card = card(&[original(), oracle()]);
    let own = standing(&card, "oracle");
    let quality = own.forget_quality.as_ref().unwrap();
    near(quality.log10_p, 0.0);
    near(quality.statistic, 0.0);
    assert_eq!(quality.documents, DOCUMENTS);
    assert_eq!(own.privacy.len(), 2, "loss and reference");
    for (attack, privacy) in &own.privacy {
        near(privacy.leakage.value, 0.0);
        assert_eq!(privacy.leakage.interval.unwrap_or((0.0, 0.0)), (0.0, 0.0));
        assert!((privacy.closeness - 1.0).abs() < 1e-12, "{attack}");
    }
    // Its loss less its own is the same on every text.
    near(own.membership["reference"].value, 0.5);
}

#[test]
fn the_original_is_the_original() {
    let card = card(&[original(), oracle()]);
    let own = standing(&card, "original");
    let retention = own.retention["retain"];
    near(retention.divergence.value, 0.0);
    near(retention.agreement.value, 1.0);
    near(retention.loss_ratio.unwrap().value, 1.0);
    near(own.fluency.unwrap().value, 1.0);
    near(own.utilities["all"].value, 1.0);
    near(own.forgetting_choice.unwrap().value, 0.0);
    near(own.refusals.unwrap().value, 0.25);
}

#[test]
fn truth_ratios_apart_are_as_unlikely_as_their_number_allows() {
    let subjects = [
        original(),
        oracle(),
        method(0, 0.2),
        method(1, 0.7),
        method(2, 0.2),
    ];
    let card = card(&subjects);
    let quality = standing(&card, "method").forget_quality.as_ref().unwrap();
    // 2 / C(16, 8), the median of two such and one that is the oracle's.
    let least = (2.0_f64 / 12870.0).log10();
    near(quality.log10_p, least);
    near(quality.statistic, 1.0);
    assert_eq!(quality.by_seed.len(), 3);
    near(quality.by_seed[1], 0.0);
}

#[test]
fn leakage_compares_with_the_oracles_area() {
    let card = card(&[original(), oracle(), method(0, 0.5)]);
    let area = |row: &str| standing(&card, row).membership["loss"].value;
    // Losses from 2.915 to 2.985 against 2.965 to 3.035 overlap.
    let oracle = area("oracle");
    assert!(oracle > 0.5 && oracle < 1.0, "{oracle}");
    near(area("method"), 1.0);
    let leakage = standing(&card, "method").privacy["loss"].leakage.value;
    assert!((leakage + 100.0).abs() < 1e-6, "{leakage}");
    near(
        standing(&card, "method").privacy["loss"].closeness,
        1.0 - (1.0 - oracle) / oracle,
    );
}

#[test]
fn what_is_left_is_in_proportion_to_the_original() {
    let card = card(&[original(), oracle(), method(0, 0.5)]);
    let own = standing(&card, "method");
    let harmonic = |parts: [f64; 3]| 3.0 / parts.map(f64::recip).iter().sum::<f64>();
    let utility = harmonic([0.4, 0.2, 0.5]) / harmonic([0.8, 0.4, 0.5]);
    near(own.utilities["all"].value, utility);
    near(own.utility.unwrap().value, utility);
    let retention = own.retention["retain"];
    near(retention.divergence.value, 0.5);
    near(retention.loss_ratio.unwrap().value, 1.5 / 0.5);
    near(own.fluency.unwrap().value, 0.75);
    // Five of eight where all were right and two are guessed.
    near(own.forgetting_choice.unwrap().value, 0.5);
}

#[test]
fn without_an_oracle_there_is_nothing_to_compare_with() {
    let card = card(&[original(), method(0, 0.5)]);
    let own = standing(&card, "method");
    assert!(own.forget_quality.is_none() && own.privacy.is_empty());
    assert!(!own.membership.contains_key("reference"));
    assert!(own.membership.contains_key("loss"));
    let said = |part: &str| card.remarks.iter().any(|remark| remark.contains(part));
    assert!(said("forget quality"), "{:?}", card.remarks);
}

#[test]
fn an_original_that_guesses_forgets_no_choices() {
    let mut guessing = original();
    let Outcome::Measured(scores) = &mut guessing.outcome else {
        panic!("measured above")
    };
    scores.forget_choice.as_mut().unwrap().values = right(2);
    let card = card(&[guessing, oracle(), method(0, 0.5)]);
    assert_eq!(standing(&card, "method").forgetting_choice, None);
    let said = |part: &str| card.remarks.iter().any(|remark| remark.contains(part));
    assert!(said("choices"), "{:?}", card.remarks);
}

#[test]
fn records_of_older_versions_are_read() {
    let mut old = serde_json::to_value(scores(1.0, 1.0, 0.2)).unwrap();
    for key in ["composites", "forget_choice", "sets"] {
        old.as_object_mut().unwrap().remove(key);
    }
    let read: Scores = serde_json::from_value(old).unwrap();
    assert!(read.sets.is_empty() && read.composites.is_empty());
}
