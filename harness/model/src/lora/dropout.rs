//! Dropout whose every mask follows from a seed and the number of masks drawn before it. For training on the CPU only.

use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{Result, Tensor};
use rayon::prelude::*;

const ELEMENTS_PER_TASK: usize = 16 * 1024;

/// Zeroes elements at random and scales up the others to keep the mean.
#[derive(Debug)]
pub(crate) struct Dropout {
    probability: f64,
    seed: u64,
    masks_drawn: AtomicU64,
}

impl Dropout {
    /// `None` where nothing would be dropped.
    pub(super) fn new(probability: f64, seed: u64) -> Option<Self> {
        (probability > 0.0).then(|| Self {
            probability,
            seed,
            masks_drawn: AtomicU64::new(0),
        })
    }

    /// The next masks are those of batch `batch`, which has room for 2³² of them.
    pub(super) fn begin_batch(&self, batch: u64) {
        self.masks_drawn.store(batch << 32, Ordering::Relaxed);
    }

    /// x, f32 of any shape, times a new mask.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let number = self.masks_drawn.fetch_add(1, Ordering::Relaxed);
        let stream = mixed(self.seed ^ mixed(number));
        let kept = (1.0 / (1.0 - self.probability)) as f32;
        // The share of the 2⁶⁴ values of a draw that mean "dropped".
        let threshold = (self.probability * 2f64.powi(64)) as u64;
        let mut mask = vec![0f32; x.elem_count()];
        let tasks = mask.par_chunks_mut(ELEMENTS_PER_TASK).enumerate();
        tasks.for_each(|(task, mask)| {
            let first = (task * ELEMENTS_PER_TASK) as u64;
            for (index, element) in (first..).zip(mask) {
                if mixed(stream.wrapping_add(index)) >= threshold {
                    *element = kept;
                }
            }
        });
        x * Tensor::from_vec(mask, x.shape(), x.device())?
    }
}

/// One draw: the output function of `SplitMix64` (Steele, Lea & Flood 2014) at a place of its sequence.
fn mixed(place: u64) -> u64 {
    let x = place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::Dropout;
    use candle_core::{Device, Tensor};

    fn masks(seed: u64, count: usize) -> Vec<Vec<f32>> {
        let dropout = Dropout::new(0.25, seed).unwrap();
        let ones = Tensor::ones(40_000, candle_core::DType::F32, &Device::Cpu).unwrap();
        let draw = |_| dropout.apply(&ones).unwrap().to_vec1().unwrap();
        (0..count).map(draw).collect()
    }

    #[test]
    fn drops_the_share_asked_for_and_keeps_the_mean() {
        for mask in masks(3, 4) {
            let dropped = mask.iter().filter(|&&x| x == 0.0).count() as f64 / 40_000.0;
            // Four standard deviations of a binomial share.
            assert!((dropped - 0.25).abs() < 0.009, "{dropped}");
            let kept = mask
                .iter()
                .all(|&x| x == 0.0 || (x - 4.0 / 3.0).abs() < 1e-6);
            assert!(kept);
        }
    }

    #[test]
    fn same_seed_same_masks_and_no_mask_twice() {
        let (first, again, other) = (masks(3, 2), masks(3, 2), masks(4, 2));
        assert_eq!(first, again);
        assert_ne!(first[0], first[1]);
        assert_ne!(first, other);
    }
}
