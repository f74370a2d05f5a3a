//! A made-up experiment whose outcome is known: an original that knows everything, an oracle that knows a fifth, methods in
//! between and beyond.

use std::collections::BTreeMap;

use harness_bench::experiment::{
    AnsweredQuestion, AttackerRecovery, Cost, Demands, DocumentScores, ExperimentRecord, HEADLINE,
    MachineCost, Outcome, Recovery, Scores, Subject, SubjectKind, TrailPoint, Training,
    UtilityScores, WayBack,
};
use harness_bench::relearn::{
    AttackSpend, Budget, ControlVerdict, QuestionKind, RecoveryPoint, UntrainedAttackKind,
    UntrainedVerdict,
};
use harness_bench::{AnswerKnowledge, Estimate};

/// Documents of the forget set.
const DOCUMENTS: usize = 40;

/// A wave with mean 0, so that documents differ and means do not.
fn wave(document: usize, seed: u64) -> f64 {
    let phase = if document.is_multiple_of(2) {
        1.0
    } else {
        -1.0
    };
    phase * (0.02 + 0.01 * ((document / 2 + seed as usize) % 5) as f64)
}

fn scores(strength: f64, useful: f64, recovery: &[(usize, f64)], seed: u64) -> Scores {
    let values = |mean: f64| (0..DOCUMENTS).map(|d| mean + wave(d, seed)).collect();
    let set = |task: &str, mean: f64| DocumentScores {
        task: task.into(),
        metrics: BTreeMap::from([
            (HEADLINE.to_owned(), values(mean)),
            ("probability".to_owned(), values(mean * 0.9)),
            ("min_k".to_owned(), values(2.0 - mean)),
        ]),
    };
    // As many of 200 right as asked.
    let right = |share: f64| {
        (0..200)
            .map(|d| f64::from(f64::from(d) < share * 200.0))
            .collect()
    };
    let utility = |task: &str, share: f64| UtilityScores {
        task: task.into(),
        metric: "acc".into(),
        chance: 0.25,
        values: right(0.25 + 0.5 * share),
    };
    Scores {
        forget: set("authors", strength),
        paraphrased: Some(set("authors_reworded", strength * 0.8)),
        holdout: Some(set("strangers", 0.2)),
        retain: Some(set("others", 0.9 * useful)),
        utility: vec![
            utility("general", useful),
            utility("neighbours", useful * useful),
        ],
        composites: Vec::new(),
        forget_choice: None,
        sets: BTreeMap::new(),
        rounded: BTreeMap::from([
            (8, set("authors", strength)),
            (4, set("authors", strength * 0.8 + 0.15)),
        ]),
        recovery: Some(recovered(recovery, useful)),
        answers: Vec::new(),
    }
}

fn spend(samples: usize) -> AttackSpend {
    AttackSpend {
        steps: samples / 4,
        samples,
        tokens: 30 * samples,
        flops: 1e9 * samples as f64,
        seconds: 0.1 * samples as f64,
    }
}

/// An attacker's way back.
fn way_back_of(points: &[(usize, f64)]) -> WayBack {
    let reached = |share: f64| {
        let found = points.iter().find(|point| point.1 >= share);
        let last = points.last().map_or(0, |point| point.0);
        Budget {
            spend: spend(found.map_or(last, |point| point.0)),
            is_reached: found.is_some(),
        }
    };
    let point = |&(samples, recovery): &(usize, f64)| RecoveryPoint {
        spend: spend(samples),
        recovery,
    };
    WayBack {
        points: points.iter().map(point).collect(),
        half: reached(0.5),
        nine_tenths: reached(0.9),
        full: reached(1.0),
        area: points.iter().map(|point| point.1).sum::<f64>() / points.len() as f64,
    }
}

/// Two attackers, of which the second gets half as far as the first; a third diverged.
fn recovered(points: &[(usize, f64)], useful: f64) -> Recovery {
    let best = way_back_of(points);
    let half: Vec<(usize, f64)> = points.iter().map(|&(at, rho)| (at, rho / 2.0)).collect();
    let attacker = |rate: &str, way_back: Option<WayBack>| AttackerRecovery {
        attacker: format!("forget, lr {rate}, seed 0"),
        failure: way_back.is_none().then(|| "the loss became NaN".to_owned()),
        way_back,
    };
    let estimate = Estimate {
        value: 0.5,
        stderr: None,
    };
    let untrained = |kind, by_loss| UntrainedVerdict {
        kind,
        questions: QuestionKind::HeldOut,
        by_loss: Some(by_loss),
        by_extraction_strength: None,
        knowledge: AnswerKnowledge {
            probability: estimate,
            extraction_strength: estimate,
            loss: 1.0,
        },
    };
    Recovery {
        half: best.half,
        nine_tenths: best.nine_tenths,
        full: best.full,
        area: best.area,
        curve: points.to_vec(),
        questions: Some(QuestionKind::HeldOut),
        best: Some("forget, lr 1e-5, seed 0".into()),
        first_step: Some(points[1].1 - points[0].1),
        resistance: Some(1.0 - best.area),
        control: Some(ControlVerdict {
            start: useful,
            is_damaged: useful < 0.5,
            repair: Some(Budget {
                spend: spend(if useful < 0.5 { 64 } else { 0 }),
                is_reached: true,
            }),
        }),
        untrained: vec![
            untrained(None, points[0].1),
            untrained(Some(UntrainedAttackKind::Rounding(4)), 0.25),
            untrained(Some(UntrainedAttackKind::FewShot(4)), 0.125),
        ],
        attackers: vec![
            attacker("1e-6", Some(way_back_of(&half))),
            attacker("1e-5", Some(best)),
            attacker("1e-2", None),
        ],
    }
}

