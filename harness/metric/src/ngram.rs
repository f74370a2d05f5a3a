//! Runs of n items and how often each occurs; knows nothing of what the items are.

use std::collections::BTreeMap;

/// Each run of a text, with its number of occurrences.
pub(crate) type NgramCounts<'t, T> = BTreeMap<&'t [T], usize>;

/// The runs of `order` items; none where the text is shorter.
pub(crate) fn ngram_counts<T: Ord>(items: &[T], order: usize) -> NgramCounts<'_, T> {
    let mut counts = NgramCounts::new();
    for ngram in items.windows(order) {
        *counts.entry(ngram).or_default() += 1;
    }
    counts
}

/// Runs that both have, each as often as the one that has fewer.
pub(crate) fn overlap<T: Ord>(left: &NgramCounts<'_, T>, right: &NgramCounts<'_, T>) -> usize {
    let shared =
        |(ngram, count): (&&[T], &usize)| right.get(ngram).map_or(0, |other| *count.min(other));
    left.iter().map(shared).sum()
}
