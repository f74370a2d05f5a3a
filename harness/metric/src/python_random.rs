//! Python's `random.Random`, draw for draw: lm-eval's few-shot examples and bootstraps depend on its every bit. Integer
//! seeds only; not for cryptography.

use rand_mt::Mt;

use crate::MetricError;

/// A Mersenne Twister (MT19937) seeded and read as Python does.
#[derive(Clone, Debug)]
pub struct PythonRandom {
    twister: Mt,
    /// The second half of the pair that `gauss` drew last.
    spare_gauss: Option<f64>,
}

impl PythonRandom {
    /// `random.Random(seed)`: the seed as little-endian 32-bit words, at least one.
    pub fn new(seed: u64) -> Self {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let twister = if high == 0 {
            Mt::new_with_key([low])
        } else {
            Mt::new_with_key([low, high])
        };
        Self {
            twister,
            spare_gauss: None,
        }
    }

    /// `random()`: uniform in `[0, 1)` with 53 bits.
    pub fn random(&mut self) -> f64 {
        let high = f64::from(self.twister.next_u32() >> 5);
        let low = f64::from(self.twister.next_u32() >> 6);
        high.mul_add(67_108_864.0, low) / 9_007_199_254_740_992.0
    }

    /// `gauss(mean, deviation)`: Box–Muller, two draws at a time.
    pub fn gauss(&mut self, mean: f64, deviation: f64) -> f64 {
        let standard = self.spare_gauss.take().unwrap_or_else(|| {
            let angle = self.random() * std::f64::consts::TAU;
            let radius = (-2.0 * (1.0 - self.random()).ln()).sqrt();
            self.spare_gauss = Some(angle.sin() * radius);
            angle.cos() * radius
        });
        mean + standard * deviation
    }

    /// `getrandbits(bits)` for at most 128 bits: 32-bit words, lowest first, the last one shortened from below.
    ///
    /// # Panics
    /// For more than 128 bits.
    pub fn getrandbits(&mut self, bits: u32) -> u128 {
        assert!(bits <= 128, "getrandbits of {bits} bits: at most 128 fit");
        let mut value = 0;
        for start in (0..bits).step_by(32) {
            let width = (bits - start).min(32);
            value |= u128::from(self.twister.next_u32() >> (32 - width)) << start;
        }
        value
    }

    /// `_randbelow(bound)`: uniform in `[0, bound)`, by rejection.
    ///
    /// # Panics
    /// For a bound of 0, as an index into nothing.
    pub fn randbelow(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "randbelow(0): nothing to draw from");
        let bits = usize::BITS - bound.leading_zeros();
        loop {
            let drawn = self.getrandbits(bits) as usize;
            if drawn < bound {
                return drawn;
            }
        }
    }

    /// `sample(range(population), count)`: distinct indices in the order drawn.
    ///
    /// # Errors
    /// Where `count` exceeds `population`.
    pub fn sample(&mut self, population: usize, count: usize) -> Result<Vec<usize>, MetricError> {
        if count > population {
            return Err(MetricError::SampleTooLarge {
                wanted: count,
                available: population,
            });
        }
        if population <= pool_limit(count) {
            Ok(self.sample_from_pool(population, count))
        } else {
            Ok(self.sample_by_rejection(population, count))
        }
    }

    fn sample_from_pool(&mut self, population: usize, count: usize) -> Vec<usize> {
        let mut pool: Vec<usize> = (0..population).collect();
        (0..count)
            .map(|_| {
                let drawn = self.randbelow(pool.len());
                pool.swap_remove(drawn) // CPython, too, moves the last one into the gap
            })
            .collect()
    }

    fn sample_by_rejection(&mut self, population: usize, count: usize) -> Vec<usize> {
        let mut taken = std::collections::BTreeSet::new();
        (0..count)
            .map(|_| {
                loop {
                    let drawn = self.randbelow(population);
                    if taken.insert(drawn) {
                        return drawn;
                    }
                }
            })
            .collect()
    }

    /// `shuffle(items)`, in place.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.randbelow(last + 1);
            items.swap(last, other);
        }
    }

    /// One draw of `choices(range(population))`: with replacement, unweighted.
    ///
    /// # Panics
    /// For an empty population.
    pub fn choice_index(&mut self, population: usize) -> usize {
        assert!(population > 0, "choice out of nothing");
        (self.random() * population as f64).floor() as usize
    }

    /// `choices(range(population), k=count)`.
    ///
    /// # Panics
    /// For an empty population and a positive `count`.
    pub fn choices(&mut self, population: usize, count: usize) -> Vec<usize> {
        (0..count).map(|_| self.choice_index(population)).collect()
    }
}

/// Largest population for which Python copies the population instead of remembering what was drawn:
/// 21, plus for `count` above 5 the smallest power of four that is at least three times `count`.
fn pool_limit(count: usize) -> usize {
    let mut limit = 21;
    if count > 5 {
        let mut power = 4_usize;
        while power < count.saturating_mul(3) {
            power = power.saturating_mul(4);
        }
        limit += power;
    }
    limit
}
