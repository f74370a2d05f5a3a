//! Signs that a model was trained on a text, from the log-probabilities of its tokens, and what they leak of an unlearned
//! model; scores are higher the less the text looks trained on.

use crate::compressed_size::compressed_size;
use crate::error::require_finite;
use crate::{MetricError, mean};

/// Added to what is divided by, as open-unlearning does.
const EPSILON: f64 = 1e-10;

/// Variances below this count as this; the value is that of Min-K%++ in open-unlearning.
const LEAST_VARIANCE: f64 = 1e-6;

/// Min-K% (Shi et al., 2024): the negated mean of the lowest `share` (0 to 1) of the tokens' log-probabilities (nats,
/// `[tokens]`), of at least one token.
///
/// # Errors
/// On no tokens and on values that are not finite.
pub fn min_k(token_logprobs: &[f64], share: f64) -> Result<f64, MetricError> {
    require_finite("min-k", token_logprobs)?;
    require_finite("min-k share", &[share])?;
    let mut logprobs = token_logprobs.to_vec();
    logprobs.sort_by(f64::total_cmp);
    let lowest = ((logprobs.len() as f64 * share) as usize).max(1);
    logprobs.truncate(lowest);
    mean(&logprobs).map(|mean| -mean)
}

/// A token's log-probability against those of all tokens in its place (nats, `[vocabulary]`): how many standard deviations
/// it is above the mean, both taken under the model's own distribution. [`min_k`] of these is Min-K%++ (Zhang et al., 2024).
///
/// # Errors
/// On a token outside the vocabulary, and on NaN or +∞; −∞ is a legitimate log of zero, save for the token itself.
pub fn standardised_logprob(logprobs: &[f64], token: usize) -> Result<f64, MetricError> {
    const METRIC: &str = "min-k++";
    let Some(&own) = logprobs.get(token) else {
        return Err(MetricError::NoSuchChoice {
            metric: METRIC,
            gold: token,
            choices: logprobs.len(),
        });
    };
    // What is impossible adds nothing to either moment.
    let possible: Vec<f64> = logprobs
        .iter()
        .copied()
        .filter(|&logprob| logprob != f64::NEG_INFINITY)
        .collect();
    require_finite(METRIC, &possible)?;
    require_finite(METRIC, &[own])?;
    let moment = |power: i32| -> f64 {
        possible
            .iter()
            .map(|logprob| logprob.exp() * logprob.powi(power))
            .sum()
    };
    let mean = moment(1);
    let variance = (moment(2) - mean.powi(2)).max(LEAST_VARIANCE);
    Ok((own - mean) / variance.sqrt())
}

/// The zlib attack (Carlini et al., 2021): a mean negative log-likelihood over the bytes that the text takes when compressed, so
/// that a text which is easy for everybody counts less.
///
/// The number of bytes is zlib's at its usual level, or within a byte or two of it.
///
/// # Errors
/// On a loss that is not finite.
pub fn loss_per_compressed_byte(loss: f64, text: &str) -> Result<f64, MetricError> {
    require_finite("zlib", &[loss])?;
    // The header and the checksum are always there, so the length is never zero.
    Ok(loss / compressed_size(text.as_bytes()) as f64)
}

/// `PrivLeak` (Shi et al., 2024) in percent: how far the unlearned model's area under the ROC curve is from that of a model that
/// never saw the forget set; 0 is ideal, negative under-unlearned, positive over-unlearned.
///
/// # Errors
/// Where the reference has area 1, and on values that are not finite.
pub fn privacy_leakage(unlearned_auc: f64, reference_auc: f64) -> Result<f64, MetricError> {
    relative_change("privacy leakage", 1.0 - unlearned_auc, 1.0 - reference_auc)
}

/// How near an area under the ROC curve is to that of a model that never saw the forget set, relative to the latter: 1 the same, 0 as
/// far away as the whole of it, or further (open-unlearning's `s_MIA`).
///
/// # Errors
/// Where the reference has area 0, and on values that are not finite.
pub fn membership_closeness(unlearned_auc: f64, reference_auc: f64) -> Result<f64, MetricError> {
    let change = relative_change("membership closeness", unlearned_auc, reference_auc)?;
    Ok(1.0 - (change.abs() / 100.0).min(1.0))
}

/// Change against a reference, in percent of the reference.
///
/// # Errors
/// Where the reference is zero, and on values that are not finite.
pub fn relative_difference(value: f64, reference: f64) -> Result<f64, MetricError> {
    relative_change("relative difference", value, reference)
}

fn relative_change(metric: &'static str, value: f64, reference: f64) -> Result<f64, MetricError> {
    require_finite(metric, &[value, reference])?;
    if reference.abs() < f64::EPSILON {
        return Err(MetricError::NoWeight { metric });
    }
    Ok(100.0 * (value - reference) / (reference + EPSILON))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_tokens_count() {
        assert_eq!(min_k(&[-1.0, -4.0, -2.0, -3.0], 0.5), Ok(3.5));
        assert_eq!(min_k(&[-1.0, -4.0], 0.1), Ok(4.0));
        assert!(min_k(&[], 0.5).is_err());
    }

    #[test]
    fn an_even_distribution_has_no_outliers() {
        let even = [0.25_f64.ln(); 4];
        assert!(standardised_logprob(&even, 2).unwrap().abs() < 1e-9);
        assert!(standardised_logprob(&even, 4).is_err());
        let with_zero = [0.5_f64.ln(), 0.5_f64.ln(), f64::NEG_INFINITY];
        assert!(standardised_logprob(&with_zero, 0).unwrap().abs() < 1e-9);
        assert!(standardised_logprob(&with_zero, 2).is_err());
    }

    #[test]
    fn leakage_has_a_sign() {
        assert!((privacy_leakage(1.0, 0.5).unwrap() + 100.0).abs() < 1e-6);
        assert!((privacy_leakage(0.0, 0.5).unwrap() - 100.0).abs() < 1e-6);
        assert!(privacy_leakage(0.5, 1.0).is_err());
        assert!((membership_closeness(0.75, 0.5).unwrap() - 0.5).abs() < 1e-8);
        assert!(membership_closeness(1.0, 0.4).unwrap().abs() < 1e-8);
        assert!(membership_closeness(0.5, 0.0).is_err());
        assert!((relative_difference(1.5, 1.0).unwrap() - 50.0).abs() < 1e-6);
    }
}
