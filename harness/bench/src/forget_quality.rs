//! TOFU's forget quality: whether the truth ratios of an unlearned model could be those of one that never saw the forget set.
//! Refuses to compare ratios of different documents.

use harness_metric::kolmogorov_smirnov;
use harness_task::{MetricValue, Sample};
use serde::{Deserialize, Serialize};

use crate::error::{BenchError, Result};

/// The metric whose values are compared.
pub(crate) const TRUTH_RATIO: &str = "truth_ratio";

/// Outcome of the two-sided two-sample Kolmogorov–Smirnov test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForgetQuality {
    /// Largest distance of the two distribution functions.
    pub statistic: f64,
    /// The exact probability of one as large or larger; the forget quality.
    pub p_value: f64,
    /// Its decimal logarithm, which tables show.
    pub log10_p: f64,
    /// Documents behind each sample.
    pub documents: usize,
}

/// Forget quality of truth ratios against those of the reference model, which never saw the forget set.
///
/// # Errors
/// On an empty sample and on values that are not finite.
pub fn forget_quality(ratios: &[f64], reference: &[f64]) -> Result<ForgetQuality> {
    let test = kolmogorov_smirnov(ratios, reference)?;
    Ok(ForgetQuality {
        statistic: test.statistic,
        p_value: test.p_value,
        log10_p: test.log10_p(),
        documents: ratios.len(),
    })
}

/// The same of two scored runs of one task.
///
/// # Errors
/// Where a sample has no truth ratio, or the runs are not of the same documents.
pub fn forget_quality_of_samples(own: &[Sample], reference: &[Sample]) -> Result<ForgetQuality> {
    let documents =
        |samples: &[Sample]| -> Vec<usize> { samples.iter().map(|sample| sample.doc_id).collect() };
    if documents(own) != documents(reference) {
        let message = "forget quality compares the truth ratios of the same documents; score both models on the same rows of one task";
        return Err(BenchError::Request(message.to_owned()));
    }
    forget_quality(&truth_ratios(own)?, &truth_ratios(reference)?)
}

/// The truth ratio of each sample.
pub(crate) fn truth_ratios(samples: &[Sample]) -> Result<Vec<f64>> {
    let ratio = |sample: &Sample| {
        let mut metrics = sample.metrics.iter();
        let own = metrics.find(|metric| metric.name == TRUTH_RATIO);
        own.and_then(MetricValue::number).ok_or_else(|| {
            let doc_id = sample.doc_id;
            BenchError::Request(format!(
                "document {doc_id} has no {TRUTH_RATIO}; list the metric in the task's metric_list"
            ))
        })
    };
    samples.iter().map(ratio).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn samples(first: usize, ratios: &[f64]) -> Vec<Sample> {
        let sample = |(place, ratio): (usize, &f64)| Sample {
            doc_id: first + place,
            document: harness_data::Document::default(),
            target: json!(""),
            requests: Vec::new(),
            responses: Vec::new(),
            filter: "none".to_owned(),
            filtered_responses: Vec::new(),
            metrics: vec![MetricValue {
                name: TRUTH_RATIO.to_owned(),
                value: json!(ratio),
            }],
        };
        ratios.iter().enumerate().map(sample).collect()
    }

    #[test]
    fn ratios_of_the_same_documents_are_compared() {
        let (low, high) = ([0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.7, 0.8]);
        let quality = forget_quality_of_samples(&samples(0, &low), &samples(0, &high)).unwrap();
        // 2 / C(8, 4)
        assert!((quality.p_value - 2.0 / 70.0).abs() < 1e-12);
        assert!((quality.log10_p - (2.0_f64 / 70.0).log10()).abs() < 1e-12);
        assert_eq!(
            (quality.statistic.to_bits(), quality.documents),
            (1.0_f64.to_bits(), 4)
        );
        let same = forget_quality_of_samples(&samples(0, &low), &samples(0, &low)).unwrap();
        assert!((same.p_value - 1.0).abs() < 1e-12);
    }

    #[test]
    fn other_documents_are_refused() {
        let (own, others) = (samples(0, &[0.1, 0.2]), samples(1, &[0.1, 0.2]));
        let error = forget_quality_of_samples(&own, &others).unwrap_err();
        assert!(error.to_string().contains("same rows"), "{error}");
        let mut nameless = samples(0, &[0.1, 0.2]);
        nameless[1].metrics.clear();
        let error = forget_quality_of_samples(&own, &nameless).unwrap_err();
        assert!(
            error.to_string().contains("document 1 has no truth_ratio"),
            "{error}"
        );
    }
}
