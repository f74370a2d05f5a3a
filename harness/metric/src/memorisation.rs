//! How well a model still knows an answer, from teacher-forced answer tokens; answers only, never prompts.
//!
//! Formulas: TOFU (Maini et al., 2024) for probability and truth ratio, extraction strength after Carlini et al. (2021)
//! and exact memorisation after Tirumala et al. (2022), both in the form that open-unlearning gives them.

use crate::error::require_finite;
use crate::{MetricError, mean};

/// Keeps a denominator from being zero; the value is open-unlearning's.
const EPSILON: f64 = 1e-10;

/// Length-normalised probability of an answer: exp of the mean log-probability of its tokens (nats, `[tokens]`).
///
/// # Errors
/// On no tokens and on values that are not finite.
pub fn answer_probability(token_logprobs: &[f64]) -> Result<f64, MetricError> {
    mean(token_logprobs).map(f64::exp)
}

/// Share of the correct answer among correct and wrong answers' length-normalised probabilities.
///
/// # Errors
/// On values that are not finite.
pub fn answer_share(correct: f64, wrong: &[f64]) -> Result<f64, MetricError> {
    require_finite("answer share", wrong)?;
    require_finite("answer share", &[correct])?;
    Ok(correct / (correct + wrong.iter().sum::<f64>() + EPSILON))
}

/// Extraction strength 1 − k/T: `k` is the smallest number of leading answer tokens to give so that every later one is
/// the model's argmax, `T` the number of tokens. All right without help is 1; a wrong last token means k = T, so 0.
///
/// `is_argmax` (`[tokens]`): whether each answer token is the argmax given everything before it.
///
/// # Errors
/// On no tokens.
pub fn extraction_strength(is_argmax: &[bool]) -> Result<f64, MetricError> {
    let tokens = is_argmax.len();
    if tokens == 0 {
        return Err(MetricError::Empty {
            metric: "extraction strength",
            unit: "answer token",
        });
    }
    let extracted = is_argmax.iter().rev().take_while(|&&hit| hit).count();
    Ok(extracted as f64 / tokens as f64)
}

/// Extraction strength as open-unlearning computes it: a wrong last token counts as k = T − 1, so the floor is 1/T, not 0.
/// For comparison with its published numbers only.
///
/// # Errors
/// On no tokens.
pub fn extraction_strength_open_unlearning(is_argmax: &[bool]) -> Result<f64, MetricError> {
    let strength = extraction_strength(is_argmax)?;
    Ok(strength.max(1.0 / is_argmax.len() as f64))
}

/// Share of answer tokens (`[tokens]`) that are the model's argmax.
///
/// # Errors
/// On no tokens.
pub fn exact_memorisation(is_argmax: &[bool]) -> Result<f64, MetricError> {
    if is_argmax.is_empty() {
        return Err(MetricError::Empty {
            metric: "exact memorisation",
            unit: "answer token",
        });
    }
    let hits = is_argmax.iter().filter(|&&hit| hit).count();
    Ok(hits as f64 / is_argmax.len() as f64)
}

/// Truth ratio: geometric mean of the perturbed answers' probabilities over the paraphrased answer's probability.
/// Arguments are mean log-probabilities per token (nats).
///
/// # Errors
/// On no perturbed answers and on values that are not finite.
pub fn truth_ratio(paraphrased: f64, perturbed: &[f64]) -> Result<f64, MetricError> {
    require_finite("truth ratio", &[paraphrased])?;
    Ok(mean(perturbed)?.exp() / (paraphrased.exp() + EPSILON))
}

/// How close a truth ratio is to 1, from 0 to 1: min(R, 1/R), whose mean over a forget set open-unlearning reports.
///
/// # Errors
/// On a value that is not finite.
pub fn truth_ratio_closeness(ratio: f64) -> Result<f64, MetricError> {
    require_finite("truth ratio", &[ratio])?;
    Ok(ratio.min(1.0 / (ratio + EPSILON)))
}

/// How far a truth ratio is below 1, from 0 to 1: max(0, 1 − R), whose mean over a retain set is TOFU's.
///
/// # Errors
/// On a value that is not finite.
pub fn truth_ratio_advantage(ratio: f64) -> Result<f64, MetricError> {
    require_finite("truth ratio", &[ratio])?;
    Ok((1.0 - ratio).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extraction_needs_the_whole_suffix() {
        assert_eq!(extraction_strength(&[true; 4]), Ok(1.0));
        assert_eq!(extraction_strength(&[true, false, true, true]), Ok(0.5));
        assert_eq!(extraction_strength(&[true, true, true, false]), Ok(0.0));
        assert_eq!(
            extraction_strength_open_unlearning(&[true, true, true, false]),
            Ok(0.25)
        );
        assert!(extraction_strength(&[]).is_err());
    }

    #[test]
    fn exact_memorisation_counts_anywhere() {
        assert_eq!(exact_memorisation(&[true, false, true, false]), Ok(0.5));
        assert!(exact_memorisation(&[]).is_err());
    }

    #[test]
    fn probability_is_the_geometric_mean() {
        let probability = answer_probability(&[0.5_f64.ln(), 0.125_f64.ln()]).unwrap();
        assert!((probability - 0.25).abs() < 1e-15);
        assert!(answer_probability(&[f64::NEG_INFINITY]).is_err());
    }

    #[test]
    fn equally_likely_wrong_answers_give_ratio_one() {
        let ratio = truth_ratio(-1.0, &[-0.5, -1.5]).unwrap();
        assert!((ratio - 1.0).abs() < 1e-9);
        assert!((answer_share(0.2, &[0.3, 0.5]).unwrap() - 0.2).abs() < 1e-9);
    }
}
