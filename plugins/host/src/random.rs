//! Seeded random numbers by place: each depends on seed, stream and index alone, whoever asks and in whatever order.
//!
//! `SplitMix64` (Steele, Lea and Flood, 2014, "Fast Splittable Pseudorandom Number Generators") run from a state mixed of seed and stream;
//! normal numbers are Box and Muller's. It refuses cryptography.

use std::f64::consts::TAU;

use harness_abi::Distribution;

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// The stream that is `stream`'s for the thing of this name.
pub(crate) fn named_stream(stream: u64, name: &str) -> u64 {
    let bytes = name.bytes();
    bytes.fold(mix(stream.wrapping_add(GOLDEN_GAMMA)), |state, byte| {
        mix(state ^ u64::from(byte)).wrapping_add(GOLDEN_GAMMA)
    })
}

/// The first `count` numbers of a stream.
pub(crate) fn values(seed: u64, stream: u64, distribution: Distribution, count: usize) -> Vec<f32> {
    let start = mix(mix(seed.wrapping_add(GOLDEN_GAMMA)) ^ stream);
    // In [0, 1), with the 53 bits of a double.
    let uniform = |place: u64| {
        let bits = mix(start.wrapping_add(place.wrapping_add(1).wrapping_mul(GOLDEN_GAMMA)));
        (bits >> 11) as f64 / (1u64 << 53) as f64
    };
    let value = |place: u64| match distribution {
        Distribution::Uniform => uniform(place),
        Distribution::Normal => {
            let radius = (-2.0 * (1.0 - uniform(2 * place)).ln()).sqrt();
            radius * (TAU * uniform(2 * place + 1)).cos()
        }
    };
    // Rounded down, so that a uniform number is never 1.
    let single = |value: f64| {
        let single = value as f32;
        if distribution == Distribution::Uniform {
            single.min(1.0 - f32::EPSILON / 2.0)
        } else {
            single
        }
    };
    (0..count as u64)
        .map(|place| single(value(place)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Distribution, values};

    #[test]
    fn the_moments_are_those_of_the_distributions() {
        for (distribution, mean, variance) in [
            (Distribution::Uniform, 0.5, 1.0 / 12.0),
            (Distribution::Normal, 0.0, 1.0),
        ] {
            let all = values(3, 5, distribution, 100_000);
            let count = all.len() as f64;
            let found_mean = all.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
            let squares = all.iter().map(|&x| (f64::from(x) - found_mean).powi(2));
            assert!((found_mean - mean).abs() < 0.01);
            assert!((squares.sum::<f64>() / count - variance).abs() < 0.01);
        }
    }

    #[test]
    fn seed_and_stream_decide_and_length_does_not() {
        let short = values(3, 5, Distribution::Normal, 4);
        assert_eq!(short, values(3, 5, Distribution::Normal, 9)[..4]);
        assert_ne!(short, values(4, 5, Distribution::Normal, 4));
        assert_ne!(short, values(3, 6, Distribution::Normal, 4));
    }
}
