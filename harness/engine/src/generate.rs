//! Generates texts side by side: a text that ends leaves at once and the next one takes its place; what prompts share is
//! computed once and kept as long as a text needs it.

use std::collections::VecDeque;
use std::ops::Range;

use harness_model::{Decoder, KeyValueCache, PackedBatch, Tokenizer};

use crate::error::Result;
use crate::sampling::Sampling;
use crate::stopping::Stopping;

/// Memory for keys and values, in bytes.
const CACHE_BYTES: usize = 1 << 30;

/// Prompt tokens that go through the model at a time.
const PROMPT_ROWS_PER_PASS: usize = 1024;

/// A text to generate.
pub(crate) struct Prompt {
    /// At least one token.
    pub(crate) tokens: Vec<u32>,
    pub(crate) sampling: Sampling,
    pub(crate) stopping: Stopping,
    /// At most so many tokens will follow.
    pub(crate) max_tokens: usize,
}

/// What generation has come to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Generated {
    /// Texts that have ended.
    pub(crate) texts: usize,
    /// Tokens that went through the model.
    pub(crate) rows: usize,
    /// Tokens that were generated.
    pub(crate) tokens: usize,
}

/// A text that is being generated.
struct Sequence {
    /// Its place in the list of prompts.
    number: usize,
    prompt: Prompt,
    /// Prompt and generated tokens; the last one has not been through the model.
    tokens: Vec<u32>,
    /// Rows of the tokens that have been through it.
    path: Vec<usize>,
}

/// Texts in the making.
pub(crate) struct Generator<'a> {
    decoder: &'a Decoder,
    tokenizer: &'a Tokenizer,
    cache: KeyValueCache,
    active: Vec<Sequence>,
    max_sequences: usize,
    max_rows: usize,
}

impl<'a> Generator<'a> {
    /// At most `max_sequences` texts side by side.
    pub(crate) fn new(
        decoder: &'a Decoder,
        tokenizer: &'a Tokenizer,
        max_sequences: usize,
    ) -> Self {
        let spec = decoder.spec();
        let row = 2 * spec.layers.len() * spec.attention.kv_heads * spec.attention.head_dim;
        Self {
            decoder,
            tokenizer,
            cache: KeyValueCache::default(),
            active: Vec::new(),
            max_sequences: max_sequences.max(1),
            max_rows: CACHE_BYTES / (row * size_of::<f32>()),
        }
    }

    /// The texts that follow `prompts`, in their order.
    ///
    /// # Errors
    /// When the model gives no numbers or a token cannot be decoded.
    pub(crate) fn run(
        mut self,
        prompts: Vec<Prompt>,
        progress: &mut dyn FnMut(Generated),
    ) -> Result<Vec<String>> {
        let mut texts = vec![String::new(); prompts.len()];
        let mut waiting: Vec<(usize, Prompt)> = prompts.into_iter().enumerate().collect();
        // Neighbours share the most.
        waiting.sort_by(|(_, a), (_, b)| a.tokens.cmp(&b.tokens));
        let mut waiting = VecDeque::from(waiting);
        let mut done = Generated::default();
        while !(waiting.is_empty() && self.active.is_empty()) {
            self.forget_the_finished()?;
            let batch = self.next_batch(&mut waiting);
            done.rows += batch.len();
            done.tokens += self.active.len();
            for (number, text) in self.step(&batch)? {
                texts[number] = text;
                done.texts += 1;
            }
            progress(done);
        }
        Ok(texts)
    }

