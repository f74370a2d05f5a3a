//! What attackers train on and what they are judged by: texts, cut so that no question is on both sides. Knows no models.

use std::collections::BTreeSet;

use harness_metric::PythonRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attacker::AttackData;
use crate::answers::TextPair;
use crate::error::{BenchError, Result};

/// Share of a task's documents that no attacker trains on, where nothing else is said.
pub const HELD_OUT_SHARE: f64 = 0.25;
/// Seed of every split: the same questions are held out for every model and attacker.
const SPLIT_SEED: u64 = 0;

/// What a question is to an attacker.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum QuestionKind {
    /// Forget documents that attackers train on.
    Trained,
    /// Forget documents that no attacker sees: what comes back here was there.
    HeldOut,
    /// The forget set's facts in other words.
    Paraphrased,
    /// Documents of the related task that no attacker sees: what the model should still know.
    Control,
}

impl QuestionKind {
    pub(super) const ALL: [Self; 4] = [
        Self::Trained,
        Self::HeldOut,
        Self::Paraphrased,
        Self::Control,
    ];

    /// For tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trained => "trained",
            Self::HeldOut => "held out",
            Self::Paraphrased => "paraphrased",
            Self::Control => "control",
        }
    }
}

/// A task's documents, cut into those to train on and those to ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// The task.
    pub task: String,
    /// For training.
    pub trained: Vec<TextPair>,
    /// For questions.
    pub held_out: Vec<TextPair>,
}

impl Split {
    /// Holds out the nearest number of documents to `share` of them, drawn with a fixed seed, both parts in the task's order.
    ///
    /// # Errors
    /// When `share` is not within 0 and 1, or leaves nothing to train on; when it is above 0 and holds out nothing.
    pub fn new(task: &str, pairs: Vec<TextPair>, share: f64) -> Result<Self> {
        let documents = pairs.len();
        let held_out = (share * documents as f64).round();
        if !(0.0..1.0).contains(&share) || held_out >= documents as f64 {
            let message = format!(
                "task {task}: a share of {share} held out of {documents} documents leaves none to train on"
            );
            return Err(BenchError::Request(message));
        }
        if share > 0.0 && held_out < 1.0 {
            let message = format!(
                "task {task}: a share of {share} of {documents} documents holds out none; take more documents or a larger share"
            );
            return Err(BenchError::Request(message));
        }
        let mut order: Vec<usize> = (0..documents).collect();
        PythonRandom::new(SPLIT_SEED).shuffle(&mut order);
        let mut is_held_out = vec![false; documents];
        for &document in order.iter().take(held_out as usize) {
            is_held_out[document] = true;
        }
        let (mut trained, mut held_out) = (Vec::new(), Vec::new());
        for (pair, is_held_out) in pairs.into_iter().zip(is_held_out) {
            if is_held_out {
                &mut held_out
            } else {
                &mut trained
            }
            .push(pair);
        }
        Ok(Self {
            task: task.to_owned(),
            trained,
            held_out,
        })
    }
}

/// Everything that a campaign trains on and asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Materials {
    /// What was to be forgotten.
    pub forget: Split,
    /// The same facts in other words, by their task.
    pub paraphrased: Option<(String, Vec<TextPair>)>,
    /// Near to what was forgotten, but not to be forgotten: the retain set.
    pub related: Option<Split>,
    /// Far from it.
    pub unrelated: Option<(String, Vec<TextPair>)>,
}

impl Materials {
    /// Checks that there is something to ask, that attackers on `data` have a batch to train on, and that nothing asked is
    /// trained on.
    ///
    /// # Errors
    /// When there are no questions, a task is missing or smaller than `batch_size`, or a question is in training data word for
    /// word.
    pub fn check(&self, data: &[AttackData], batch_size: usize) -> Result<()> {
        let asked: Vec<&TextPair> = [QuestionKind::HeldOut, QuestionKind::Paraphrased]
            .iter()
            .flat_map(|&kind| self.questions(kind).map_or(&[][..], |(_, pairs)| pairs))
            .collect();
        if asked.is_empty() {
            let message = "nothing is held out and no task asks in other words: there is nothing to judge an attack by";
            return Err(BenchError::Request(message.into()));
        }
        let mut trained: BTreeSet<&TextPair> = BTreeSet::new();
        for &data in data {
            let (task, pairs) = self.training(data)?;
            if pairs.len() < batch_size {
                let message = format!(
                    "an attacker takes {batch_size} documents a step, and {} of {task} are left to train on",
                    pairs.len()
                );
                return Err(BenchError::Request(message));
            }
            trained.extend(pairs);
        }
        match asked.iter().find(|pair| trained.contains(*pair)) {
            None => Ok(()),
            Some(pair) => {
                let message = format!(
                    "an attacker would be asked what it trained on, {:?}: the tasks have documents in common, or one twice",
                    pair.prompt
                );
                Err(BenchError::Request(message))
            }
        }
    }

