//! What the frozen original has said of documents: it never changes, so no document is run twice. It remembers answers'
//! log-probabilities and nothing else.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use candle_core::Tensor;
use harness_host::Role;
use harness_model::Decoder;
use harness_model::train::AnswerBatch;
use serde::{Deserialize, Serialize};

use super::role_data::RoleData;

/// One document's, to be written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KnownAnswer {
    role: String,
    document: usize,
    /// The bits of the log-probabilities of its tokens.
    logprobs: Vec<u32>,
}

/// Log-probabilities of answers by role and document.
#[derive(Default)]
pub(super) struct AnswerMemory {
    known: RefCell<BTreeMap<(Role, usize), Vec<f32>>>,
    tokens: Cell<usize>,
}

impl AnswerMemory {
    /// Log-probabilities of the answers of a role's documents, as `original` gives them; `None` where they are not documents.
    pub(super) fn token_logprobs(
        &self,
        original: &Decoder,
        role: Role,
        data: &RoleData,
    ) -> harness_model::Result<Option<Tensor>> {
        let (documents, mut known) = (data.documents(role), self.known.borrow_mut());
        let unknown = |document: &usize| !known.contains_key(&(role, *document));
        let mut missing: Vec<usize> = documents.iter().copied().filter(unknown).collect();
        missing.sort_unstable();
        missing.dedup();
        let pairs: Vec<_> = missing
            .iter()
            .filter_map(|&document| data.pair(role, document))
            .collect();
        if documents.is_empty() || pairs.len() < missing.len() {
            return Ok(None);
        }
        if !missing.is_empty() {
            let batch = AnswerBatch::new(pairs);
            self.tokens.set(self.tokens.get() + batch.tokens());
            for (document, scores) in missing.iter().zip(batch.scores(original)?) {
                let logprobs = scores.iter().map(|score| score.logprob).collect();
                known.insert((role, *document), logprobs);
            }
        }
        let all: Vec<f32> = documents
            .iter()
            .flat_map(|&document| known[&(role, document)].clone())
            .collect();
        let count = all.len();
        Ok(Some(Tensor::from_vec(all, count, original.device())?))
    }

    /// All that is known.
    pub(super) fn known(&self) -> Vec<KnownAnswer> {
        let known = self.known.borrow();
        let answer = |(&(role, document), logprobs): (&(Role, usize), &Vec<f32>)| KnownAnswer {
            role: role.name().to_owned(),
            document,
            logprobs: logprobs.iter().map(|logprob| logprob.to_bits()).collect(),
        };
        known.iter().map(answer).collect()
    }

    /// Takes back what was known.
    pub(super) fn restore(&self, answers: &[KnownAnswer]) {
        let mut known = self.known.borrow_mut();
        for answer in answers {
            let role = Role::ALL.iter().find(|role| role.name() == answer.role);
            let logprobs = answer.logprobs.iter();
            if let Some(&role) = role {
                let logprobs = logprobs.map(|&bits| f32::from_bits(bits)).collect();
                known.insert((role, answer.document), logprobs);
            }
        }
    }

    /// Tokens that went through the original so far.
    pub(super) fn tokens(&self) -> usize {
        self.tokens.get()
    }
}
