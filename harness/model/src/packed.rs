//! Packed batches: several token sequences end to end without padding, sharing the prefixes they have in common.
//!
//! A batch is a list of rows (one token each) cut into blocks. A row attends to the rows of its block up to itself and to
//! all rows of the block's ancestors. Sequences without common prefix are blocks without ancestors; a prefix tree is
//! blocks whose ancestors spell the prefix. This file knows tokens and rows, no tensors.

use std::ops::Range;

/// Query rows are cut into blocks of at most this many, so that causal attention skips what lies ahead and its scores stay small.
const MAX_BLOCK_ROWS: usize = 128;

/// Consecutive rows of one sequence and what they may attend to besides each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The rows of this block, in sequence order.
    pub rows: Range<usize>,
    /// Row ranges that every row of this block sees, in sequence order, earlier in the batch: the whole way from the start of
    /// the sequence.
    pub ancestors: Vec<Range<usize>>,
    /// Whether each row sees the ancestors alone, neither itself nor another row of the block.
    pub is_padding: bool,
}

/// Tokens to run through a decoder in one pass, with their positions and visibility.
#[derive(Clone, Debug, Default)]
pub struct PackedBatch {
    tokens: Vec<u32>,
    positions: Vec<u32>,
    blocks: Vec<Block>,
    /// Rows of the sequence added last, by depth: what the next one may share.
    last_path: Vec<usize>,
    /// Sequences of more tokens share nothing with those of as many or fewer.
    long_above: Option<usize>,
    /// Rows that were computed in earlier passes and are kept; this batch's rows are numbered after them.
    first_row: usize,
    /// Rows that go on from earlier ones, with the number of tokens of their sequence.
    continued: Vec<(Range<usize>, usize)>,
}

