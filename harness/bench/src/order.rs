//! The order in which documents are trained on: seeded epochs without end. Same seed, same order, on every machine.

use std::ops::Range;

use harness_metric::PythonRandom;

/// An endless stream of document indices. Documents are shuffled and cut into parts; one part after the other is gone through so
/// many times, in a new order each time. A single part is plain training: each epoch is a new shuffle of all documents.
#[derive(Clone, Debug)]
pub(crate) struct EpochOrder {
    random: PythonRandom,
    documents: Vec<usize>,
    part: Range<usize>,
    epochs_a_part: usize,
    /// Times that this part has been gone through.
    epochs: usize,
    next: usize,
}

impl EpochOrder {
    /// A stream over `documents` documents, at least one.
    pub(crate) fn new(documents: usize, seed: u64) -> Self {
        Self::in_parts(documents, 1, 1, seed)
    }

    /// The same in `parts` parts of equal size, each gone through `epochs` times before the next; after the last comes the first.
    pub(crate) fn in_parts(documents: usize, parts: usize, epochs: usize, seed: u64) -> Self {
        let mut order = Self {
            random: PythonRandom::new(seed),
            documents: (0..documents).collect(),
            part: 0..(documents / parts.max(1)).max(1),
            epochs_a_part: epochs,
            epochs: 0,
            next: 0,
        };
        order.random.shuffle(&mut order.documents);
        order
    }

    /// The next `size` documents; a batch may straddle two epochs.
    pub(crate) fn batch(&mut self, size: usize) -> Vec<usize> {
        (0..size).map(|_| self.draw()).collect()
    }

    fn draw(&mut self) -> usize {
        if self.next == self.part.end {
            self.epochs += 1;
            if self.epochs >= self.epochs_a_part {
                self.go_to_the_next_part();
            }
            self.random.shuffle(&mut self.documents[self.part.clone()]);
            self.next = self.part.start;
        }
        self.next += 1;
        self.documents[self.next - 1]
    }

    /// Documents that fill no part are left out.
    fn go_to_the_next_part(&mut self) {
        let (size, end) = (self.part.len(), self.part.end);
        let start = if end + size > self.documents.len() {
            0
        } else {
            end
        };
        self.part = start..start + size;
        self.epochs = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::EpochOrder;

    #[test]
    fn every_epoch_visits_every_document_once() {
        let mut order = EpochOrder::new(7, 3);
        for _ in 0..5 {
            let mut epoch = order.batch(7);
            epoch.sort_unstable();
            assert_eq!(epoch, [0, 1, 2, 3, 4, 5, 6]);
        }
    }

    #[test]
    fn the_seed_decides() {
        let draw = |seed| EpochOrder::new(40, seed).batch(40);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn parts_are_disjoint_and_come_one_after_the_other() {
        let mut order = EpochOrder::in_parts(12, 3, 2, 5);
        let epoch = |order: &mut EpochOrder| {
            let mut epoch = order.batch(4);
            epoch.sort_unstable();
            epoch
        };
        let mut seen = Vec::new();
        for _ in 0..3 {
            let first = epoch(&mut order);
            assert_eq!(first, epoch(&mut order), "the same part twice");
            seen.extend(first);
        }
        assert_eq!(epoch(&mut order), seen[..4], "then from the start");
        seen.sort_unstable();
        assert_eq!(seen, (0..12).collect::<Vec<_>>());
    }
}
