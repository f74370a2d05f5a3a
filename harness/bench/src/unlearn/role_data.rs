//! The documents of a run by role: which of them a step takes, and the answers that are made up for the forget prompts.
//! It refuses batches that a set cannot fill.

use std::collections::BTreeMap;

use harness_engine::Encoder;
use harness_host::{Need, Role};
use harness_metric::PythonRandom;
use harness_model::train::{AnswerBatch, TokenizedPair};

use super::job::UnlearnJob;
use super::options::SequentialParts;
use crate::answers::{AnswerSet, TextPair};
use crate::error::{BenchError, Result};
use crate::order::EpochOrder;

/// Makes the orders of the sets independent of each other.
const RETAIN_STREAM: u64 = 0x5265_7461;
const NORMAL_STREAM: u64 = 0x4e6f_726d;
const ANSWER_STREAM: u64 = 0x416e_7377;

/// A set of documents and the order in which they are taken.
struct Taken {
    set: AnswerSet,
    order: EpochOrder,
    documents: Vec<usize>,
}

impl Taken {
    fn new(set: AnswerSet, batch_size: usize, seed: u64) -> Result<Self> {
        set.require_batch(batch_size)?;
        let order = EpochOrder::new(set.pairs.len(), seed);
        Ok(Self {
            set,
            order,
            documents: Vec::new(),
        })
    }
}

/// Everything that steps are made of.
pub(super) struct RoleData {
    forget: Taken,
    /// The forget documents with other answers.
    alternate: Option<AnswerSet>,
    retain: Option<Taken>,
    normal: Option<Taken>,
    mismatch: Option<Mismatch>,
    batch_size: usize,
    steps: usize,
    is_whole: bool,
}

/// Answers of the normal set for the forget prompts.
struct Mismatch {
    encoder: Encoder,
    prompts: Vec<String>,
    answers: Vec<String>,
    answers_a_prompt: usize,
    random: PythonRandom,
    batch: Vec<TokenizedPair>,
}

impl RoleData {
    pub(super) fn new(
        job: &UnlearnJob,
        encoder: &Encoder,
        needs: &dyn Fn(Need) -> bool,
    ) -> Result<Self> {
        let (seed, size) = (job.training.seed, job.training.batch_size);
        let set = |task: &str, pairs: &[TextPair]| AnswerSet::new(task, pairs, encoder);
        let mut forget = Taken::new(set(&job.forget_task, &job.forget)?, size, seed)?;
        if let Some(SequentialParts { parts, epochs }) = job.training.sequential {
            forget.order = EpochOrder::in_parts(job.forget.len(), parts, epochs, seed);
        }
        let taken = |need, (task, pairs): (&str, &[TextPair]), stream| {
            needs(need).then(|| Taken::new(set(task, pairs)?, size, seed ^ stream))
        };
        let alternate = needs(Need::Alternate).then(|| match job.alternate.as_slice() {
            [] => set("refusals", &refusals(job)?),
            pairs => set(&job.alternate_task, pairs),
        });
        let retain = (job.retain_task.as_str(), job.retain.as_slice());
        Ok(Self {
            forget,
            alternate: alternate.transpose()?,
            retain: taken(Need::Retain, retain, RETAIN_STREAM).transpose()?,
            normal: taken(Need::Normal, job.general(), NORMAL_STREAM).transpose()?,
            mismatch: needs(Need::Mismatch).then(|| Mismatch::new(job, encoder)),
            batch_size: size,
            steps: 0,
            is_whole: needs(Need::EveryPosition),
        })
    }

    /// Goes on to the next step's documents.
    pub(super) fn advance(&mut self) -> Result<()> {
        self.steps += 1;
        let taken = [
            Some(&mut self.forget),
            self.retain.as_mut(),
            self.normal.as_mut(),
        ];
        for taken in taken.into_iter().flatten() {
            taken.documents = taken.order.batch(self.batch_size);
        }
        if let Some(mismatch) = &mut self.mismatch {
            mismatch.draw(&self.forget.documents)?;
        }
        Ok(())
    }

    /// How often the forget set had been gone through before this step.
    pub(super) fn epoch(&self) -> f64 {
        let documents = (self.steps.saturating_sub(1) * self.batch_size) as f64;
        documents / self.forget.set.pairs.len() as f64
    }

