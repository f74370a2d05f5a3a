//! The scorecard of a made-up experiment, as numbers, text and page.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod made_up;

use harness_bench::experiment::{Demands, HEADLINE, Row, Scorecard};
use harness_metric::Bootstrap;
use harness_report::{experiment_card_markdown, experiment_card_text, html_report};

/// Fewer draws than a report's: the numbers that are tested do not hang on them.
const DRAWS: Bootstrap = Bootstrap {
    replicates: 300,
    confidence: 0.95,
    seed: 0,
};

fn card() -> Scorecard {
    Scorecard::new(&made_up::experiment().subjects, Demands::default(), DRAWS).unwrap()
}

fn row<'a>(card: &'a Scorecard, name: &str) -> &'a Row {
    card.rows.iter().find(|row| row.name == name).unwrap()
}

fn forgetting(card: &Scorecard, name: &str) -> f64 {
    row(card, name).forgetting().unwrap().value
}

fn utility(card: &Scorecard, name: &str) -> f64 {
    row(card, name)
        .standing
        .as_ref()
        .unwrap()
        .utility
        .unwrap()
        .value
}

#[test]
fn anchors_are_where_they_belong() {
    let card = card();
    assert!(forgetting(&card, "original").abs() < 1e-12);
    assert!((forgetting(&card, "oracle") - 1.0).abs() < 1e-12);
    assert!((utility(&card, "original") - 1.0).abs() < 1e-12);
    assert!(utility(&card, "noise") < 0.7);
    let oracle = row(&card, "oracle").standing.as_ref().unwrap();
    let ratio = oracle.relearning.unwrap().nine_tenths.ratio.unwrap();
    assert!((ratio - 1.0).abs() < 1e-12);
    // The twin's strength is .23 where original and oracle have .95 and .2.
    assert!((card.noise_floor.unwrap() - 0.03 / 0.75).abs() < 1e-9);
}

#[test]
fn rows_stand_where_their_numbers_put_them() {
    let card = card();
    for (name, strength, useful, _) in made_up::METHODS {
        assert!(
            (forgetting(&card, name) - (0.95 - strength) / 0.75).abs() < 1e-9,
            "{name}"
        );
        // The second task keeps the square; answers come in two hundredths.
        let expected = f64::midpoint(useful, useful * useful);
        assert!((utility(&card, name) - expected).abs() < 0.011, "{name}");
        let (low, high) = row(&card, name).forgetting().unwrap().interval.unwrap();
        assert!(
            low < forgetting(&card, name) && forgetting(&card, name) < high,
            "{name}"
        );
        assert_eq!(row(&card, name).seeds, 3);
    }
    assert!(
        row(&card, "wrecking")
            .standing
            .as_ref()
            .unwrap()
            .is_over_forgotten
    );
    assert_eq!(row(&card, "broken").standing, None);
    assert!((row(&card, "good").cost_share.unwrap() - 0.075).abs() < 1e-12);
}

#[test]
fn an_attack_tells_what_is_known_from_what_is_not() {
    let card = card();
    let area = |name: &str| row(&card, name).standing.as_ref().unwrap().membership["min_k"].value;
    assert!(
        (area("original") - 1.0).abs() < 1e-12,
        "every known text scores lower"
    );
    assert!(
        (area("oracle") - 0.5).abs() < 1e-12,
        "the same scores on both sets"
    );
    assert!(
        area("wrecking") < 0.01,
        "less than never seen gives it away, too"
    );
}

#[test]
fn the_useful_are_ranked_and_equals_tie() {
    let card = card();
    assert_eq!(card.ranking.ranked.len(), 3);
    assert_eq!(card.ranking.ranked[2], "gentle");
    let [equals, others] = card.ranking.comparisons.as_slice() else {
        panic!("two pairs of neighbours");
    };
    assert!(
        equals.is_tie && !others.is_tie,
        "{:?}",
        card.ranking.comparisons
    );
    let dominated = |name: &str| row(&card, name).is_dominated;
    assert!(!dominated("gentle") && !dominated("good") && !dominated("wrecking"));
    assert!(dominated("useless"));
}

