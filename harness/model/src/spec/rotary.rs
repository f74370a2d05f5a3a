//! Frequencies of rotary position embedding and the ways to stretch them to longer contexts. No tensors.

use std::f64::consts::TAU;

/// Rotary position embedding of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotary {
    /// Leading dimensions of each head that are rotated; even.
    pub dimensions: usize,
    /// Base of the geometric series of wavelengths.
    pub theta: f64,
    /// How the frequencies are stretched for longer contexts.
    pub scaling: RotaryScaling,
}

/// Context extension of rotary frequencies.
#[derive(Clone, Debug, PartialEq)]
pub enum RotaryScaling {
    /// Frequencies as they are.
    None,
    /// All frequencies divided by a factor (Chen et al. 2023, "Extending context window … positional interpolation").
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Low frequencies divided, high ones kept, smooth in between (Llama 3.1).
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Wavelengths above `original_positions / low` are low.
        low: f64,
        /// Wavelengths below `original_positions / high` are high.
        high: f64,
        /// Context length before extension.
        original_positions: f64,
    },
    /// One divisor for each rotation plane, another set for long sequences (Ding et al. 2024, "`LongRoPE`").
    LongRope {
        /// Divisors for sequences of up to `original_positions` tokens.
        short: Vec<f64>,
        /// Divisors for longer ones.
        long: Vec<f64>,
        /// Context length before extension.
        original_positions: usize,
        /// What cosines and sines are multiplied with.
        magnitude: f64,
    },
}

impl Rotary {
    /// Radians per position for each of `dimensions / 2` rotation planes, fastest first. `is_long` matters to a scaling that treats
    /// long sequences differently.
    pub fn inverse_frequencies(&self, is_long: bool) -> Vec<f32> {
        let exponent = |plane: usize| 2.0 * plane as f64 / self.dimensions as f64;
        (0..self.dimensions / 2)
            .map(|plane| {
                let frequency = (1.0 / self.theta.powf(exponent(plane))) as f32;
                self.scaling.stretch(f64::from(frequency), plane, is_long) as f32
            })
            .collect()
    }

    /// The most tokens of a sequence that is not long, where long sequences have frequencies of their own.
    pub fn long_above(&self) -> Option<usize> {
        match self.scaling {
            RotaryScaling::LongRope {
                original_positions, ..
            } => Some(original_positions),
            _ => None,
        }
    }

    /// What cosines and sines are multiplied with.
    pub fn magnitude(&self) -> f32 {
        match self.scaling {
            RotaryScaling::LongRope { magnitude, .. } => magnitude as f32,
            _ => 1.0,
        }
    }
}

impl RotaryScaling {
    fn stretch(&self, frequency: f64, plane: usize, is_long: bool) -> f64 {
        match self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 {
                factor,
                low,
                high,
                original_positions,
            } => {
                let turns = original_positions * frequency / TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                frequency * (kept + (1.0 - kept) / factor)
            }
            Self::LongRope { short, long, .. } => {
                frequency / if is_long { long[plane] } else { short[plane] }
            }
        }
    }
}
