//! Attacks that train nothing: weights rounded as quantization does, and a prompt that shows how such questions are answered.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use harness_engine::Encoder;
use harness_metric::PythonRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::materials::{QuestionKind, Split};
use crate::answers::{AnswerKnowledge, AnswerSet, TextPair};
use crate::error::Result;

/// What attacks without training are asked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UntrainedAttackName {
    /// Weights rounded to fewer bits.
    Rounding,
    /// Answered forget questions before each question.
    FewShot,
}

impl UntrainedAttackName {
    /// The attacks that some names stand for, each once: with so many bits, and so many examples.
    pub fn kinds(names: &[Self], bits: &[u32], shots: usize) -> Vec<UntrainedAttackKind> {
        let mut kinds = Vec::new();
        for name in names {
            match name {
                Self::Rounding => {
                    kinds.extend(bits.iter().map(|&bits| UntrainedAttackKind::Rounding(bits)));
                }
                Self::FewShot => kinds.push(UntrainedAttackKind::FewShot(shots)),
            }
        }
        kinds.sort();
        kinds.dedup();
        kinds
    }
}

impl FromStr for UntrainedAttackName {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "rounding" | "quantization" => Ok(Self::Rounding),
            "few-shot" | "few_shot" => Ok(Self::FewShot),
            other => Err(format!("unknown attack {other}: rounding or few-shot")),
        }
    }
}

impl fmt::Display for UntrainedAttackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rounding => "rounding",
            Self::FewShot => "few-shot",
        })
    }
}

/// An attack without training.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum UntrainedAttackKind {
    /// Weights are rounded to so many bits.
    Rounding(u32),
    /// So many other forget questions stand answered before each.
    FewShot(usize),
}

impl UntrainedAttackKind {
    /// For tables.
    pub fn name(self) -> String {
        match self {
            Self::Rounding(bits) => format!("{bits}-bit"),
            Self::FewShot(shots) => format!("{shots}-shot"),
        }
    }
}

/// What a model knows under an attack without training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UntrainedAttack {
    /// Which.
    pub kind: UntrainedAttackKind,
    /// What the model knows, by kind of question.
    pub knowledge: BTreeMap<QuestionKind, AnswerKnowledge>,
}

/// The same questions with `shots` answered ones of `examples` before each, drawn by the question's place. Where the questions
/// are held out, the examples are of other documents.
fn with_shots(questions: &[TextPair], examples: &[TextPair], shots: usize) -> Vec<TextPair> {
    let shown = |(place, question): (usize, &TextPair)| {
        let mut order: Vec<usize> = (0..examples.len()).collect();
        PythonRandom::new(place as u64).shuffle(&mut order);
        let before = order.iter().take(shots).map(|&example| {
            let example = &examples[example];
            format!("{}{}\n\n", example.prompt, example.answer)
        });
        TextPair {
            prompt: before.collect::<String>() + &question.prompt,
            answer: question.answer.clone(),
        }
    };
    questions.iter().enumerate().map(shown).collect()
}

/// Tokenizes a split's questions, examples of the rest before each.
///
/// # Errors
/// When one does not fit the model's context; the error names it.
pub(super) fn few_shot_set(split: &Split, shots: usize, encoder: &Encoder) -> Result<AnswerSet> {
    let shown = with_shots(&split.held_out, &split.trained, shots);
    AnswerSet::new(&split.task, &shown, encoder)
}

#[cfg(test)]
mod tests {
    use super::with_shots;
    use crate::answers::TextPair;

    #[test]
    fn other_documents_stand_before_the_question() {
        let pair = |i: usize| TextPair {
            prompt: format!("Q{i}?"),
            answer: format!(" A{i}."),
        };
        let examples: Vec<TextPair> = (0..5).map(pair).collect();
        let questions: Vec<TextPair> = (5..8).map(pair).collect();
        for (question, shown) in questions.iter().zip(with_shots(&questions, &examples, 2)) {
            assert_eq!(shown.answer, question.answer);
            let before: Vec<&str> = shown.prompt.split("\n\n").collect();
            assert_eq!((before.len(), before[2]), (3, question.prompt.as_str()));
            assert!(before[0] != before[1]);
            for example in &before[..2] {
                assert!(
                    examples
                        .iter()
                        .any(|e| **example == e.prompt.clone() + &e.answer)
                );
            }
        }
    }
}
