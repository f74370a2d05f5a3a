//! Scores and standard errors of a group out of its tasks', as lm-eval pools them; knows sizes and numbers, not tasks.

use crate::MetricError;
use crate::error::{require_finite, require_same_length};
use crate::weighted::weighted_mean;

/// Mean of the tasks' scores, each weighted by its number of documents: lm-eval's `weight_by_size: true`. Without weights
/// it is [`mean`](crate::mean).
///
/// # Errors
/// On no tasks, no documents, differing numbers of scores and sizes, and scores that are not finite.
pub fn mean_by_size(scores: &[f64], sizes: &[usize]) -> Result<f64, MetricError> {
    require_same_length("group mean", scores.len(), sizes.len())?;
    let products: Vec<(f64, usize)> = scores
        .iter()
        .zip(sizes)
        .map(|(score, &size)| (score * size as f64, size))
        .collect();
    weighted_mean(&products)
}

/// Standard error of the mean over all documents of all tasks, from each task's own: √(Σ (nᵢ − 1) nᵢ sᵢ² / (Σnᵢ − k) / Σnᵢ).
/// `None` where a task has none, and where the k tasks have one document each.
///
/// # Errors
/// On no tasks, differing numbers of standard errors and sizes, and values that are not finite.
pub fn pooled_stderr(stderrs: &[Option<f64>], sizes: &[usize]) -> Result<Option<f64>, MetricError> {
    require_same_length("pooled standard error", stderrs.len(), sizes.len())?;
    let Some(stderrs) = all_finite("pooled standard error", stderrs)? else {
        return Ok(None);
    };
    let documents = sizes.iter().sum::<usize>() as f64;
    let freedom = documents - sizes.len() as f64;
    if freedom <= 0.0 {
        return Ok(None);
    }
    let squares: f64 = stderrs
        .iter()
        .zip(sizes.iter().map(|&size| size as f64))
        .map(|(stderr, size)| (size - 1.0) * stderr.powi(2) * size)
        .sum();
    Ok(Some((squares / freedom / documents).sqrt()))
}

/// Standard error of the plain mean of k tasks' scores: √(Σ sᵢ²) / k. `None` where a task has none.
///
/// # Errors
/// On no tasks and on values that are not finite.
pub fn unweighted_mean_stderr(stderrs: &[Option<f64>]) -> Result<Option<f64>, MetricError> {
    let stderrs = all_finite("standard error of a group", stderrs)?;
    Ok(stderrs.map(|stderrs| {
        let squares: f64 = stderrs.iter().map(|stderr| stderr.powi(2)).sum();
        squares.sqrt() / stderrs.len() as f64
    }))
}

/// The values if all are there.
fn all_finite(
    metric: &'static str,
    values: &[Option<f64>],
) -> Result<Option<Vec<f64>>, MetricError> {
    if values.is_empty() {
        let unit = "task";
        return Err(MetricError::Empty { metric, unit });
    }
    let values: Option<Vec<f64>> = values.iter().copied().collect();
    if let Some(values) = &values {
        require_finite(metric, values)?;
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mean;

    #[test]
    fn one_missing_standard_error_leaves_none() {
        assert_eq!(pooled_stderr(&[Some(0.1), None], &[5, 5]), Ok(None));
        assert_eq!(unweighted_mean_stderr(&[Some(0.1), None]), Ok(None));
        assert_eq!(pooled_stderr(&[Some(0.1), Some(0.2)], &[1, 1]), Ok(None));
    }

    #[test]
    fn groups_of_nothing_are_errors() {
        assert!(mean_by_size(&[], &[]).is_err());
        assert!(mean_by_size(&[0.5], &[0]).is_err());
        assert!(pooled_stderr(&[], &[]).is_err());
        assert!(pooled_stderr(&[Some(0.1)], &[1, 2]).is_err());
    }

    #[test]
    fn one_task_keeps_its_mean() {
        assert_eq!(mean_by_size(&[0.25, 0.75], &[4, 4]), mean(&[0.25, 0.75]));
    }
}
