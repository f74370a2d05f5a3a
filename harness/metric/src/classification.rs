//! F1 and Matthews correlation as scikit-learn computes them, over (gold, predicted) labels of any kind; a share with
//! nothing in it counts zero.

use std::collections::BTreeMap;

use crate::MetricError;

/// How the labels' F1 become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum F1Average {
    /// Each label counts the same.
    Macro,
    /// Each document counts the same.
    Micro,
    /// Each label counts as often as it is the gold one.
    Weighted,
}

/// How often a label was meant, given, and both.
#[derive(Clone, Copy, Debug, Default)]
struct LabelCount {
    gold: usize,
    predicted: usize,
    both: usize,
}

impl LabelCount {
    /// Harmonic mean of precision and recall: 2·both / (gold + predicted).
    fn f1(self) -> f64 {
        match self.gold + self.predicted {
            0 => 0.0,
            total => (2 * self.both) as f64 / total as f64,
        }
    }
}

/// F1 of the `positive` label among at most two: scikit-learn's `average="binary"`, lm-eval's `f1` with `positive` 1.
///
/// # Errors
/// On no pairs, on more than two labels, and on two labels of which neither is `positive`.
pub fn binary_f1<T: Ord>(pairs: &[(T, T)], positive: &T) -> Result<f64, MetricError> {
    let counts = label_counts("f1", pairs)?;
    let count = counts.get(positive).copied();
    if counts.len() > 2 || (counts.len() == 2 && count.is_none()) {
        return Err(MetricError::NotBinary {
            metric: "f1",
            labels: counts.len(),
        });
    }
    Ok(count.unwrap_or_default().f1())
}

/// F1 over all labels that occur.
///
/// # Errors
/// On no pairs.
pub fn averaged_f1<T: Ord>(pairs: &[(T, T)], average: F1Average) -> Result<f64, MetricError> {
    let counts = label_counts("f1", pairs)?;
    let counts = counts.into_values();
    Ok(match average {
        F1Average::Macro => {
            let labels = counts.len() as f64;
            counts.map(LabelCount::f1).sum::<f64>() / labels
        }
        F1Average::Weighted => {
            let weighted = counts.map(|count| count.f1() * count.gold as f64);
            weighted.sum::<f64>() / pairs.len() as f64
        }
        F1Average::Micro => {
            let both: usize = counts.map(|count| count.both).sum();
            both as f64 / pairs.len() as f64
        }
    })
}

/// Matthews correlation coefficient over any number of labels (Gorodkin, 2004); zero where either side is constant.
///
/// # Errors
/// On no pairs.
pub fn matthews_correlation<T: Ord>(pairs: &[(T, T)]) -> Result<f64, MetricError> {
    let counts = label_counts("matthews correlation", pairs)?;
    let documents = pairs.len() as f64;
    let (mut both, mut products, mut gold_squares, mut predicted_squares) = (0.0, 0.0, 0.0, 0.0);
    for count in counts.into_values() {
        let (gold, predicted) = (count.gold as f64, count.predicted as f64);
        both += count.both as f64;
        products += gold * predicted;
        gold_squares += gold * gold;
        predicted_squares += predicted * predicted;
    }
    let covariance = both * documents - products;
    let variances =
        (documents * documents - predicted_squares) * (documents * documents - gold_squares);
    Ok(if variances > 0.0 {
        covariance / variances.sqrt()
    } else {
        0.0
    })
}

fn label_counts<'p, T: Ord>(
    metric: &'static str,
    pairs: &'p [(T, T)],
) -> Result<BTreeMap<&'p T, LabelCount>, MetricError> {
    if pairs.is_empty() {
        let unit = "document";
        return Err(MetricError::Empty { metric, unit });
    }
    let mut counts = BTreeMap::<&T, LabelCount>::new();
    for (gold, predicted) in pairs {
        let count = counts.entry(gold).or_default();
        count.gold += 1;
        count.both += usize::from(gold == predicted);
        counts.entry(predicted).or_default().predicted += 1;
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_labels_have_no_positive_one() {
        let pairs = [(0, 1), (2, 1)];
        assert!(matches!(
            binary_f1(&pairs, &1),
            Err(MetricError::NotBinary { labels: 3, .. })
        ));
        assert!(binary_f1(&[("yes", "no")], &"1").is_err());
        assert_eq!(binary_f1(&[(0, 0)], &1), Ok(0.0));
    }

    #[test]
    fn micro_f1_is_accuracy() {
        let pairs = [(0, 0), (1, 2), (2, 2), (2, 0)];
        assert_eq!(averaged_f1(&pairs, F1Average::Micro), Ok(0.5));
        // 2/3, 0 and 1/2 for the three labels.
        let macro_f1 = averaged_f1(&pairs, F1Average::Macro).unwrap();
        assert!((macro_f1 - 7.0 / 18.0).abs() < 1e-15);
    }

    #[test]
    fn nothing_has_no_score() {
        assert!(matthews_correlation::<u8>(&[]).is_err());
        assert!(averaged_f1::<u8>(&[], F1Average::Macro).is_err());
    }
}
