//! Prompts with answers as packed batches: which rows predict answer tokens, and which answer each belongs to.

use std::ops::Range;

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

/// Which rows of a batch are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Positions {
    /// Those that predict an answer token.
    Answer,
    /// Those whose input is an answer token. Only of whole sequences.
    AnswerInputs,
    /// All. Only of whole sequences.
    Every,
}

/// Sequences end to end, and the positions where answer tokens are predicted.
#[derive(Clone, Debug, Default)]
pub struct AnswerBatch {
    packed: PackedBatch,
    /// (row, token) of every answer token, answers end to end.
    targets: Vec<(usize, u32)>,
    lengths: Vec<usize>,
    /// Rows whose input is an answer token.
    inputs: Vec<usize>,
    input_lengths: Vec<usize>,
    /// Rows of each sequence.
    sequence_lengths: Vec<usize>,
}

impl AnswerBatch {
    /// Packs pairs in the order given, without each last token, which is only predicted.
    pub fn new<'a>(pairs: impl IntoIterator<Item = &'a TokenizedPair>) -> Self {
        let mut batch = Self::default();
        for pair in pairs {
            batch.push_pair(pair, &pair.input());
        }
        batch
    }

    /// Packs whole pairs in the order given.
    pub fn whole<'a>(pairs: impl IntoIterator<Item = &'a TokenizedPair>) -> Self {
        let mut batch = Self::default();
        for pair in pairs {
            let tokens: Vec<u32> = pair.prompt.iter().chain(&pair.answer).copied().collect();
            batch.push_pair(pair, &tokens);
        }
        batch
    }

    fn push_pair(&mut self, pair: &TokenizedPair, tokens: &[u32]) {
        let labels: Vec<Option<u32>> = std::iter::repeat_n(None, pair.prompt.len())
            .chain(pair.answer.iter().copied().map(Some))
            .collect();
        let rows = self.packed.push(tokens);
        self.label(rows, &labels);
    }

    /// Adds a sequence whose answer tokens are those that `labels` has at the same place, and of which only what is `seen` is attended
    /// to ([`PackedBatch::push_masked`]).
    pub fn push_masked(&mut self, tokens: &[u32], labels: &[Option<u32>], seen: &[bool]) {
        let rows = self.packed.push_masked(tokens, seen);
        self.label(rows, labels);
    }

    /// Notes which of these rows predict an answer token, and which have one as input; a label may stand one behind the last row.
    fn label(&mut self, rows: Range<usize>, labels: &[Option<u32>]) {
        let label = |row: usize| labels.get(row - rows.start).copied().flatten();
        let targets = rows.clone().filter_map(|row| Some((row, label(row + 1)?)));
        let (before, inputs_before) = (self.targets.len(), self.inputs.len());
        self.targets.extend(targets);
        self.inputs
            .extend(rows.clone().filter(|&row| label(row).is_some()));
        self.lengths.push(self.targets.len() - before);
        self.input_lengths.push(self.inputs.len() - inputs_before);
        self.sequence_lengths.push(rows.len());
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
        self.logprobs_of(decoder, &decoder.hidden(&self.packed)?)
    }

    /// The rows as packed.
    pub fn packed(&self) -> &PackedBatch {
        &self.packed
    }

    /// How many of the positions each sequence has.
    pub fn lengths(&self, positions: Positions) -> &[usize] {
        match positions {
            Positions::Answer => &self.lengths,
            Positions::AnswerInputs => &self.input_lengths,
            Positions::Every => &self.sequence_lengths,
        }
    }

    /// The rows at these positions, sequences end to end.
    pub fn rows(&self, positions: Positions) -> Vec<usize> {
        match positions {
            Positions::Answer => self.targets.iter().map(|&(row, _)| row).collect(),
            Positions::AnswerInputs => self.inputs.clone(),
            Positions::Every => (0..self.packed.len()).collect(),
        }
    }

    /// The answer token that each of these positions predicts, where it predicts one.
    pub fn labels(&self, positions: Positions) -> Vec<Option<u32>> {
        let mut labels = vec![None; self.packed.len()];
        for &(row, token) in &self.targets {
            labels[row] = Some(token);
        }
        self.rows(positions)
            .into_iter()
            .map(|row| labels[row])
            .collect()
    }

    /// As [`Self::logprobs`], given the hidden states of the packed rows.
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    pub fn logprobs_of(&self, decoder: &Decoder, hidden: &Tensor) -> Result<Tensor> {
        decoder.token_logprobs(hidden, &self.targets)
    }

    /// The same without gradients, one list a pair.
    ///
    /// # Errors
    /// As [`Self::logprobs`].
    pub fn scores(&self, decoder: &Decoder) -> Result<Vec<Vec<TokenScore>>> {
        let all = decoder.token_scores(&decoder.hidden(&self.packed)?, &self.targets, false)?;
        let mut rest = all.as_slice();
        let split = |&length: &usize| {
            let (own, others) = rest.split_at(length);
            rest = others;
            own.to_vec()
        };
        Ok(self.lengths.iter().map(split).collect())
    }
}
