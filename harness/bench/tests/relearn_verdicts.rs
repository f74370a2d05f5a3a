//! Verdicts on made-up attacks whose numbers are worked by hand, and identities of the anchors.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::collections::BTreeMap;

use harness_bench::relearn::{
    AllAnchors, Attack, AttackCurve, AttackData, AttackSpend, Attacker, Bound, Evaluation,
    ModelAttacks, QuestionKind, UntrainedAttack, UntrainedAttackKind, Verdict, Yardstick, judge,
};
use harness_bench::{AnswerKnowledge, Estimate, FineTuning};

const HELD_OUT: QuestionKind = QuestionKind::HeldOut;

fn known(loss: f64) -> AnswerKnowledge {
    let estimate = |value| Estimate {
        value,
        stderr: None,
    };
    AnswerKnowledge {
        probability: estimate((-loss).exp()),
        extraction_strength: estimate((3.0 - loss) / 2.0),
        loss,
    }
}

fn attacker(learning_rate: f64) -> Attacker {
    Attacker {
        data: AttackData::Forget,
        tuning: FineTuning {
            learning_rate,
            batch_size: 4,
            steps: 16,
            ..FineTuning::default()
        },
    }
}

/// Losses on the held-out questions after 0, 1, 2, 4, 8 and 16 steps of 4 documents.
fn attack(losses: [f64; 6]) -> Attack {
    let steps = [0, 1, 2, 4, 8, 16];
    let evaluation = |(&steps, loss): (&usize, f64)| Evaluation {
        spend: AttackSpend {
            steps,
            samples: 4 * steps,
            tokens: 40 * steps,
            flops: 1e6 * steps as f64,
            seconds: 0.5 * steps as f64,
        },
        knowledge: BTreeMap::from([(HELD_OUT, known(loss))]),
    };
    Attack::Curve(AttackCurve {
        evaluations: steps.iter().zip(losses).map(evaluation).collect(),
        losses: vec![3.0, 2.0, 0.8, 0.4],
    })
}

fn model(control: f64, attacks: &[(f64, Attack)]) -> ModelAttacks {
    let Some((_, Attack::Curve(first))) = attacks.first() else {
        panic!("no curve");
    };
    let before = first.evaluations[0].knowledge[&HELD_OUT];
    ModelAttacks {
        before: BTreeMap::from([
            (HELD_OUT, before),
            (QuestionKind::Trained, known(1.2)),
            (QuestionKind::Control, known(control)),
        ]),
        untrained: vec![UntrainedAttack {
            kind: UntrainedAttackKind::Rounding(4),
            knowledge: BTreeMap::from([(HELD_OUT, known(before.loss - 0.5))]),
        }],
        attacks: attacks
            .iter()
            .map(|(rate, attack)| (attacker(*rate), attack.clone()))
            .collect(),
        repair: None,
    }
}

fn original() -> ModelAttacks {
    model(1.0, &[(1e-5, attack([1.0; 6]))])
}

fn oracle() -> ModelAttacks {
    model(1.0, &[(1e-5, attack([3.0, 2.9, 2.8, 2.0, 1.2, 1.0]))])
}

fn verdict(attacks: &ModelAttacks) -> Verdict {
    let anchors = AllAnchors::new(&oracle(), &original());
    judge("model", attacks, &anchors, HELD_OUT).unwrap()
}

fn samples(verdict: &Verdict, threshold: usize) -> (usize, bool) {
    let time = verdict.best_curve(HELD_OUT, Yardstick::Loss).unwrap().times[threshold];
    (time.spend.samples, time.is_reached)
}

#[test]
fn the_original_never_forgot_and_the_oracle_never_knew() {
    let (original, oracle) = (verdict(&original()), verdict(&oracle()));
    for yardstick in [Yardstick::Loss, Yardstick::ExtractionStrength] {
        let curve = original.best_curve(HELD_OUT, yardstick).unwrap();
        assert!((curve.start() - 1.0).abs() < 1e-12 && (curve.area - 1.0).abs() < 1e-12);
        assert!(
            oracle
                .best_curve(HELD_OUT, yardstick)
                .unwrap()
                .start()
                .abs()
                < 1e-12
        );
    }
    assert_eq!(
        (0..3).map(|t| samples(&original, t)).collect::<Vec<_>>(),
        [(0, true); 3]
    );
    assert_eq!(oracle.ratio(&oracle, HELD_OUT, 0), Some((1.0, Bound::None)));
    // Nothing is a multiple of nothing.
    assert_eq!(oracle.ratio(&original, HELD_OUT, 0), None);
    // ρ of the oracle: 0, .05, .1, .5, .9, 1.
    assert_eq!(
        (samples(&oracle, 0), samples(&oracle, 1)),
        ((16, true), (32, true))
    );
    assert_eq!(samples(&oracle, 2), (64, false));
    let area = (0.075 + 0.3 + 0.7 + 0.95) / 4.0;
    let got = oracle.best_curve(HELD_OUT, Yardstick::Loss).unwrap().area;
    assert!((got - area).abs() < 1e-12, "{got}");
}

