//! Scores continuations: what requests share is computed once, in passes of bounded size.

use std::collections::HashMap;

use harness_model::train::TokenizedPair;
use harness_model::{Decoder, KeyValueCache, Tokenizer};
use harness_task::AnswerTokens;

use crate::TokenScore;
use crate::encode::Encoder;
use crate::error::{EngineError, Result};
use crate::memory::MemoryBudget;
use crate::walk::{Pass, PassLimits, Walk};

/// Rows of one pass where memory allows it: more make matrix products no faster.
const ROWS_PER_PASS: usize = 1024;

/// lm-eval's seed of torch, which draws there.
const DEFAULT_SAMPLING_SEED: u64 = 1234;

/// How far a call has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Requests answered.
    pub done: usize,
    /// Requests in all.
    pub total: usize,
    /// Share of the work that is done, between 0 and 1: rows where their number is known, requests where it is not.
    pub work_done: f64,
    /// Input tokens of the requests answered by computing, each counted alone.
    pub tokens_asked: usize,
    /// Tokens run through the model by this call.
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
    pub(crate) limits: PassLimits,
    pub(crate) memory: MemoryBudget,
    pub(crate) sampling_seed: u64,
    pub(crate) statistics: ScoringStatistics,
    /// What was scored before, by the tokens: several tasks ask the same.
    pub(crate) known: HashMap<[u8; 32], PairScore>,
}

/// The sum over a pair's answer tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairScore {
    pub(crate) logprob: f64,
    pub(crate) is_greedy: bool,
}

/// Receives the pairs that a pass has finished, by their places, with the scores of their answer tokens.
type OnPass<'a> = dyn FnMut(Vec<(usize, Vec<TokenScore>)>, Progress) -> Result<()> + 'a;

impl Scorer {
    /// A scorer whose sequences are cut to what the model was made for, with the usual share of free memory.
    pub fn new(decoder: Decoder, tokenizer: Tokenizer) -> Self {
        let encoder = Encoder::new(tokenizer, decoder.spec().max_positions);
        let memory = MemoryBudget::default();
        Self {
            limits: limits(memory, &decoder, ROWS_PER_PASS, usize::MAX),
            memory,
            decoder,
            encoder,
            sampling_seed: DEFAULT_SAMPLING_SEED,
            statistics: ScoringStatistics::default(),
            known: HashMap::new(),
        }
    }

    /// Sets the length that sequences are cut to, in input tokens.
    #[must_use]
    pub fn with_max_length(self, max_length: usize) -> Self {
        let encoder = Encoder::new(self.encoder.tokenizer().clone(), max_length);
        Self { encoder, ..self }
    }

    /// Sets how much memory may be used besides the weights.
    #[must_use]
    pub fn with_memory(self, memory: MemoryBudget) -> Self {
        let limits = limits(memory, &self.decoder, ROWS_PER_PASS, self.limits.sequences);
        Self {
            limits,
            memory,
            ..self
        }
    }

    /// Sets how many tokens go through the model at a time, as far as memory allows.
    #[must_use]
    pub fn with_batch_rows(self, rows: usize) -> Self {
        let limits = limits(self.memory, &self.decoder, rows, self.limits.sequences);
        Self { limits, ..self }
    }

    /// Sets how many sequences go through the model at a time, besides the limit on tokens; at least one does.
    #[must_use]
    pub fn with_batch_sequences(mut self, sequences: usize) -> Self {
        self.limits.sequences = sequences.max(1);
        self
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

    /// Scores every answer token of `pairs`, in their order; with `standardise`, also against all others in its place.
    ///
    /// # Errors
    /// When a pair holds a token outside the vocabulary.
    pub fn score_answers(
        &mut self,
        pairs: &[TokenizedPair],
        standardise: bool,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<AnswerTokens>> {
        let mut scores = vec![Vec::new(); pairs.len()];
        self.score_each(pairs, standardise, &mut |scored, now| {
            for (pair, own) in scored {
                scores[pair] = own;
            }
            progress(now);
            Ok(())
        })?;
        let scored = pairs.iter().zip(&scores);
        Ok(scored
            .map(|(pair, scores)| answer_tokens(scores, self.encoder.ends_text(pair)))
            .collect())
    }

    /// Scores pairs pass by pass and hands on those that each pass has finished, with the scores of their answer tokens.
    pub(crate) fn score_each(
        &mut self,
        pairs: &[TokenizedPair],
        standardise: bool,
        on_pass: &mut OnPass,
    ) -> Result<()> {
        let mut walk = Walk::new(pairs, self.limits, self.decoder.spec().long_above());
        let rows = walk.rows_to_compute();
        let mut now = Progress {
            total: pairs.len(),
            ..Progress::default()
        };
        let mut cache = KeyValueCache::default();
        // Of a pair that a pass has cut.
        let mut begun = Vec::new();
        while let Some(pass) = walk.next_pass() {
            let mut scores = self.run(&pass, &mut cache, standardise)?.into_iter();
            let mut finished = Vec::with_capacity(pass.parts.len());
            for part in &pass.parts {
                begun.extend(scores.by_ref().take(part.targets));
                if part.is_last {
                    finished.push((part.pair, std::mem::take(&mut begun)));
                    now.tokens_asked += walk.input_tokens(part.pair);
                }
            }
            now.done += finished.len();
            now.tokens_computed += pass.batch.len();
            now.work_done = now.tokens_computed as f64 / rows.max(now.tokens_computed) as f64;
            on_pass(finished, now)?;
        }
        self.statistics.tokens_asked += now.tokens_asked;
        self.statistics.tokens_computed += now.tokens_computed;
        Ok(())
    }

    fn run(
        &self,
        pass: &Pass,
        cache: &mut KeyValueCache,
        standardise: bool,
    ) -> Result<Vec<TokenScore>> {
        let hidden = self
            .decoder
            .extend_keeping(cache, &pass.batch, &pass.kept)?;
        if pass.targets.is_empty() {
            return Ok(Vec::new());
        }
        let scores = self
            .decoder
            .token_scores(&hidden, &pass.targets, standardise)?;
        if !scores.iter().all(|score| score.logprob.is_finite()) {
            return Err(EngineError::NotFinite);
        }
        Ok(scores)
    }
}

/// What is known of an answer's tokens, without the tokens.
pub(crate) fn answer_tokens(scores: &[TokenScore], ends_text: bool) -> AnswerTokens {
    let standardised = scores.iter().map(|score| score.standardised);
    AnswerTokens {
        logprobs: scores.iter().map(|score| score.logprob).collect(),
        is_argmax: scores.iter().map(|score| score.is_argmax).collect(),
        standardised: standardised.collect(),
        ends_text,
    }
}

fn limits(memory: MemoryBudget, decoder: &Decoder, rows: usize, sequences: usize) -> PassLimits {
    PassLimits {
        rows: rows.min(memory.rows_per_pass(decoder.spec())).max(1),
        sequences,
        kept_rows: memory.kept_rows(decoder.spec()),
    }
}
