//! The choice of the next token from logits: the most probable one, or a draw. Each text has a stream of its own, so that it
//! does not depend on what else is generated beside it.

use std::cmp::Reverse;

use harness_metric::PythonRandom;
use harness_task::Generation;

use crate::error::{EngineError, Result};

/// How one text's tokens are chosen.
pub(crate) enum Sampling {
    Greedy,
    Draw {
        settings: Generation,
        random: PythonRandom,
    },
}

impl Sampling {
    /// For text number `number` of a run with this seed.
    pub(crate) fn new(generation: &Generation, seed: u64, number: u64) -> Self {
        if !generation.do_sample || generation.temperature <= 0.0 {
            return Self::Greedy;
        }
        // Seeds that differ in one bit give unrelated streams of the Mersenne Twister.
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number;
        Self::Draw {
            settings: generation.clone(),
            random: PythonRandom::new(seed),
        }
    }

    /// The next token after logits `[vocabulary]`; the first of equals is the most probable.
    ///
    /// # Errors
    /// When no logit is a number.
    pub(crate) fn choose(&mut self, logits: &[f32]) -> Result<u32> {
        let best = most_probable(logits).ok_or(EngineError::NotFinite)?;
        match self {
            Self::Greedy => Ok(best),
            Self::Draw { settings, random } => {
                let candidates = candidates(logits, logits[best as usize], settings);
                Ok(draw(&candidates, random.random()))
            }
        }
    }
}

fn most_probable(logits: &[f32]) -> Option<u32> {
    let mut best: Option<usize> = None;
    for (token, &logit) in logits.iter().enumerate() {
        if logit.is_nan() {
            return None;
        }
        if best.is_none_or(|best| logit > logits[best]) {
            best = Some(token);
        }
    }
    best.filter(|&best| logits[best].is_finite())
        .map(|best| best as u32)
}

/// Tokens to draw from with their probabilities, most probable first: temperature, then top-k, top-p (Holtzman et al. 2020) and
/// min-p, in the order in which transformers applies them.
fn candidates(logits: &[f32], largest: f32, settings: &Generation) -> Vec<(u32, f64)> {
    let weight = |logit: f32| (f64::from(logit - largest) / settings.temperature).exp();
    let weights = logits.iter().map(|&logit| weight(logit));
    let mut tokens: Vec<(u32, f64)> = (0..).zip(weights).collect();
    // Stable: of equals the first one comes first.
    tokens.sort_by_key(|&(_, weight)| Reverse(weight.to_bits()));
    if let Some(k) = settings.top_k.filter(|&k| k > 0) {
        tokens.truncate(k);
    }
    if let Some(p) = settings.top_p.filter(|&p| p < 1.0) {
        let wanted = p * total(&tokens);
        let mut sum = 0.0;
        let kept = tokens.iter().take_while(|(_, weight)| {
            let is_needed = sum < wanted;
            sum += weight;
            is_needed
        });
        let kept = kept.count().max(1);
        tokens.truncate(kept);
    }
    if let Some(p) = settings.min_p {
        tokens.retain(|&(_, weight)| weight >= p);
    }
    tokens
}

fn total(tokens: &[(u32, f64)]) -> f64 {
    tokens.iter().map(|(_, weight)| weight).sum()
}

/// The token at `place`, in [0, 1), of all weight.
fn draw(tokens: &[(u32, f64)], place: f64) -> u32 {
    let mut left = place * total(tokens);
    for &(token, weight) in tokens {
        if left < weight {
            return token;
        }
        left -= weight;
    }
    tokens.last().map_or(0, |&(token, _)| token)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::Sampling;
    use harness_task::Generation;
    use serde_json::{Value, json};

    fn generation(settings: Value) -> Generation {
        Generation::from_kwargs(settings.as_object().unwrap().clone()).unwrap()
    }

    fn drawn(settings: Value, draws: usize) -> [usize; 4] {
        let logits = [0.0, 2f32.ln(), f32::NEG_INFINITY, 5f32.ln()];
        let mut counts = [0; 4];
        let mut sampling = Sampling::new(&generation(settings), 7, 3);
        for _ in 0..draws {
            counts[sampling.choose(&logits).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let counts = drawn(json!({"do_sample": true, "temperature": 1.0}), 8000);
        for (count, want) in counts.into_iter().zip([1000.0, 2000.0, 0.0, 5000.0]) {
            assert!((count as f64 - want).abs() < 150.0, "{counts:?}");
        }
        assert_eq!(counts[2], 0);
        let squared = drawn(json!({"do_sample": true, "temperature": 0.5}), 6000);
        for (count, want) in squared.into_iter().zip([200.0, 800.0, 0.0, 5000.0]) {
            assert!((count as f64 - want).abs() < 120.0, "{squared:?}");
        }
    }

    #[test]
    fn limits_cut_off_the_tail() {
        let cases = [
            (json!({"top_k": 1}), [false, false, false, true]),
            (json!({"top_p": 0.6}), [false, false, false, true]),
            (json!({"top_p": 0.7}), [false, true, false, true]),
            (json!({"min_p": 0.3}), [false, true, false, true]),
        ];
        for (mut settings, want) in cases {
            settings["do_sample"] = json!(true);
            settings["temperature"] = json!(1.0);
            assert_eq!(drawn(settings.clone(), 500).map(|n| n > 0), want, "{settings}");
        }
    }

    #[test]
    fn without_sampling_the_first_of_the_best_is_taken() {
        let mut sampling = Sampling::new(&generation(json!({})), 0, 0);
        assert_eq!(sampling.choose(&[1.0, 3.0, 3.0]).unwrap(), 1);
        assert!(sampling.choose(&[1.0, f32::NAN]).is_err());
    }
}