fn subject(row: &str, kind: SubjectKind, seed: Option<u64>, scores: Scores) -> Subject {
    Subject {
        row: row.into(),
        kind,
        seed,
        outcome: Outcome::Measured(Box::new(scores)),
        cost: (kind != SubjectKind::Original).then_some(Cost {
            steps: 50,
            tokens: 12_000,
            flops: if kind == SubjectKind::Oracle {
                4e12
            } else {
                3e11
            },
        }),
        machine_cost: Some(MachineCost {
            seconds: 12.5,
            peak_bytes: 1 << 29,
        }),
        trail: Vec::new(),
    }
}

/// A checkpoint between the original and a method's result, in forgetting and in utility.
fn halfway(strength: f64, useful: f64, seed: u64) -> TrailPoint {
    let middle = |original: f64, own: f64| f64::midpoint(original, own);
    let scores = scores(
        middle(0.95, strength),
        middle(1.0, useful),
        &way_back(1.0),
        seed,
    );
    TrailPoint {
        step: 25,
        forget: scores.forget,
        utility: scores.utility,
    }
}

/// Recovery that reaches all at about `samples`.
fn way_back(samples: f64) -> Vec<(usize, f64)> {
    let grid = [0, 4, 8, 16, 32, 64, 128, 256];
    grid.map(|at| (at, (f64::from(at) / samples).min(1.0)))
        .map(|(at, recovery)| (usize::try_from(at).unwrap(), recovery))
        .to_vec()
}

/// Methods as (name, extraction strength, utility, samples to relearn).
pub(crate) const METHODS: [(&str, f64, f64, f64); 5] = [
    ("gentle", 0.6, 0.99, 20.0),
    ("good", 0.22, 0.97, 90.0),
    ("equal", 0.22, 0.97, 110.0),
    ("wrecking", 0.02, 0.1, 900.0),
    ("useless", 0.95, 0.9, 2.0),
];

fn anchors() -> Vec<Subject> {
    let known = vec![(0, 1.0), (256, 1.0)];
    vec![
        subject(
            "original",
            SubjectKind::Original,
            None,
            scores(0.95, 1.0, &known, 0),
        ),
        subject(
            "oracle",
            SubjectKind::Oracle,
            None,
            scores(0.2, 1.0, &way_back(100.0), 0),
        ),
        subject(
            "oracle, other seed",
            SubjectKind::OracleTwin,
            None,
            scores(0.23, 0.99, &way_back(120.0), 1),
        ),
        subject(
            "noise",
            SubjectKind::Noise,
            Some(0),
            scores(0.7, 0.6, &way_back(30.0), 0),
        ),
    ]
}

pub(crate) fn experiment() -> ExperimentRecord {
    let mut subjects = anchors();
    let mut training = Vec::new();
    for (name, strength, useful, samples) in METHODS {
        for seed in 0..3 {
            let own = scores(strength, useful, &way_back(samples + seed as f64), seed);
            let trail = vec![halfway(strength, useful, seed)];
            subjects.push(Subject {
                trail,
                ..subject(name, SubjectKind::Method, Some(seed), own)
            });
            training.push(Training {
                row: name.into(),
                seed: Some(seed),
                losses: (0..50)
                    .map(|step| 14.0 * 0.95_f64.powi(step) + 0.2 * seed as f64)
                    .collect(),
            });
        }
    }
    subjects.push(Subject {
        row: "broken".into(),
        kind: SubjectKind::Method,
        seed: Some(0),
        outcome: Outcome::Failed(
            "method broken, function loss: shapes [3] and [4] do not fit".into(),
        ),
        cost: None,
        machine_cost: None,
        trail: Vec::new(),
    });
    ExperimentRecord {
        name: "Made-up authors".into(),
        demands: Demands::default(),
        facts: vec![
            ("model".into(), "made up".into()),
            ("seeds".into(), "0, 1, 2".into()),
        ],
        subjects,
        training,
        attacks: Vec::new(),
        questions: vec![AnsweredQuestion {
            question: "Where was <b>Ada</b> born?".into(),
            expected: "In Nowhere & Anywhere.".into(),
            answers: vec![
                ("original".into(), "In Nowhere & Anywhere.".into()),
                ("good".into(), "I do not know.".into()),
            ],
        }],
    }
}
