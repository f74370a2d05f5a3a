//! Every evaluation of every attack as a Parquet table, so that anyone can draw and aggregate the curves again.

use harness_bench::AnswerKnowledge;
use harness_bench::relearn::{
    Attack, AttackSpend, AttackedModel, Attacker, Evaluation, QuestionKind,
};
use parquet::errors::Result;

use crate::parquet_table::{Column, Values, parquet_table};

/// One row.
struct Row<'a> {
    subject: &'a AttackedModel,
    attacker: &'a Attacker,
    spend: AttackSpend,
    questions: QuestionKind,
    knowledge: AnswerKnowledge,
}

/// The file's contents: columns `model` (its row of the scorecard), `seed` of its making, `data`, `learning_rate`, `lora_rank`, `attacker_seed`,
/// `steps`, `samples`, `tokens`, `flops`, `questions`, `loss`, `extraction_strength`, `probability`; a row an evaluation and kind
/// of question, the repair of damage last, whose questions are `control`. No wall times: the same attacks give the same bytes.
///
/// # Errors
/// Where the Parquet writer refuses.
pub fn attacks_parquet(subjects: &[AttackedModel]) -> Result<Vec<u8>> {
    let mut rows = Vec::new();
    for subject in subjects {
        for (attacker, attack) in subject
            .attacks
            .attacks
            .iter()
            .chain(&subject.attacks.repair)
        {
            if let Attack::Curve(curve) = attack {
                let evaluations = curve.evaluations.iter();
                rows.extend(evaluations.flat_map(|one| rows_of(subject, attacker, one)));
            }
        }
    }
    let integers = |of: fn(&Row) -> usize| {
        let values = rows
            .iter()
            .map(|row| i64::try_from(of(row)).unwrap_or(i64::MAX));
        Values::Integers(values.collect())
    };
    let numbers = |of: fn(&Row) -> Option<f64>| Values::Numbers(rows.iter().map(of).collect());
    let texts =
        |of: fn(&Row) -> String| Values::Texts(rows.iter().map(|row| Some(of(row))).collect());
    let columns = [
        ("model", texts(|row| row.subject.model.clone())),
        (
            "seed",
            numbers(|row| row.subject.seed.map(|seed| seed as f64)),
        ),
        ("data", texts(|row| row.attacker.data.name().to_owned())),
        (
            "learning_rate",
            numbers(|row| Some(row.attacker.tuning.learning_rate)),
        ),
        (
            "lora_rank",
            numbers(|row| row.attacker.tuning.lora_rank.map(|rank| rank as f64)),
        ),
        (
            "attacker_seed",
            texts(|row| row.attacker.tuning.seed.to_string()),
        ),
        ("steps", integers(|row| row.spend.steps)),
        ("samples", integers(|row| row.spend.samples)),
        ("tokens", integers(|row| row.spend.tokens)),
        ("flops", numbers(|row| Some(row.spend.flops))),
        ("questions", texts(|row| row.questions.name().to_owned())),
        ("loss", numbers(|row| Some(row.knowledge.loss))),
        (
            "extraction_strength",
            numbers(|row| Some(row.knowledge.extraction_strength.value)),
        ),
        (
            "probability",
            numbers(|row| Some(row.knowledge.probability.value)),
        ),
    ];
    let columns = columns.map(|(name, values)| Column {
        name: name.to_owned(),
        values,
    });
    parquet_table("relearning", &columns)
}

fn rows_of<'a>(
    subject: &'a AttackedModel,
    attacker: &'a Attacker,
    evaluation: &'a Evaluation,
) -> impl Iterator<Item = Row<'a>> {
    let row = move |(&questions, &knowledge): (&QuestionKind, &AnswerKnowledge)| Row {
        subject,
        attacker,
        spend: evaluation.spend,
        questions,
        knowledge,
    };
    evaluation.knowledge.iter().map(row)
}
