//! The demo world as data: which of its tasks plays which role. The facts themselves are in `tasks/demo`.

use harness_data::DataSource;
use harness_task::{Task, TaskLibrary, TaskSpec};

use crate::answers::TextPair;
use crate::error::Result;
use crate::experiment::{Measures, truth_ratio_task};

/// What is to be forgotten.
pub(super) const FORGET: &str = "demo_forget";
/// The same facts asked in other words; never trained on.
pub(super) const FORGET_PARAPHRASED: &str = "demo_forget_paraphrased";
/// What is to be kept.
pub(super) const RETAIN: &str = "demo_retain";
/// What the original and the oracle are trained on besides the forget set.
const KEPT: [&str; 3] = [RETAIN, "demo_retain_paraphrased", "demo_general"];
/// What the tokenizer sees although no model does, so that all people's names are equally easy to spell.
const UNSEEN: [&str; 2] = [FORGET_PARAPHRASED, HOLDOUT];
/// People that no model has heard of.
pub(super) const HOLDOUT: &str = "demo_holdout";
/// Whether the true answers are preferred to wrong ones.
pub(super) const FORGET_TRUTH: &str = "demo_forget_truth";
/// The forget set's questions with four choices.
pub(super) const FORGET_CHOICE: &str = "demo_forget_choice";
/// What must stay useful.
pub(super) const UTILITY: [&str; 2] = ["demo_retain_choice", "demo_general"];

/// The world's texts by role.
pub(super) struct World {
    pub(super) forget: Vec<TextPair>,
    pub(super) forget_paraphrased: Vec<TextPair>,
    pub(super) holdout: Vec<TextPair>,
    pub(super) retain: Vec<TextPair>,
    /// Everything to train on but the forget set.
    pub(super) kept: Vec<TextPair>,
    unseen: Vec<TextPair>,
    /// By name.
    pub(super) utility: Vec<(String, Vec<Task>)>,
    pub(super) measures: Measures,
}

impl World {
    pub(super) fn load(library: &TaskLibrary, source: &DataSource) -> Result<Self> {
        let spec =
            |name: &str| -> Result<TaskSpec> { Ok(library.resolve(&[name.to_owned()])?.remove(0)) };
        let task = |name: &str| -> Result<Task> { Ok(Task::load(spec(name)?, source)?) };
        let pairs = |name: &str| -> Result<Vec<TextPair>> {
            Ok(task(name)?
                .training_pairs(None)?
                .into_iter()
                .map(TextPair::from)
                .collect())
        };
        let all = |names: &[&str]| -> Result<Vec<TextPair>> {
            Ok(names
                .iter()
                .map(|name| pairs(name))
                .collect::<Result<Vec<_>>>()?
                .concat())
        };
        Ok(Self {
            forget: pairs(FORGET)?,
            forget_paraphrased: pairs(FORGET_PARAPHRASED)?,
            holdout: pairs(HOLDOUT)?,
            retain: pairs(RETAIN)?,
            kept: all(&KEPT)?,
            unseen: all(&UNSEEN)?,
            utility: UTILITY
                .iter()
                .map(|&name| Ok((name.to_owned(), vec![task(name)?])))
                .collect::<Result<_>>()?,
            measures: Measures {
                truth_ratio: Some(truth_ratio_task(spec(FORGET_TRUTH)?, source)?),
                forget_choice: vec![task(FORGET_CHOICE)?],
                ..Measures::default()
            },
        })
    }

    /// What the original is trained on.
    pub(super) fn everything(&self) -> Vec<TextPair> {
        [self.forget.clone(), self.kept.clone()].concat()
    }

    /// Every text, for the tokenizer.
    pub(super) fn texts(&self) -> Vec<String> {
        let pairs = self.forget.iter().chain(&self.kept).chain(&self.unseen);
        pairs
            .map(|pair| format!("{}{}", pair.prompt, pair.answer))
            .collect()
    }
}
