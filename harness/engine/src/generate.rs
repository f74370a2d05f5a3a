//! Generates texts side by side: a text that ends leaves at once and the next one takes its place; what prompts share is
//! computed once and kept as long as a text needs it.

use std::collections::VecDeque;
use std::ops::Range;

use harness_model::{Decoder, KeyValueCache, PackedBatch, Tokenizer};

use crate::error::Result;
use crate::sampling::Sampling;
use crate::stopping::Stopping;
use crate::walk::PassLimits;

/// A text to generate.
pub(crate) struct Prompt {
    /// At least one token.
    pub(crate) tokens: Vec<u32>,
    pub(crate) sampling: Sampling,
    pub(crate) stopping: Stopping,
    /// At most so many tokens will follow.
    pub(crate) max_tokens: usize,
}

/// A text that has ended.
pub(crate) struct GeneratedText {
    /// Its place in the list of prompts.
    pub(crate) number: usize,
    pub(crate) text: String,
    /// Tokens that were generated.
    pub(crate) tokens: usize,
    pub(crate) prompt_tokens: usize,
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

impl Sequence {
    /// Puts what has not been through the model into `batch`, at most `room` tokens of it; gives their number.
    fn push_to(&mut self, batch: &mut PackedBatch, room: usize) -> usize {
        let waiting = &self.tokens[self.path.len()..];
        let new = &waiting[..waiting.len().min(room)];
        if !new.is_empty() {
            let rows = batch.push_after(&self.path, new, self.tokens.len());
            self.path.extend(rows);
        }
        new.len()
    }

    /// The row of the last token, if that has been through the model: what the next one is read off.
    fn last_row(&self) -> Option<usize> {
        let is_through = self.path.len() == self.tokens.len();
        self.path.last().copied().filter(|_| is_through)
    }
}

/// Texts in the making.
pub(crate) struct Generator<'a> {
    decoder: &'a Decoder,
    tokenizer: &'a Tokenizer,
    cache: KeyValueCache,
    active: Vec<Sequence>,
    limits: PassLimits,
}

impl<'a> Generator<'a> {
    /// Texts go side by side, and prompts through the model, as far as `limits` allow; a single text always does.
    pub(crate) fn new(decoder: &'a Decoder, tokenizer: &'a Tokenizer, limits: PassLimits) -> Self {
        Self {
            decoder,
            tokenizer,
            cache: KeyValueCache::default(),
            active: Vec::new(),
            limits,
        }
    }

    /// The texts that follow `prompts`; each pass hands on those that it finishes, with the number of its rows.
    ///
    /// # Errors
    /// When the model gives no numbers or a token cannot be decoded.
    pub(crate) fn run(
        mut self,
        prompts: Vec<Prompt>,
        on_pass: &mut dyn FnMut(Vec<GeneratedText>, usize) -> Result<()>,
    ) -> Result<()> {
        let mut waiting: Vec<(usize, Prompt)> = prompts.into_iter().enumerate().collect();
        // Neighbours share the most.
        waiting.sort_by(|(_, a), (_, b)| a.tokens.cmp(&b.tokens));
        let mut waiting = VecDeque::from(waiting);
        while !(waiting.is_empty() && self.active.is_empty()) {
            self.forget_the_finished()?;
            let batch = self.next_batch(&mut waiting);
            let finished = self.step(&batch)?;
            on_pass(finished, batch.len())?;
        }
        Ok(())
    }

    /// What every text has that has not been through the model: its last token, or a part of its prompt; and the prompts of
    /// new texts as far as there is room.
    fn next_batch(&mut self, waiting: &mut VecDeque<(usize, Prompt)>) -> PackedBatch {
        let mut batch = PackedBatch::continuing(self.cache.rows());
        let mut room = self.limits.rows;
        for sequence in &mut self.active {
            // Texts go on whatever room their prompts leave.
            let is_prompt = sequence.tokens.len() == sequence.prompt.tokens.len();
            room -= sequence
                .push_to(&mut batch, if is_prompt { room } else { room.max(1) })
                .min(room);
        }
        while room > 0 && self.active.len() < self.limits.sequences {
            let Some((_, next)) = waiting.front() else {
                break;
            };
            let path = self.shared_with_active(&next.tokens);
            let rows = self.rows_needed() + next.tokens.len() - path.len() + next.max_tokens;
            if rows > self.limits.kept_rows && !self.active.is_empty() {
                break;
            }
            let Some((number, prompt)) = waiting.pop_front() else {
                break;
            };
            let tokens = prompt.tokens.clone();
            let mut sequence = Sequence {
                number,
                prompt,
                tokens,
                path,
            };
            room -= sequence.push_to(&mut batch, room);
            self.active.push(sequence);
        }
        batch
    }

    /// Runs the batch, and takes out the texts that it finishes.
    fn step(&mut self, batch: &PackedBatch) -> Result<Vec<GeneratedText>> {
        let first = batch.first_row();
        let hidden = self.decoder.extend(&mut self.cache, batch)?;
        let ends = self.active.iter().filter_map(Sequence::last_row);
        let rows: Vec<usize> = ends.map(|row| row - first).collect();
        let mut logits = self.decoder.logits_of(&hidden, &rows)?.into_iter();
        let mut finished = Vec::new();
        let mut going_on = Vec::with_capacity(self.active.len());
        for mut sequence in std::mem::take(&mut self.active) {
            let logits = sequence.last_row().and_then(|_| logits.next());
            let Some(logits) = logits else {
                going_on.push(sequence);
                continue;
            };
            let prompt = &mut sequence.prompt;
            sequence.tokens.push(prompt.sampling.choose(&logits)?);
            let generated = &sequence.tokens[prompt.tokens.len()..];
            let text = prompt.stopping.finished(generated, self.tokenizer)?;
            match text {
                Some(text) => finished.push(GeneratedText {
                    number: sequence.number,
                    text,
                    tokens: generated.len(),
                    prompt_tokens: prompt.tokens.len(),
                }),
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
            (prompt.tokens.len() + prompt.max_tokens).saturating_sub(sequence.path.len())
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
