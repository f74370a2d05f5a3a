//! Which keys the queries of one block see. Rows and ranges only, no numbers.

use std::ops::Range;

use crate::packed::Block;

/// The keys that a block's queries see, and which of them each query sees.
///
/// The ancestors and the block's own rows spell a sequence from its start, so the n-th key has position n and a query knows
/// its position without being told.
pub(in crate::ops) struct Visible {
    /// Ranges of key rows that at least one query sees, in sequence order.
    pub(in crate::ops) ranges: Vec<Range<usize>>,
    /// Number of keys in all ranges.
    pub(in crate::ops) keys: usize,
    /// Keys that the window cuts off for every query.
    skipped: usize,
    /// Position of the first query.
    start: usize,
    window: usize,
    /// Whether every query sees what comes before the block and no more.
    is_padding: bool,
}

impl Visible {
    pub(in crate::ops) fn new(block: &Block, window: Option<usize>) -> Self {
        let start = block.ancestors.iter().map(Range::len).sum::<usize>();
        let window = window.unwrap_or(usize::MAX);
        let skipped = (start + 1).saturating_sub(window);
        let own = (!block.is_padding).then_some(&block.rows);
        let all = block.ancestors.iter().chain(own);
        let mut to_skip = skipped;
        let mut ranges = Vec::with_capacity(block.ancestors.len() + 1);
        for range in all {
            let cut = to_skip.min(range.len());
            to_skip -= cut;
            if cut < range.len() {
                ranges.push(range.start + cut..range.end);
            }
        }
        Self {
            keys: ranges.iter().map(Range::len).sum(),
            ranges,
            skipped,
            start,
            window,
            is_padding: block.is_padding,
        }
    }

    /// The keys that query `query` of the block sees, counted over all ranges.
    pub(in crate::ops) fn keys_of(&self, query: usize) -> Range<usize> {
        let last = self.start + query + 1;
        let end = if self.is_padding { self.start } else { last };
        let start = last.saturating_sub(self.window).min(end);
        start - self.skipped.min(start)..end - self.skipped.min(end)
    }

    /// Each range with the columns that its keys have in a matrix [queries, keys].
    pub(in crate::ops) fn columns(&self) -> impl Iterator<Item = (&Range<usize>, Range<usize>)> {
        let mut end = 0;
        self.ranges.iter().map(move |range| {
            end += range.len();
            (range, end - range.len()..end)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Visible;
    use crate::packed::PackedBatch;

    #[test]
    fn a_query_sees_the_last_tokens_of_its_own_path() {
        let long: Vec<u32> = (0..300).collect();
        let branch: Vec<u32> = (0..130).chain(900..950).collect();
        let mut batch = PackedBatch::new();
        let paths = [long, branch].map(|sequence| batch.push_sharing(&sequence));
        for window in [Some(1), Some(7), Some(128), Some(129), None] {
            for block in batch.blocks() {
                let visible = Visible::new(block, window);
                for (query, row) in block.rows.clone().enumerate() {
                    let path = paths.iter().find(|path| path.contains(&row)).unwrap();
                    let position = path.iter().position(|&r| r == row).unwrap();
                    let keys: Vec<usize> = visible.ranges.iter().cloned().flatten().collect();
                    let seen = &keys[visible.keys_of(query)];
                    let first = (position + 1).saturating_sub(window.unwrap_or(usize::MAX));
                    assert_eq!(
                        seen,
                        &path[first..=position],
                        "row {row}, window {window:?}"
                    );
                }
            }
        }
    }
}
