//! Scores continuations in packed batches: requests are sorted by their tokens, so that what they share is computed once.

use harness_model::train::TokenizedPair;
use harness_model::{Decoder, PackedBatch, Tokenizer};

use crate::TokenScore;
use crate::encode::Encoder;
use crate::error::{EngineError, Result};

/// Rows of one packed batch: enough to keep matrix products busy, few enough to keep activations small.
const DEFAULT_BATCH_ROWS: usize = 1024;

/// lm-eval's seed of torch, which draws there.
const DEFAULT_SAMPLING_SEED: u64 = 1234;

/// How far a call has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Requests answered.
    pub done: usize,
    /// Requests in all.
    pub total: usize,
    /// Tokens run through the model so far.
    pub tokens_computed: usize,
}

/// What the calls to one scorer amounted to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScoringStatistics {
    /// Input tokens of all requests, each counted alone.
    pub tokens_asked: usize,
    /// Tokens run through the model: shared prefixes once.
    pub tokens_computed: usize,
    /// Requests whose context was cut from the left to fit the model.
    pub truncated: usize,
}

/// Answers requests with one decoder.
pub struct Scorer {
    pub(crate) decoder: Decoder,
    pub(crate) encoder: Encoder,
    batch_rows: usize,
    pub(crate) batch_sequences: usize,
    pub(crate) sampling_seed: u64,
    pub(crate) statistics: ScoringStatistics,
}

impl Scorer {
    /// A scorer whose sequences are cut to what the model was made for.
    pub fn new(decoder: Decoder, tokenizer: Tokenizer) -> Self {
        let encoder = Encoder::new(tokenizer, decoder.spec().max_positions);
        Self {
            decoder,
            encoder,
            batch_rows: DEFAULT_BATCH_ROWS,
            batch_sequences: usize::MAX,
            sampling_seed: DEFAULT_SAMPLING_SEED,
            statistics: ScoringStatistics::default(),
        }
    }

    /// Sets the length that sequences are cut to, in input tokens.
    #[must_use]
    pub fn with_max_length(self, max_length: usize) -> Self {
        let encoder = Encoder::new(self.encoder.tokenizer().clone(), max_length);
        Self { encoder, ..self }
    }

    /// Sets how many tokens go through the model at a time; a longer sequence goes alone.
    #[must_use]
    pub fn with_batch_rows(self, batch_rows: usize) -> Self {
        Self { batch_rows, ..self }
    }

    /// Sets how many sequences go through the model at a time, besides the limit on tokens.
    #[must_use]
    pub fn with_batch_sequences(self, batch_sequences: usize) -> Self {
        Self {
            batch_sequences,
            ..self
        }
    }

    /// Sets the seed of texts that are drawn; each request has a stream of its own.
    #[must_use]
    pub fn with_sampling_seed(self, sampling_seed: u64) -> Self {
        Self {
            sampling_seed,
            ..self
        }
    }

    /// How texts become tokens here.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Tokens asked for and computed since this scorer was made.
    pub fn statistics(&self) -> ScoringStatistics {
        self.statistics
    }

    /// Scores every answer token of `pairs`, in their order.
    ///
    /// # Errors
    /// When a pair holds a token outside the vocabulary.
    pub fn score_pairs(
        &mut self,
        pairs: &[TokenizedPair],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Vec<TokenScore>>> {
        let inputs: Vec<Vec<u32>> = pairs.iter().map(TokenizedPair::input).collect();
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by(|&a, &b| inputs[a].cmp(&inputs[b]));
        let mut scores = vec![Vec::new(); pairs.len()];
        let mut waiting = order.as_slice();
        while !waiting.is_empty() {
            let batch = self.next_batch(&mut waiting, pairs, &inputs);
            self.statistics.tokens_asked += batch
                .members
                .iter()
                .map(|&i| inputs[i].len())
                .sum::<usize>();
            self.statistics.tokens_computed += batch.packed.len();
            batch.run(&self.decoder, pairs, &mut scores)?;
            let tokens_computed = self.statistics.tokens_computed;
            progress(Progress {
                done: pairs.len() - waiting.len(),
                total: pairs.len(),
                tokens_computed,
            });
        }
        Ok(scores)
    }
}

impl Scorer {
    /// Takes pairs off the front of `waiting` until the batch is full, at least one.
    fn next_batch(
        &self,
        waiting: &mut &[usize],
        pairs: &[TokenizedPair],
        inputs: &[Vec<u32>],
    ) -> ScoringBatch {
        let mut batch = ScoringBatch {
            packed: PackedBatch::separating(self.decoder.spec().long_above()),
            members: Vec::new(),
            targets: Vec::new(),
        };
        while let Some((&next, rest)) = waiting.split_first() {
            let new_rows = inputs[next].len() - batch.packed.shared_with_last(&inputs[next]);
            let full = batch.packed.len() + new_rows > self.batch_rows
                || batch.members.len() == self.batch_sequences;
            if full && !batch.members.is_empty() {
                break;
            }
            batch.push(next, &pairs[next], &inputs[next]);
            *waiting = rest;
        }
        batch
    }
}

/// Some pairs packed together.
struct ScoringBatch {
    packed: PackedBatch,
    /// Indices of the pairs, in packing order.
    members: Vec<usize>,
    /// (row, token) to score, members end to end.
    targets: Vec<(usize, u32)>,
}

impl ScoringBatch {
    /// Adds a pair.
    fn push(&mut self, member: usize, pair: &TokenizedPair, input: &[u32]) {
        let rows = self.packed.push_sharing(input);
        let predicting = rows[pair.prompt.len() - 1..].iter().copied();
        self.targets
            .extend(predicting.zip(pair.answer.iter().copied()));
        self.members.push(member);
    }

    fn run(
        &self,
        decoder: &Decoder,
        pairs: &[TokenizedPair],
        scores: &mut [Vec<TokenScore>],
    ) -> Result<()> {
        let hidden = decoder.hidden(&self.packed)?;
        let all = decoder.token_scores(&hidden, &self.targets)?;
        if !all.iter().all(|score| score.logprob.is_finite()) {
            return Err(EngineError::NotFinite);
        }
        let mut all = all.into_iter();
        for &member in &self.members {
            scores[member] = all.by_ref().take(pairs[member].answer.len()).collect();
        }
        Ok(())
    }
}
