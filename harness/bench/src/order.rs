//! The order in which documents are trained on: seeded epochs without end. Same seed, same order, on every machine.

use harness_metric::PythonRandom;

/// An endless stream of document indices: each epoch is a new shuffle of all documents.
#[derive(Clone, Debug)]
pub(crate) struct EpochOrder {
    random: PythonRandom,
    epoch: Vec<usize>,
    next: usize,
}

impl EpochOrder {
    /// A stream over `documents` documents, at least one.
    pub(crate) fn new(documents: usize, seed: u64) -> Self {
        let mut order = Self {
            random: PythonRandom::new(seed),
            epoch: (0..documents).collect(),
            next: 0,
        };
        order.random.shuffle(&mut order.epoch);
        order
    }

    /// The next `size` documents; a batch may straddle two epochs.
    pub(crate) fn batch(&mut self, size: usize) -> Vec<usize> {
        (0..size).map(|_| self.draw()).collect()
    }

    fn draw(&mut self) -> usize {
        if self.next == self.epoch.len() {
            self.random.shuffle(&mut self.epoch);
            self.next = 0;
        }
        self.next += 1;
        self.epoch[self.next - 1]
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
}
