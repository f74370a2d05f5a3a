//! The way through a prefix tree of token sequences: pairs in the order of their tokens, cut into passes of bounded size.
//!
//! Neighbours in that order share every prefix there is, so one path from the root is all that ever has to be kept: what the
//! next sequence shares with the last one. Knows tokens and rows, no model.

use std::ops::Range;

use harness_model::PackedBatch;
use harness_model::train::TokenizedPair;

/// A sequence is cut where a pass is full only if this many of its tokens still fit; shorter pieces cost more than they fill.
const SHORTEST_PIECE: usize = 64;

/// How large a pass may be and how much may stay for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PassLimits {
    /// Rows of one pass.
    pub(crate) rows: usize,
    /// Sequences of one pass.
    pub(crate) sequences: usize,
    /// Rows whose keys and values are kept between passes.
    pub(crate) kept_rows: usize,
}

/// Rows to run through the model together, and what is to be read off them.
#[derive(Debug)]
pub(crate) struct Pass {
    pub(crate) batch: PackedBatch,
    /// (row of this pass, token to score after it), part after part.
    pub(crate) targets: Vec<(usize, u32)>,
    /// The pairs that have targets here.
    pub(crate) parts: Vec<Part>,
    /// Rows that later passes go on from, numbered as `batch` is.
    pub(crate) kept: Vec<Range<usize>>,
}

/// What one pass scores of a pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// Index of the pair.
    pub(crate) pair: usize,
    /// How many of the pass's targets.
    pub(crate) targets: usize,
    /// Whether nothing of the pair is left.
    pub(crate) is_last: bool,
}

/// Pairs on their way through the model.
pub(crate) struct Walk<'a> {
    pairs: &'a [TokenizedPair],
    inputs: Vec<Vec<u32>>,
    /// Indices of pairs in the order of the walk.
    order: Vec<usize>,
    limits: PassLimits,
    /// Sequences of more tokens share nothing with those of as many or fewer.
    long_above: Option<usize>,
    /// Place in `order` of the pair that comes next.
    next: usize,
    /// Targets of that pair that are done, because a pass ended within it.
    next_done: usize,
    /// Tokens of the sequence that went last, as far as it went.
    path: Vec<u32>,
    path_is_long: bool,
    /// Their rows, in the numbering of the pass that is being filled.
    rows: Vec<usize>,
}

impl<'a> Walk<'a> {
    /// `long_above`: see [`PackedBatch::separating`].
    pub(crate) fn new(
        pairs: &'a [TokenizedPair],
        limits: PassLimits,
        long_above: Option<usize>,
    ) -> Self {
        let inputs: Vec<Vec<u32>> = pairs.iter().map(TokenizedPair::input).collect();
        let is_long = |length: usize| long_above.is_some_and(|most| length > most);
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(|&pair| (is_long(inputs[pair].len()), &inputs[pair]));
        Self {
            pairs,
            inputs,
            order,
            limits,
            long_above,
            next: 0,
            next_done: 0,
            path: Vec::new(),
            path_is_long: false,
            rows: Vec::new(),
        }
    }

    /// Rows that all passes together will have, but for the few that a cut makes twice.
    pub(crate) fn rows_to_compute(&self) -> usize {
        let shared = |pair: &[usize]| {
            let [one, other] = [pair[0], pair[1]].map(|pair| &self.inputs[pair]);
            if self.is_long(one.len()) == self.is_long(other.len()) {
                common_prefix(one, other)
            } else {
                0
            }
        };
        let all: usize = self.inputs.iter().map(Vec::len).sum();
        all - self.order.windows(2).map(shared).sum::<usize>()
    }

    /// Tokens of a pair's input.
    pub(crate) fn input_tokens(&self, pair: usize) -> usize {
        self.inputs[pair].len()
    }

    fn is_long(&self, length: usize) -> bool {
        self.long_above.is_some_and(|most| length > most)
    }

    /// The next pass, at least one row; none when all is done. Passes must be run in their order, each after the rows that the
    /// one before it has kept.
    pub(crate) fn next_pass(&mut self) -> Option<Pass> {
        let first_row = self.rows.len();
        let mut pass = Pass {
            batch: PackedBatch::continuing(first_row),
            targets: Vec::new(),
            parts: Vec::new(),
            kept: Vec::new(),
        };
        while let Some(&pair) = self.order.get(self.next) {
            let shared = self.shared(pair, first_row);
            let new = self.inputs[pair].len() - shared;
            let piece = self.piece(shared, new, &pass);
            if pass.parts.len() == self.limits.sequences || piece < new.min(1) {
                break;
            }
            self.add(pair, shared, piece, &mut pass);
            if piece < new {
                break;
            }
            (self.next, self.next_done) = (self.next + 1, 0);
        }
        (!pass.parts.is_empty()).then(|| {
            self.keep(&mut pass);
            pass
        })
    }

    /// How many tokens of a pair need no new row: those of the last path, as far as what is to be scored after them can be read
    /// off this pass, whose rows begin with `first_row`.
    fn shared(&self, pair: usize, first_row: usize) -> usize {
        let input = &self.inputs[pair];
        if self.is_long(input.len()) != self.path_is_long {
            return 0;
        }
        let common = common_prefix(&self.path, input);
        let first_asked = self.pairs[pair].prompt.len() - 1 + self.next_done;
        if first_asked < common && self.rows[first_asked] < first_row {
            first_asked
        } else {
            common
        }
    }