impl PackedBatch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch that keeps sequences of more than `long_above` tokens apart from shorter ones, for models that rotate long
    /// sequences differently ([`DecoderSpec::long_above`](crate::DecoderSpec::long_above)).
    pub fn separating(long_above: Option<usize>) -> Self {
        Self {
            long_above,
            ..Self::default()
        }
    }

    /// An empty batch whose rows are numbered from `first_row`, after those of a
    /// [`KeyValueCache`](crate::KeyValueCache).
    pub fn continuing(first_row: usize) -> Self {
        Self {
            first_row,
            ..Self::default()
        }
    }

    /// Adds `tokens` after a sequence whose rows are `path`, from its start, in this batch or computed before, and returns
    /// the new rows. They belong to a sequence of `length` tokens in all, some of which may come in later batches.
    pub fn push_after(&mut self, path: &[usize], tokens: &[u32], length: usize) -> Range<usize> {
        let start = self.first_row + self.len();
        self.last_path = path.to_vec();
        self.extend_path(path.len(), tokens);
        let rows = start..self.first_row + self.len();
        self.continued.push((rows.clone(), length));
        rows
    }

    /// Adds a sequence on rows of its own and returns them.
    pub fn push(&mut self, sequence: &[u32]) -> Range<usize> {
        let start = self.len();
        self.extend_path(0, sequence);
        start..self.len()
    }

    /// Adds a sequence that shares its common prefix with the sequence added before it, and returns the row of each of
    /// its tokens. Sequences sorted lexicographically share every common prefix there is.
    pub fn push_sharing(&mut self, sequence: &[u32]) -> Vec<usize> {
        let shared = self.shared_with_last(sequence);
        self.extend_path(shared, &sequence[shared..]);
        self.last_path.clone()
    }

    /// How many leading tokens [`Self::push_sharing`] would not have to add.
    pub fn shared_with_last(&self, sequence: &[u32]) -> usize {
        let is_long = |length: usize| self.long_above.is_some_and(|most| length > most);
        if is_long(sequence.len()) != is_long(self.last_path.len()) {
            return 0;
        }
        // What came before this batch is not known here.
        let known = |row: &usize| self.tokens.get(row.checked_sub(self.first_row)?);
        let same = |(row, token): &(&usize, &u32)| known(row) == Some(*token);
        self.last_path.iter().zip(sequence).take_while(same).count()
    }

    /// Adds a sequence of which only the tokens that are `seen` may be attended to, as transformers does with an attention mask: a hidden
    /// token sees those before it that are seen, but not itself. Positions count every token (in OPT, hidden ones stand before the first).
    /// For comparisons with losses that average over padding; sliding windows count seen tokens only.
    pub fn push_masked(&mut self, sequence: &[u32], seen: &[bool]) -> Range<usize> {
        let start = self.first_row + self.len();
        self.last_path.clear();
        let mut place = 0;
        for run in seen.chunk_by(|one, next| one == next) {
            let tokens = &sequence[place..place + run.len()];
            if run[0] {
                self.extend_path(self.last_path.len(), tokens);
            } else {
                self.push_hidden(tokens);
            }
            let first = self.positions.len() - tokens.len();
            for (row, position) in self.positions[first..].iter_mut().zip(place..) {
                *row = position as u32;
            }
            place += run.len();
        }
        // What the next sequence would share is not what this one looks like.
        self.last_path.clear();
        start..self.first_row + self.len()
    }

    /// Adds rows that see the sequence added last, but neither themselves nor each other.
    fn push_hidden(&mut self, tokens: &[u32]) {
        let start = self.first_row + self.len();
        self.blocks.push(Block {
            rows: start..start + tokens.len(),
            ancestors: contiguous_ranges(&self.last_path),
            is_padding: true,
        });
        self.tokens.extend_from_slice(tokens);
        self.positions.extend(tokens.iter().map(|_| 0));
    }

    fn extend_path(&mut self, shared: usize, tokens: &[u32]) {
        self.last_path.truncate(shared);
        for tokens in tokens.chunks(MAX_BLOCK_ROWS) {
            let (start, depth) = (self.first_row + self.len(), self.last_path.len());
            let rows = start..start + tokens.len();
            self.blocks.push(Block {
                rows: rows.clone(),
                ancestors: contiguous_ranges(&self.last_path),
                is_padding: false,
            });
            self.tokens.extend_from_slice(tokens);
            self.positions
                .extend((depth..depth + tokens.len()).map(|p| p as u32));
            self.last_path.extend(rows);
        }
    }

    /// Whether each row is one that no row sees ([`Self::push_masked`]), where there are such.
    pub fn hidden_rows(&self) -> Option<Vec<bool>> {
        let blocks = || self.blocks.iter().filter(|block| block.is_padding);
        blocks().next()?;
        let mut padding = vec![false; self.len()];
        for block in blocks() {
            let rows = block.rows.start - self.first_row..block.rows.end - self.first_row;
            padding[rows].fill(true);
        }
        Some(padding)
    }

    /// The number of its first row.
    pub fn first_row(&self) -> usize {
        self.first_row
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Token ids, one a row.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Positions within their sequence, one a row.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// For each row, the number of tokens of the longest sequence among those that start with the same row.
    pub fn tree_lengths(&self) -> Vec<usize> {
        let mut lengths = vec![0; self.len()];
        let is_root = |block: &Block| block.ancestors.is_empty();
        let mut roots: Vec<usize> = self
            .blocks
            .iter()
            .filter(|b| is_root(b))
            .map(|b| b.rows.start - self.first_row)
            .collect();
        roots.push(self.len());
        for tree in roots.windows(2) {
            let rows = tree[0]..tree[1];
            let deepest = self.positions[rows.clone()].iter().max();
            lengths[rows].fill(deepest.map_or(0, |&position| position as usize + 1));
        }
        for (rows, length) in &self.continued {
            lengths[rows.start - self.first_row..rows.end - self.first_row].fill(*length);
        }
        lengths
    }

    /// The blocks, in row order; together they cover every row once.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}

fn contiguous_ranges(rows: &[usize]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for &row in rows {
        match ranges.last_mut() {
            Some(last) if last.end == row => last.end += 1,
            _ => ranges.push(row..row + 1),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::PackedBatch;

    /// The tokens that `row` sees, itself included, read off the blocks.
    fn visible(batch: &PackedBatch, row: usize) -> Vec<u32> {
        let block = batch
            .blocks()
            .iter()
            .find(|b| b.rows.contains(&row))
            .unwrap();
        let rows = block
            .ancestors
            .iter()
            .cloned()
            .flatten()
            .chain(block.rows.start..=row);
        rows.map(|row| batch.tokens()[row]).collect()
    }

    #[test]
    fn every_row_sees_exactly_its_own_prefix() {
        let long: Vec<u32> = (0..300).collect();
        let branch: Vec<u32> = (0..150).chain([900, 901]).collect();
        let mut sequences = vec![long, branch, vec![0, 1, 7], vec![0, 1, 7, 8], vec![5]];
        sequences.sort();
        let mut batch = PackedBatch::new();
        for sequence in &sequences {
            let rows = batch.push_sharing(sequence);
            assert_eq!(rows.len(), sequence.len());
            for (depth, &row) in rows.iter().enumerate() {
                assert_eq!(visible(&batch, row), sequence[..=depth]);
                assert_eq!(batch.positions()[row] as usize, depth);
            }
        }
        assert_eq!(
            batch.len(),
            300 + 2 + 2 + 1,
            "each distinct prefix token is computed once"
        );
        let lengths = batch.tree_lengths();
        assert_eq!((lengths[0], lengths[303], lengths[304]), (300, 300, 1));
    }

    #[test]
    fn long_sequences_are_kept_apart_where_they_are_rotated_differently() {
        let mut batch = PackedBatch::separating(Some(3));
        let sequences: [&[u32]; 4] = [&[1, 2, 3], &[1, 2, 4], &[1, 2, 4, 5], &[1, 2, 4, 6]];
        let new = sequences.map(|sequence| {
            let before = batch.len();
            batch.push_sharing(sequence);
            batch.len() - before
        });
        assert_eq!(new, [3, 1, 4, 1]);
        assert_eq!(batch.tree_lengths(), [3, 3, 3, 3, 4, 4, 4, 4, 4]);
    }

    #[test]
    fn pushed_sequences_share_nothing() {
        let mut batch = PackedBatch::new();
        assert_eq!(batch.push(&[1, 2, 3]), 0..3);
        assert_eq!(batch.push(&[1, 2, 4]), 3..6);
        assert_eq!(visible(&batch, 5), [1, 2, 4]);
    }

    #[test]
    fn hidden_tokens_are_seen_by_none_and_keep_their_place() {
        let mut batch = PackedBatch::new();
        batch.push(&[9]);
        let seen = [true, true, false, true, false, false];
        assert_eq!(batch.push_masked(&[1, 2, 3, 4, 5, 6], &seen), 1..7);
        assert_eq!(batch.positions(), [0, 0, 1, 2, 3, 4, 5]);
        assert_eq!(visible(&batch, 4), [1, 2, 4]);
        let hidden = [false, false, false, true, false, true, true];
        assert_eq!(batch.hidden_rows().unwrap(), hidden);
        let block = batch.blocks().iter().rfind(|block| block.is_padding);
        assert_eq!(block.unwrap().ancestors, [1..3, 4..5]);
    }
}
