//! Many tests at once: p-values raised so that one false alarm among all of them stays as rare as asked. Assumes nothing
//! about how the tests depend on each other.

use crate::MetricError;
use crate::error::require_finite;

/// Adjusted p-values (Holm, 1979), in the order given.
///
/// # Errors
/// On values that are not finite.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, MetricError> {
    require_finite("Holm's correction", p_values)?;
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]).then(a.cmp(&b)));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least: f64 = 0.0;
    for (rank, &test) in order.iter().enumerate() {
        let tests_left = (p_values.len() - rank) as f64;
        least = least.max((p_values[test] * tests_left).min(1.0));
        adjusted[test] = least;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    use super::holm;

    #[test]
    fn as_r_adjusts() {
        // p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]).unwrap();
        for (got, want) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((got - want).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[]), Ok(vec![]));
        assert!(holm(&[f64::NAN]).is_err());
    }
}
