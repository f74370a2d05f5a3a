//! What attackers train on and what they are judged by: texts, cut so that no question is on both sides. Knows no models.

use harness_metric::PythonRandom;
use serde::{Deserialize, Serialize};

use crate::answers::TextPair;
use crate::error::{BenchError, Result};

/// Seed of every split: the same questions are held out for every model and attacker.
const SPLIT_SEED: u64 = 0;

/// What a question is to an attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// Checks that there is something to ask, and that nothing asked is trained on.
    ///
    /// # Errors
    /// When there are no questions, or one of them is in training data word for word.
    pub fn check(&self) -> Result<()> {
        let asked: Vec<&TextPair> = [QuestionKind::HeldOut, QuestionKind::Paraphrased]
            .iter()
            .flat_map(|&kind| self.questions(kind).map_or(&[][..], |(_, pairs)| pairs))
            .collect();
        if asked.is_empty() {
            let message = "nothing is held out and no task asks in other words: there is nothing to judge an attack by";
            return Err(BenchError::Request(message.into()));
        }
        let related = self.related.iter().flat_map(|split| &split.trained);
        let unrelated = self.unrelated.iter().flat_map(|(_, pairs)| pairs);
        let trained: std::collections::BTreeSet<(&str, &str)> = (self.forget.trained.iter())
            .chain(related)
            .chain(unrelated)
            .map(|pair| (pair.prompt.as_str(), pair.answer.as_str()))
            .collect();
        let leak = asked
            .iter()
            .find(|pair| trained.contains(&(pair.prompt.as_str(), pair.answer.as_str())));
        match leak {
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
        materials(None, 0.25).check().unwrap();
        assert!(materials(None, 0.0).check().is_err());
        let said = materials(Some(pairs(8)), 0.25).check().unwrap_err();
        assert!(said.to_string().contains("in common"), "{said}");
    }
}
