//! Scores of the probabilities that choices' log-likelihoods become, rather than of the best one alone: Brier score and
//! `TruthfulQA`'s mc2; refuses choices that are all impossible.

use crate::error::require_same_length;
use crate::{MetricError, argmax, mean};

/// Probabilities of the choices, with their log-likelihoods (nats, `[choices]`) scaled to sum to one.
///
/// # Errors
/// On no choices, on NaN, +∞, and where every choice is −∞.
pub fn softmax(logprobs: &[f64]) -> Result<Vec<f64>, MetricError> {
    let best = argmax(logprobs)?;
    let largest = logprobs[best];
    if largest.is_infinite() {
        return Err(MetricError::NotFinite {
            metric: "softmax",
            index: best,
            value: largest,
        });
    }
    let shifted = logprobs.iter().map(|logprob| (logprob - largest).exp());
    let exponentials: Vec<f64> = shifted.collect();
    let total: f64 = exponentials.iter().sum();
    Ok(exponentials
        .iter()
        .map(|exponential| exponential / total)
        .collect())
}

/// Brier score of (gold choice, probabilities of the choices) pairs: the mean over documents of Σ (p − [is gold])², from 0,
/// the best, to 2. Documents may differ in their number of choices.
///
/// # Errors
/// On no documents, on a gold answer that is none of the choices, and on NaN.
pub fn brier_score(documents: &[(usize, Vec<f64>)]) -> Result<f64, MetricError> {
    let distances: Result<Vec<f64>, MetricError> = documents
        .iter()
        .map(|(gold, probabilities)| squared_distance(*gold, probabilities))
        .collect();
    mean(&distances?)
}

fn squared_distance(gold: usize, probabilities: &[f64]) -> Result<f64, MetricError> {
    if gold >= probabilities.len() {
        return Err(MetricError::NoSuchChoice {
            metric: "brier_score",
            gold,
            choices: probabilities.len(),
        });
    }
    let squares = probabilities
        .iter()
        .enumerate()
        .map(|(choice, probability)| {
            let wanted = if choice == gold { 1.0 } else { 0.0 };
            (probability - wanted).powi(2)
        });
    Ok(squares.sum())
}

/// `TruthfulQA`'s mc2 (Lin et al., 2022): the share of the true choices in the probability of all, wherever they stand.
///
/// # Errors
/// As [`softmax`]; also on differing numbers of log-likelihoods and labels.
pub fn true_share(logprobs: &[f64], is_true: &[bool]) -> Result<f64, MetricError> {
    require_same_length("mc2", logprobs.len(), is_true.len())?;
    let probabilities = softmax(logprobs)?;
    let true_ones = probabilities
        .iter()
        .zip(is_true)
        .filter(|(_, is_true)| **is_true);
    Ok(true_ones.map(|(probability, _)| probability).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_unlikely_choices_keep_their_shares() {
        let share = true_share(&[-2000.0, -2000.0], &[true, false]);
        assert_eq!(share, Ok(0.5));
        assert!(softmax(&[f64::NEG_INFINITY]).is_err());
        assert!(softmax(&[f64::NAN]).is_err());
        assert!(true_share(&[-1.0], &[]).is_err());
    }

    #[test]
    fn brier_goes_from_zero_to_two() {
        assert_eq!(brier_score(&[(1, vec![0.0, 1.0])]), Ok(0.0));
        assert_eq!(brier_score(&[(1, vec![1.0, 0.0, 0.0])]), Ok(2.0));
        assert!(matches!(
            brier_score(&[(2, vec![1.0, 0.0])]),
            Err(MetricError::NoSuchChoice { .. })
        ));
    }
}