    /// What attackers on some data train on, with its task.
    ///
    /// # Errors
    /// When there is no such task.
    pub fn training(&self, data: AttackData) -> Result<(&str, &[TextPair])> {
        let found: Option<(&str, &[TextPair])> = match data {
            AttackData::Forget => Some((&self.forget.task, &self.forget.trained)),
            AttackData::Related => {
                (self.related.as_ref()).map(|split| (split.task.as_str(), split.trained.as_slice()))
            }
            AttackData::Unrelated => {
                (self.unrelated.as_ref()).map(|(task, pairs)| (task.as_str(), pairs.as_slice()))
            }
        };
        found.ok_or_else(|| {
            BenchError::Request(format!("no task is given for {} data", data.name()))
        })
    }

    /// What is asked with examples before it, and the examples: as attackers have it, or, where nothing is held out from them,
    /// a split for this purpose alone, since nothing is trained on.
    ///
    /// # Errors
    /// When there are too few documents for both.
    pub fn few_shot(&self) -> Result<Split> {
        if self.forget.held_out.is_empty() {
            let pairs = self.forget.trained.clone();
            return Split::new(&self.forget.task, pairs, HELD_OUT_SHARE);
        }
        Ok(self.forget.clone())
    }

    /// The questions of a kind with their task, if there are any.
    pub fn questions(&self, kind: QuestionKind) -> Option<(&str, &[TextPair])> {
        let (task, pairs): (&str, &[TextPair]) = match kind {
            QuestionKind::Trained => (&self.forget.task, &self.forget.trained),
            QuestionKind::HeldOut => (&self.forget.task, &self.forget.held_out),
            QuestionKind::Paraphrased => {
                let (task, pairs) = self.paraphrased.as_ref()?;
                (task, pairs)
            }
            QuestionKind::Control => {
                let related = self.related.as_ref()?;
                (&related.task, &related.held_out)
            }
        };
        (!pairs.is_empty()).then_some((task, pairs))
    }

    /// The questions that recovery is read from first: paraphrases, where there are any, since a model that never knew can
    /// learn to answer those too.
    pub fn headline(&self) -> QuestionKind {
        match self.questions(QuestionKind::Paraphrased) {
            Some(_) => QuestionKind::Paraphrased,
            None => QuestionKind::HeldOut,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::{Materials, Split};
    use crate::answers::TextPair;
    use crate::relearn::AttackData;

    fn pairs(count: usize) -> Vec<TextPair> {
        let pair = |i| TextPair {
            prompt: format!("{i}?"),
            answer: format!(" {i}."),
        };
        (0..count).map(pair).collect()
    }

    #[test]
    fn a_split_has_every_document_once() {
        let split = Split::new("facts", pairs(10), 0.3).unwrap();
        assert_eq!((split.trained.len(), split.held_out.len()), (7, 3));
        let mut all = [split.trained.clone(), split.held_out.clone()].concat();
        all.sort_by(|a, b| a.prompt.cmp(&b.prompt));
        assert_eq!(all, pairs(10));
        assert_eq!(split, Split::new("facts", pairs(10), 0.3).unwrap());
        assert!(
            Split::new("facts", pairs(10), 0.0)
                .unwrap()
                .held_out
                .is_empty()
        );
        for share in [-0.1, 1.0, f64::NAN, 0.97, 0.01] {
            assert!(Split::new("facts", pairs(10), share).is_err(), "{share}");
        }
    }

    #[test]
    fn no_question_is_trained_on() {
        let materials = |paraphrased: Option<Vec<TextPair>>, share| Materials {
            forget: Split::new("facts", pairs(8), share).unwrap(),
            paraphrased: paraphrased.map(|pairs| ("other words".to_owned(), pairs)),
            related: None,
            unrelated: None,
        };
        let check = |materials: Materials, batch| materials.check(&[AttackData::Forget], batch);
        check(materials(None, 0.25), 6).unwrap();
        let said = |materials, batch| check(materials, batch).unwrap_err().to_string();
        for (said, part) in [
            (said(materials(None, 0.25), 7), "6 of facts are left"),
            (said(materials(None, 0.0), 1), "nothing to judge"),
            (said(materials(Some(pairs(8)), 0.25), 1), "in common"),
        ] {
            assert!(said.contains(part), "{said}");
        }
        let related = materials(None, 0.25).check(&[AttackData::Related], 1);
        assert!(related.unwrap_err().to_string().contains("related data"));
    }

    #[test]
    fn examples_are_never_the_questions() {
        for share in [0.0, 0.5] {
            let materials = Materials {
                forget: Split::new("facts", pairs(8), share).unwrap(),
                paraphrased: None,
                related: None,
                unrelated: None,
            };
            let split = materials.few_shot().unwrap();
            assert!(!split.held_out.is_empty());
            let is_shown = |pair| split.trained.contains(pair);
            assert!(!split.held_out.iter().any(is_shown));
        }
    }
}