    /// How many of a pair's `new` tokens go into the pass; 0 if there is no room. What is cut must be kept.
    fn piece(&self, shared: usize, new: usize, pass: &Pass) -> usize {
        let room = self.limits.rows.saturating_sub(pass.batch.len());
        let can_cut = shared + room <= self.limits.kept_rows;
        match pass.batch.is_empty() {
            _ if new <= room => new,
            true if can_cut => room.max(1),
            true => new,
            false if can_cut && room >= SHORTEST_PIECE => room,
            false => 0,
        }
    }

    fn add(&mut self, pair: usize, shared: usize, piece: usize, pass: &mut Pass) {
        let (input, end) = (&self.inputs[pair], shared + piece);
        self.path.truncate(shared);
        self.rows.truncate(shared);
        self.path_is_long = self.is_long(input.len());
        let new = &input[shared..end];
        if !new.is_empty() {
            let rows = pass.batch.push_after(&self.rows, new, input.len());
            self.rows.extend(rows);
            self.path.extend_from_slice(new);
        }
        let TokenizedPair { prompt, answer } = &self.pairs[pair];
        let reached = (end + 1).saturating_sub(prompt.len());
        let asked = self.next_done..reached.max(self.next_done);
        let first_row = pass.batch.first_row();
        let target = |i: usize| (self.rows[prompt.len() - 1 + i] - first_row, answer[i]);
        pass.targets.extend(asked.clone().map(target));
        pass.parts.push(Part {
            pair,
            targets: asked.len(),
            is_last: end == input.len(),
        });
        self.next_done = asked.end;
    }

    /// Leaves what the next pair shares, as far as it may be kept.
    fn keep(&mut self, pass: &mut Pass) {
        let next = self.order.get(self.next);
        let shared = next.map_or(0, |&pair| self.shared(pair, usize::MAX));
        let kept = shared.min(self.limits.kept_rows);
        self.path.truncate(kept);
        for &row in &self.rows[..kept] {
            match pass.kept.last_mut() {
                Some(last) if last.end == row => last.end += 1,
                _ => pass.kept.push(row..row + 1),
            }
        }
        self.rows = (0..kept).collect();
    }
}

fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use harness_metric::PythonRandom;
    use harness_model::PackedBatch;
    use harness_model::train::TokenizedPair;

    use super::{PassLimits, Walk};

    /// Pairs over few tokens, so that they share much.
    fn pairs(seed: u64, count: usize) -> Vec<TokenizedPair> {
        let mut random = PythonRandom::new(seed);
        let mut tokens = |most: usize| -> Vec<u32> {
            let length = 1 + random.randbelow(most);
            (0..length).map(|_| random.randbelow(2) as u32).collect()
        };
        let pair = |_| TokenizedPair {
            prompt: tokens(40),
            answer: tokens(6),
        };
        (0..count).map(pair).collect()
    }

    /// The tokens that `row` of the batch sees, itself included; `kept` are those of earlier passes.
    fn visible(batch: &PackedBatch, kept: &[u32], row: usize) -> Vec<u32> {
        let row = row + batch.first_row();
        let mut blocks = batch.blocks().iter();
        let block = blocks.find(|block| block.rows.contains(&row)).unwrap();
        let before = block.ancestors.iter().cloned().flatten();
        let seen = before.chain(block.rows.start..=row);
        let token = |row: usize| match row.checked_sub(batch.first_row()) {
            Some(new) => batch.tokens()[new],
            None => kept[row],
        };
        seen.map(token).collect()
    }

    #[test]
    fn whatever_the_limits_every_target_sees_its_own_prefix() {
        for seed in 0..40 {
            let pairs = pairs(seed, 30);
            for (rows, sequences, kept_rows) in [
                (1, 1, 0),
                (1, usize::MAX, 100),
                (70, 3, 10),
                (100, usize::MAX, 0),
                (100, usize::MAX, 100),
                (5000, usize::MAX, 100),
            ] {
                let limits = PassLimits {
                    rows,
                    sequences,
                    kept_rows,
                };
                let mut walk = Walk::new(&pairs, limits, None);
                let planned = walk.rows_to_compute();
                let (mut computed, mut kept) = (0, Vec::new());
                let mut scored = vec![Vec::new(); pairs.len()];
                while let Some(pass) = walk.next_pass() {
                    assert_eq!(pass.batch.first_row(), kept.len());
                    assert!(pass.parts.len() <= sequences);
                    let longest = 50;
                    assert!(pass.batch.len() <= rows.max(longest));
                    computed += pass.batch.len();
                    let mut targets = pass.targets.iter();
                    for part in &pass.parts {
                        for &(row, token) in targets.by_ref().take(part.targets) {
                            let seen = visible(&pass.batch, &kept, row);
                            scored[part.pair].push((seen, token));
                        }
                    }
                    let all: Vec<u32> = kept.iter().chain(pass.batch.tokens()).copied().collect();
                    kept = pass
                        .kept
                        .iter()
                        .cloned()
                        .flatten()
                        .map(|row| all[row])
                        .collect();
                    assert!(kept.len() <= kept_rows);
                }
                for (pair, scored) in pairs.iter().zip(scored) {
                    let whole = [&pair.prompt[..], &pair.answer].concat();
                    let want = (pair.prompt.len()..whole.len())
                        .map(|end| (whole[..end].to_vec(), whole[end]));
                    assert_eq!(scored, want.collect::<Vec<_>>());
                }
                if rows == 5000 {
                    assert_eq!(computed, planned, "one pass computes every prefix once");
                }
            }
        }
    }
}