#[test]
fn censored_times_are_bounds() {
    let card = card();
    let relearning = row(&card, "wrecking")
        .standing
        .as_ref()
        .unwrap()
        .relearning
        .unwrap();
    assert!(!relearning.half.is_reached);
    assert!((relearning.half.samples - 256.0).abs() < 1e-12);
    assert!(relearning.half.ratio_is_bound);
    let text = experiment_card_text(&card);
    let cell = "≥ 256 (≥ 2.00× oracle; ≥ 256 … ≥ 256 of 3, 3 failed)";
    assert!(text.contains(cell), "{text}");
}

#[test]
fn attackers_spread_and_damage_is_told_from_resistance() {
    let card = card();
    let attacks = |name: &str| row(&card, name).standing.clone().unwrap().attacks.unwrap();
    let good = attacks("good");
    assert_eq!((good.attackers, good.failures), (3, 3));
    assert_eq!(good.best, ["forget, lr 1e-5, seed 0"]);
    // The best is the fastest, and its half never gets there.
    let best = row(&card, "good")
        .standing
        .clone()
        .unwrap()
        .relearning
        .unwrap();
    assert!((good.fastest.value - best.nine_tenths.samples).abs() < 1e-12);
    assert!(good.fastest.is_reached && !good.slowest.is_reached);
    assert_eq!((good.before, good.few_shot), (Some(0.0), Some(0.125)));
    assert_eq!(good.rounded.iter().collect::<Vec<_>>(), [(&4, &0.25)]);
    // 128 samples of 1e9 operations, and 3e11 to unlearn.
    let asymmetry = row(&card, "good").asymmetry.unwrap();
    assert!((asymmetry.value - 128e9 / 3e11).abs() < 1e-12 && asymmetry.is_reached);
    assert_eq!(row(&card, "oracle").asymmetry, None);
    let damaged = |name: &str| attacks(name).control.unwrap().is_damaged;
    assert!(damaged("wrecking") && !damaged("good"));
    let text = experiment_card_markdown(&card);
    assert!(
        text.contains("≥ 256 ÷ 64 damaged (ρ control 0.100)"),
        "{text}"
    );
    assert!(text.contains("|forget, lr 1e-5, seed 0|"), "{text}");
    let terminal = experiment_card_text(&card);
    let header = terminal.lines().find(|line| line.contains("Useful U"));
    assert!(text.contains("Asymmetry") && !header.unwrap().contains("Asymmetry"));
}

#[test]
fn records_without_attackers_are_still_read() {
    let mut record = serde_json::to_value(made_up::experiment()).unwrap();
    for subject in record["subjects"].as_array_mut().unwrap() {
        let Some(scores) = subject["outcome"].get_mut("measured") else {
            continue;
        };
        let full = scores["recovery"].clone();
        let time = |name: &str| serde_json::json!({"samples": full[name]["samples"], "is_reached": full[name]["is_reached"]});
        scores["recovery"] = serde_json::json!({
            "half": time("half"), "nine_tenths": time("nine_tenths"), "full": time("full"),
            "area": full["area"], "curve": full["curve"],
        });
    }
    let record: harness_bench::experiment::ExperimentRecord =
        serde_json::from_value(record).unwrap();
    let old = Scorecard::new(&record.subjects, Demands::default(), DRAWS).unwrap();
    for (old, new) in old.rows.iter().zip(&card().rows) {
        let (old, new) = (old.standing.as_ref(), new.standing.as_ref());
        assert_eq!(
            old.map(|standing| standing.relearning),
            new.map(|standing| standing.relearning)
        );
        assert!(old.is_none_or(|standing| standing.attacks.is_none()));
    }
    assert!(html_report(&record, &old).unwrap().contains("polyline"));
}

#[test]
fn every_attacker_is_a_line_before_the_oracles_band() {
    let page = html_report(&made_up::experiment(), &card()).unwrap();
    let panels: Vec<&str> = page.split("Relearning after good<").collect();
    let panel = panels[1].split("</svg>").next().unwrap();
    let count = |class: &str| panel.matches(&format!("class=\"{class}\"")).count();
    // Three models of two attackers each.
    assert_eq!((count("curve thin own"), count("curve best own")), (6, 3));
    assert_eq!((count("band oracle"), count("curve original")), (1, 1));
    // The band is as high as the oracle's best attacker, and as low as its other.
    let points = panel.split("band oracle\" points=\"").nth(1).unwrap();
    let points = points.split('"').next().unwrap().split(' ').count();
    assert_eq!(points, 2 * 8);
}