    /// The sets of documents, by role.
    pub(super) fn sets(&self) -> impl Iterator<Item = (Role, &AnswerSet)> {
        let sets = [
            (Role::Forget, Some(&self.forget.set)),
            (Role::Alternate, self.alternate.as_ref()),
            (Role::Retain, self.retain.as_ref().map(|taken| &taken.set)),
            (Role::Normal, self.normal.as_ref().map(|taken| &taken.set)),
        ];
        sets.into_iter()
            .filter_map(|(role, set)| Some((role, set?)))
    }

    /// The documents of a role in this step; none for answers that are drawn anew.
    pub(super) fn documents(&self, role: Role) -> &[usize] {
        let taken = match role {
            Role::Forget | Role::Alternate => Some(&self.forget),
            Role::Retain => self.retain.as_ref(),
            Role::Normal => self.normal.as_ref(),
            Role::Mismatch => None,
        };
        taken.map_or(&[], |taken| &taken.documents)
    }

    /// A role's document.
    pub(super) fn pair(&self, role: Role, document: usize) -> Option<&TokenizedPair> {
        let set = match role {
            Role::Forget => Some(&self.forget.set),
            Role::Alternate => self.alternate.as_ref(),
            Role::Retain => self.retain.as_ref().map(|taken| &taken.set),
            Role::Normal => self.normal.as_ref().map(|taken| &taken.set),
            Role::Mismatch => None,
        };
        set?.pairs.get(document)
    }

    /// The batches of this step.
    pub(super) fn batches(&self) -> BTreeMap<Role, AnswerBatch> {
        let of_role = |role: Role| {
            let documents = self.documents(role).iter();
            let mut pairs: Vec<&TokenizedPair> = documents
                .filter_map(|&document| self.pair(role, document))
                .collect();
            if let (Role::Mismatch, Some(mismatch)) = (role, &self.mismatch) {
                pairs.extend(&mismatch.batch);
            }
            let batch = if self.is_whole {
                AnswerBatch::whole(pairs.iter().copied())
            } else {
                AnswerBatch::new(pairs.iter().copied())
            };
            (!pairs.is_empty()).then_some((role, batch))
        };
        Role::ALL.iter().copied().filter_map(of_role).collect()
    }
}

/// The forget prompts, each with a refusal, which begins as the answer does: with its delimiter.
fn refusals(job: &UnlearnJob) -> Result<Vec<TextPair>> {
    if job.refusals.is_empty() {
        return Err(BenchError::Request(
            "there is no refusal to answer with".into(),
        ));
    }
    let mut random = PythonRandom::new(job.training.seed ^ ANSWER_STREAM);
    let pair = |pair: &TextPair| {
        let delimiter = pair.answer.len() - pair.answer.trim_start().len();
        let refusal = &job.refusals[random.choice_index(job.refusals.len())];
        TextPair {
            prompt: pair.prompt.clone(),
            answer: format!("{}{refusal}", &pair.answer[..delimiter]),
        }
    };
    Ok(job.forget.iter().map(pair).collect())
}

impl Mismatch {
    fn new(job: &UnlearnJob, encoder: &Encoder) -> Self {
        let asked = job.options.get("mismatched_answers");
        let asked = asked
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(job.mismatched_answers);
        let (_, general) = job.general();
        Self {
            encoder: encoder.clone(),
            prompts: job.forget.iter().map(|pair| pair.prompt.clone()).collect(),
            answers_a_prompt: (asked as usize).clamp(1, general.len().max(1)),
            answers: general.iter().map(|pair| pair.answer.clone()).collect(),
            random: PythonRandom::new(job.training.seed ^ ANSWER_STREAM),
            batch: Vec::new(),
        }
    }

    /// Draws answers, the same for every prompt of the step.
    fn draw(&mut self, documents: &[usize]) -> Result<()> {
        if self.answers.is_empty() {
            let message = "answers that do not belong to the forget prompts come from a normal or a retain set: --normal TASK";
            return Err(BenchError::Request(message.into()));
        }
        let mut order: Vec<usize> = (0..self.answers.len()).collect();
        self.random.shuffle(&mut order);
        order.truncate(self.answers_a_prompt);
        self.batch.clear();
        for &document in documents {
            for &answer in &order {
                let (prompt, answer) = (&self.prompts[document], &self.answers[answer]);
                let pair = self.encoder.training_pair(prompt, answer);
                self.batch.push(pair.map_err(BenchError::Engine)?);
            }
        }
        Ok(())
    }
}