    /// The last token of every text, and the prompts of new ones as far as there is room.
    fn next_batch(&mut self, waiting: &mut VecDeque<(usize, Prompt)>) -> PackedBatch {
        let mut batch = PackedBatch::continuing(self.cache.rows());
        for sequence in &mut self.active {
            let last = &sequence.tokens[sequence.path.len()..];
            sequence.path.extend(batch.push_after(&sequence.path, last));
        }
        let before = batch.len();
        while let Some((_, next)) = waiting.front() {
            let shared = self.shared_with_active(&next.tokens);
            let new = next.tokens.len() - shared.len();
            let is_full = self.active.len() == self.max_sequences
                || self.rows_needed() + new + next.max_tokens > self.max_rows
                || batch.len() - before + new > PROMPT_ROWS_PER_PASS;
            if is_full && !self.active.is_empty() {
                break;
            }
            let Some((number, prompt)) = waiting.pop_front() else {
                break;
            };
            let mut path = shared;
            path.extend(batch.push_after(&path, &prompt.tokens[path.len()..]));
            self.active.push(Sequence {
                number,
                tokens: prompt.tokens.clone(),
                prompt,
                path,
            });
        }
        batch
    }

    /// Runs the batch, which holds the last token of every active text, and takes out the texts that it finishes.
    fn step(&mut self, batch: &PackedBatch) -> Result<Vec<(usize, String)>> {
        let first = batch.first_row();
        let hidden = self.decoder.extend(&mut self.cache, batch)?;
        let rows = self
            .active
            .iter()
            .filter_map(|sequence| sequence.path.last());
        let rows: Vec<usize> = rows.map(|row| row - first).collect();
        let logits = self.decoder.logits_of(&hidden, &rows)?;
        let mut finished = Vec::new();
        let mut going_on = Vec::with_capacity(self.active.len());
        for (mut sequence, logits) in std::mem::take(&mut self.active).into_iter().zip(logits) {
            let prompt = &mut sequence.prompt;
            sequence.tokens.push(prompt.sampling.choose(&logits)?);
            let generated = &sequence.tokens[prompt.tokens.len()..];
            match prompt.stopping.finished(generated, self.tokenizer)? {
                Some(text) => finished.push((sequence.number, text)),
                None => going_on.push(sequence),
            }
        }
        self.active = going_on;
        Ok(finished)
    }

    /// The rows of the longest beginning of `tokens` that an active text has, without the last token, whose row must be new.
    fn shared_with_active(&self, tokens: &[u32]) -> Vec<usize> {
        let most = tokens.len() - 1;
        let is_long = |length| {
            self.decoder
                .spec()
                .long_above()
                .is_some_and(|most| length > most)
        };
        let mut best: &[usize] = &[];
        for sequence in &self.active {
            let known = sequence.path.len().min(most);
            let same = tokens[..known].iter().zip(&sequence.tokens);
            let same = same.take_while(|(a, b)| a == b).count();
            if same > best.len() && is_long(tokens.len()) == is_long(sequence.tokens.len()) {
                best = &sequence.path[..same];
            }
        }
        best.to_vec()
    }

    /// Rows in the cache and those that active texts may still add.
    fn rows_needed(&self) -> usize {
        let to_come = |sequence: &Sequence| {
            let prompt = &sequence.prompt;
            prompt.tokens.len() + prompt.max_tokens - sequence.path.len()
        };
        self.cache.rows() + self.active.iter().map(to_come).sum::<usize>()
    }

    /// Frees the rows that no text needs, once they are most of the cache.
    fn forget_the_finished(&mut self) -> Result<()> {
        let mut live = vec![false; self.cache.rows()];
        for sequence in &self.active {
            sequence.path.iter().for_each(|&row| live[row] = true);
        }
        let kept = live.iter().filter(|&&is_live| is_live).count();
        if 2 * kept >= self.cache.rows() {
            return Ok(());
        }
        let mut numbers = vec![0; live.len()];
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let rows = (0..live.len()).filter(|&row| live[row]);
        for (number, row) in rows.enumerate() {
            numbers[row] = number;
            match ranges.last_mut() {
                Some(last) if last.end == row => last.end += 1,
                _ => ranges.push(row..row + 1),
            }
        }
        self.cache.retain(&ranges)?;
        for sequence in &mut self.active {
            sequence
                .path
                .iter_mut()
                .for_each(|row| *row = numbers[*row]);
        }
        Ok(())
    }
}