#[test]
fn without_an_oracle_the_scale_ends_at_zero_and_the_card_says_so() {
    let mut record = made_up::experiment();
    record
        .subjects
        .retain(|subject| !subject.row.starts_with("oracle"));
    let card = Scorecard::new(&record.subjects, Demands::default(), DRAWS).unwrap();
    assert!((forgetting(&card, "gentle") - 0.35 / 0.95).abs() < 1e-9);
    assert!(experiment_card_text(&card).contains("no oracle"));
}

#[test]
fn a_task_that_the_original_guesses_is_left_out() {
    let mut record = made_up::experiment();
    for subject in &mut record.subjects {
        if let harness_bench::experiment::Outcome::Measured(scores) = &mut subject.outcome {
            scores.utility[1].values = [1.0, 0.0, 0.0, 0.0].repeat(50);
        }
    }
    let card = Scorecard::new(&record.subjects, Demands::default(), DRAWS).unwrap();
    let standing = row(&card, "good").standing.as_ref().unwrap();
    assert_eq!(standing.utilities.keys().collect::<Vec<_>>(), ["general"]);
    assert!(card.remarks[0].contains("neighbours"), "{:?}", card.remarks);
}

#[test]
fn the_page_needs_nothing_else_and_escapes_what_models_say() {
    let record = made_up::experiment();
    let card = card();
    let page = html_report(&record, &card).unwrap();
    let links = page.replace("http://www.w3.org/2000/svg", "");
    assert!(
        !links.contains("http") && !links.contains("src="),
        "the page loads something"
    );
    assert!(page.contains("&lt;b&gt;Ada&lt;") && !page.contains("<b>Ada"));
    assert!(!page.contains("NaN"));
    for name in ["gentle", "wrecking", "broken"] {
        assert!(page.contains(name), "{name}");
    }
    assert_eq!(page, html_report(&record, &card).unwrap());
}

#[test]
fn trails_lead_from_the_original_to_the_row() {
    let (record, card) = (made_up::experiment(), card());
    for (name, ..) in made_up::METHODS {
        let [step] = row(&card, name).trail.as_slice() else {
            panic!("{name} has one checkpoint");
        };
        assert_eq!(step.step, 25);
        let halfway = forgetting(&card, name) / 2.0;
        assert!((step.forgetting - halfway).abs() < 1e-9, "{name}");
        assert!(
            (step.utility).is_some_and(|kept| kept <= 1.0 && kept >= utility(&card, name)),
            "{name}"
        );
    }
    let page = html_report(&record, &card).unwrap();
    let drawn = page.matches("class=\"trail shade-").count();
    assert_eq!(drawn, 2 * made_up::METHODS.len(), "two pieces a method");
}

#[test]
fn demands_decide_who_is_ranked_and_who_resists() {
    let record = made_up::experiment();
    let ranked = |demands: Demands| {
        let card = Scorecard::new(&record.subjects, demands, DRAWS).unwrap();
        (card.ranking.ranked, card.ranking.resistant.unwrap())
    };
    let usual = Demands::default();
    let (all, resistant) = ranked(usual);
    let ratio = |name: &String| {
        let card = card();
        let standing = row(&card, name).standing.clone().unwrap();
        standing.relearning.unwrap().half.ratio.unwrap()
    };
    for name in &all {
        assert_eq!(resistant.contains(name), ratio(name) >= 0.5, "{name}");
    }
    let everyone = Demands {
        utility: 0.0,
        fluency: 0.0,
        relearning: 0.0,
    };
    let (more, undaunted) = ranked(everyone);
    assert!(more.len() > all.len() && more == undaunted, "{more:?}");
    let no_one = Demands {
        utility: 1.5,
        ..usual
    };
    assert_eq!(ranked_only(&record, no_one), Vec::<String>::new());
}

fn ranked_only(
    record: &harness_bench::experiment::ExperimentRecord,
    demands: Demands,
) -> Vec<String> {
    let card = Scorecard::new(&record.subjects, demands, DRAWS).unwrap();
    assert_eq!(card.ranking.resistant, None);
    card.ranking.ranked
}

#[test]
fn markdown_has_a_row_for_each_model() {
    let card = card();
    let text = experiment_card_markdown(&card);
    let rows = text
        .lines()
        .filter(|line| line.starts_with("|oracle "))
        .count();
    let tables = text.lines().filter(|line| line.starts_with("|--")).count();
    assert!(tables > 3 && rows == tables, "{text}");
    assert!(text.contains(HEADLINE.replace('_', " ").as_str()));
}
