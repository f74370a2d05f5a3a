//! The Parquet table of attacks, read back: every evaluation, no wall times.
#![allow(clippy::unwrap_used, reason = "a test: panics are failures")]

use std::collections::BTreeMap;
use std::io::Write;

use harness_bench::relearn::{
    Attack, AttackCurve, AttackData, AttackSpend, AttackedModel, Attacker, Evaluation,
    ModelAttacks, QuestionKind,
};
use harness_bench::{AnswerKnowledge, Estimate, FineTuning};
use harness_report::attacks_parquet;
use parquet::file::reader::{FileReader, SerializedFileReader};

fn known(loss: f64) -> AnswerKnowledge {
    let estimate = Estimate {
        value: 0.5,
        stderr: None,
    };
    AnswerKnowledge {
        probability: estimate,
        extraction_strength: estimate,
        loss,
    }
}

fn curve(kinds: &[QuestionKind], seconds: f64) -> Attack {
    let evaluation = |steps: usize| Evaluation {
        spend: AttackSpend {
            steps,
            samples: 3 * steps,
            seconds,
            ..AttackSpend::default()
        },
        knowledge: kinds.iter().map(|&kind| (kind, known(1.5))).collect(),
    };
    Attack::Curve(AttackCurve {
        evaluations: [0, 1, 2].map(evaluation).into(),
        losses: Vec::new(),
    })
}

fn attacked(seconds: f64) -> AttackedModel {
    let attacker = |data| Attacker {
        data,
        tuning: FineTuning::default(),
    };
    let forgotten = [QuestionKind::HeldOut, QuestionKind::Paraphrased];
    AttackedModel {
        model: "npo".into(),
        seed: Some(7),
        attacks: ModelAttacks {
            before: BTreeMap::new(),
            untrained: Vec::new(),
            attacks: vec![
                (attacker(AttackData::Forget), curve(&forgotten, seconds)),
                (
                    attacker(AttackData::Unrelated),
                    Attack::Failed("diverged".into()),
                ),
            ],
            repair: Some((
                attacker(AttackData::Related),
                curve(&[QuestionKind::Control], seconds),
            )),
        },
    }
}

/// The rows as text.
fn rows(table: &[u8]) -> Vec<String> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(table).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let rows = reader.get_row_iter(None).unwrap();
    rows.map(|row| row.unwrap().to_string()).collect()
}

#[test]
fn a_row_an_evaluation_and_kind_of_question() {
    let table = attacks_parquet(&[attacked(1.0)]).unwrap();
    let rows = rows(&table);
    assert_eq!(rows.len(), 3 * 2 + 3);
    for part in [
        "model: \"npo\"",
        "seed: 7",
        "data: \"forget\"",
        "steps: 2",
        "samples: 6",
    ] {
        assert!(rows[4].contains(part), "no {part} in {}", rows[4]);
    }
    assert!(rows[8].contains("questions: \"control\""), "{}", rows[8]);
    assert!(!rows[0].contains("seconds"));
    assert_eq!(table, attacks_parquet(&[attacked(9.0)]).unwrap());
    assert!(self::rows(&attacks_parquet(&[]).unwrap()).is_empty());
}