#[test]
fn the_best_attacker_counts_and_the_others_are_its_spread() {
    let unlearned = model(
        1.1,
        &[
            (1e-6, attack([2.8, 2.8, 2.7, 2.6, 2.6, 2.5])),
            (1e-5, attack([2.8, 2.4, 1.9, 1.1, 1.0, 1.0])),
            (1e-3, attack([2.8, 9.0, 9.0, 8.0, 7.0, 6.0])),
        ],
    );
    let verdict = verdict(&unlearned);
    assert_eq!(verdict.best, Some(1));
    assert_eq!(
        (samples(&verdict, 0), samples(&verdict, 1)),
        ((8, true), (16, true))
    );
    let curve = verdict.best_curve(HELD_OUT, Yardstick::Loss).unwrap();
    assert!((curve.start() - 0.1).abs() < 1e-12 && (curve.first_jump() - 0.2).abs() < 1e-12);
    assert_eq!(curve.times[1].spend.tokens, 160);
    let (fastest, slowest) = verdict.spread(1).unwrap();
    assert_eq!((fastest.spend.samples, fastest.is_reached), (16, true));
    assert_eq!((slowest.spend.samples, slowest.is_reached), (64, false));
    let oracle = self::verdict(&oracle());
    assert_eq!(
        verdict.ratio(&oracle, HELD_OUT, 1),
        Some((0.5, Bound::None))
    );
    // The means of training losses are 3, 2.5, 1.93, 1.55, and the original's loss there is 1.2.
    assert_eq!(verdict.attackers[1].by_running_loss, Some((16, false)));
}

#[test]
fn what_is_not_reached_is_a_bound_and_never_less() {
    let slow = verdict(&model(
        1.0,
        &[(1e-5, attack([3.0, 3.0, 2.9, 2.9, 2.8, 2.1]))],
    ));
    let oracle = verdict(&oracle());
    assert_eq!(samples(&slow, 0), (64, false));
    assert_eq!(
        slow.ratio(&oracle, HELD_OUT, 0),
        Some((4.0, Bound::AtLeast))
    );
    assert_eq!(
        oracle.ratio(&slow, HELD_OUT, 0),
        Some((0.25, Bound::AtMost))
    );
    assert_eq!(slow.ratio(&oracle, HELD_OUT, 2), None);
}

#[test]
fn a_wrecked_model_is_told_from_one_that_resists() {
    let anchors = AllAnchors::new(&oracle(), &original());
    let damaged = |control: f64| {
        let mut attacks = model(control, &[(1e-5, attack([3.0; 6]))]);
        let repair = Attack::Curve(AttackCurve {
            evaluations: [(0, control), (1, 2.0), (2, 1.1), (4, 1.0)]
                .map(|(steps, loss)| Evaluation {
                    spend: AttackSpend {
                        steps,
                        samples: 4 * steps,
                        ..AttackSpend::default()
                    },
                    knowledge: BTreeMap::from([(QuestionKind::Control, known(loss))]),
                })
                .into(),
            losses: Vec::new(),
        });
        attacks.repair = Some((attacker(1e-5), repair));
        let verdict = judge("model", &attacks, &anchors, HELD_OUT).unwrap();
        verdict.control.unwrap()
    };
    // The oracle lacks two nats a token of what was forgotten; a loss of 1.4 nats on what was not is seven tenths of that.
    let wrecked = damaged(2.4);
    assert!(wrecked.is_damaged && (wrecked.start - 0.3).abs() < 1e-12);
    assert_eq!(wrecked.repair.unwrap().spend.samples, 8);
    assert!(!damaged(1.3).is_damaged);
}

#[test]
fn rounding_is_judged_between_rounded_anchors() {
    let unlearned = model(1.0, &[(1e-5, attack([2.0; 6]))]);
    let verdict = verdict(&unlearned);
    let rho = |place: usize| verdict.untrained[place].by_loss.unwrap();
    assert_eq!(verdict.untrained[0].kind, None);
    assert!((rho(0) - 0.5).abs() < 1e-12);
    // All three lost half a nat by rounding: nothing came back.
    assert!((rho(1) - 0.5).abs() < 1e-12);
    // With no model that never knew, what the model had lost before any attack is the measure.
    let anchors = AllAnchors::from_itself(&unlearned, &original());
    let verdict = judge("model", &unlearned, &anchors, HELD_OUT).unwrap();
    assert!(verdict.untrained[0].by_loss.unwrap().abs() < 1e-12);
    assert!((verdict.untrained[1].by_loss.unwrap() - 0.5 / 1.5).abs() < 1e-12);
}

#[test]
fn anchors_the_wrong_way_round_are_no_scale() {
    let anchors = AllAnchors::new(&original(), &oracle());
    let said = anchors.plain.require_scale(HELD_OUT, "oracle").unwrap_err();
    assert!(
        said.to_string().contains("as well as the original"),
        "{said}"
    );
    assert!(
        judge("model", &oracle(), &anchors, HELD_OUT)
            .unwrap()
            .best
            .is_none()
    );
}
