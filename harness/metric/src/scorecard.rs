//! A model's score placed between anchors: what it kept and what it forgot; clips nothing, so that over-forgetting and
//! gains stay visible.

use crate::MetricError;
use crate::error::require_finite;

/// Chance-corrected share of the original's score that is left: `(m − chance) / (m_original − chance)`.
///
/// # Errors
/// Where the original is at chance, and on values that are not finite.
pub fn chance_corrected_utility(
    score: f64,
    original: f64,
    chance: f64,
) -> Result<f64, MetricError> {
    between("utility", chance, original, score)
}

/// Normalised forgetting `F = (m_original − m) / (m_original − m_oracle)`: 0 is untouched, 1 like the oracle, above 1
/// over-forgotten.
///
/// # Errors
/// Where original and oracle score the same, and on values that are not finite.
pub fn normalised_forgetting(score: f64, original: f64, oracle: f64) -> Result<f64, MetricError> {
    between("forgetting", original, oracle, score)
}

/// Position of `value` on the scale on which `zero` is 0 and `one` is 1.
pub(crate) fn between(
    metric: &'static str,
    zero: f64,
    one: f64,
    value: f64,
) -> Result<f64, MetricError> {
    require_finite(metric, &[zero, one, value])?;
    if zero.total_cmp(&one).is_eq() {
        return Err(MetricError::DegenerateScale {
            metric,
            anchor: one,
        });
    }
    Ok((value - zero) / (one - zero))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_zero_and_one() {
        assert_eq!(normalised_forgetting(0.9, 0.9, 0.1), Ok(0.0));
        assert_eq!(normalised_forgetting(0.1, 0.9, 0.1), Ok(1.0));
        assert!(normalised_forgetting(0.0, 0.9, 0.1).unwrap() > 1.0);
        assert_eq!(chance_corrected_utility(0.25, 0.75, 0.25), Ok(0.0));
        assert_eq!(chance_corrected_utility(0.5, 0.75, 0.25), Ok(0.5));
    }

    #[test]
    fn coinciding_anchors_have_no_scale() {
        assert!(matches!(
            normalised_forgetting(0.5, 0.3, 0.3),
            Err(MetricError::DegenerateScale { .. })
        ));
        assert!(matches!(
            chance_corrected_utility(f64::NAN, 0.3, 0.2),
            Err(MetricError::NotFinite { .. })
        ));
    }
}
