//! Prompts with answers as packed batches: which rows predict answer tokens, and which answer each belongs to.

use candle_core::Tensor;

use crate::decoder::Decoder;
use crate::error::Result;
use crate::ops::TokenScore;
use crate::packed::PackedBatch;

/// A tokenized prompt and the answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizedPair {
    /// At least one token.
    pub prompt: Vec<u32>,
    /// At least one token.
    pub answer: Vec<u32>,
}

impl TokenizedPair {
    /// Tokens that go through the decoder: all but the last, which is only predicted.
    pub fn input(&self) -> Vec<u32> {
        let tokens = self.prompt.iter().chain(&self.answer).copied();
        tokens
            .take(self.prompt.len() + self.answer.len() - 1)
            .collect()
    }
}

/// Sequences end to end, and the positions where answer tokens are predicted.
#[derive(Clone, Debug)]
pub struct AnswerBatch {
    packed: PackedBatch,
    /// (row, token) of every answer token, answers end to end.
    targets: Vec<(usize, u32)>,
    lengths: Vec<usize>,
}

impl AnswerBatch {
    /// Packs pairs in the order given.
    pub fn new<'a>(pairs: impl IntoIterator<Item = &'a TokenizedPair>) -> Self {
        let mut batch = Self {
            packed: PackedBatch::new(),
            targets: Vec::new(),
            lengths: Vec::new(),
        };
        for pair in pairs {
            let rows = batch.packed.push(&pair.input());
            let first = rows.start + pair.prompt.len() - 1;
            batch.targets.extend(
                pair.answer
                    .iter()
                    .enumerate()
                    .map(|(i, &token)| (first + i, token)),
            );
            batch.lengths.push(pair.answer.len());
        }
        batch
    }

    /// Answer tokens of each pair.
    pub fn answer_lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Tokens that go through the decoder.
    pub fn tokens(&self) -> usize {
        self.packed.len()
    }

    /// Differentiable log-probabilities of all answer tokens, answers end to end: `[answer tokens]`, f32.
    ///
    /// # Errors
    /// When the batch is empty or holds a token outside the vocabulary.
    pub fn logprobs(&self, decoder: &Decoder) -> Result<Tensor> {
        decoder.token_logprobs(&decoder.hidden(&self.packed)?, &self.targets)
    }

    /// The same without gradients, one list a pair.
    ///
    /// # Errors
    /// As [`Self::logprobs`].
    pub fn scores(&self, decoder: &Decoder) -> Result<Vec<Vec<TokenScore>>> {
        let all = decoder.token_scores(&decoder.hidden(&self.packed)?, &self.targets)?;
        let mut rest = all.as_slice();
        let split = |&length: &usize| {
            let (own, others) = rest.split_at(length);
            rest = others;
            own.to_vec()
        };
        Ok(self.lengths.iter().map(split).collect())
    }
}
