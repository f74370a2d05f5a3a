//! Why a score does not exist; callers add which task and document it was about.

/// Input for which a metric has no value.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// There is nothing to score.
    #[error("{metric} of nothing: at least one {unit} is needed")]
    Empty {
        /// The metric.
        metric: &'static str,
        /// What there is none of.
        unit: &'static str,
    },
    /// An input is NaN, or infinite where that has no meaning.
    #[error("{metric}: value {index} is {value}, not a finite number")]
    NotFinite {
        /// The metric.
        metric: &'static str,
        /// Position of the value, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A length to divide by is zero.
    #[error("{metric}: choice {index} is empty, so it has no length to normalise by")]
    EmptyChoice {
        /// The metric.
        metric: &'static str,
        /// Position of the choice, from 0.
        index: usize,
    },
    /// Two inputs that belong together differ in number.
    #[error("{metric}: {left} values for {right} items")]
    LengthMismatch {
        /// The metric.
        metric: &'static str,
        /// Number of values.
        left: usize,
        /// Number of items.
        right: usize,
    },
    /// A value is below zero where that has no meaning.
    #[error("{metric}: value {index} is {value}, and negative values have none")]
    Negative {
        /// The metric.
        metric: &'static str,
        /// Position of the value, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A value is not above the one before it.
    #[error("{metric}: value {index} is {value}, not above the one before it")]
    NotGrowing {
        /// The metric.
        metric: &'static str,
        /// Position of the value, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// The weights to divide by add up to zero.
    #[error("{metric}: all weights are zero, so there is nothing to divide by")]
    NoWeight {
        /// The metric.
        metric: &'static str,
    },
    /// A metric of two labels was given others.
    #[error("{metric}: {labels} labels, or two without the positive one; an averaged F1 takes any")]
    NotBinary {
        /// The metric.
        metric: &'static str,
        /// How many different labels there are.
        labels: usize,
    },
    /// A gold answer is none of the choices.
    #[error("{metric}: gold answer {gold} of {choices} choices")]
    NoSuchChoice {
        /// The metric.
        metric: &'static str,
        /// The gold answer, from 0.
        gold: usize,
        /// How many choices there are.
        choices: usize,
    },
    /// Two anchors coincide, so nothing lies between them.
    #[error("{metric}: both anchors are {anchor}, so there is no scale between them")]
    DegenerateScale {
        /// The metric.
        metric: &'static str,
        /// Their common value.
        anchor: f64,
    },
    /// More was to be drawn than there is.
    #[error("cannot draw {wanted} out of {available} without repetition")]
    SampleTooLarge {
        /// How many were asked for.
        wanted: usize,
        /// How many there are.
        available: usize,
    },
}

/// The error that two inputs do not belong together.
pub(crate) fn require_same_length(
    metric: &'static str,
    left: usize,
    right: usize,
) -> Result<(), MetricError> {
    if left == right {
        return Ok(());
    }
    Err(MetricError::LengthMismatch {
        metric,
        left,
        right,
    })
}

/// The first value that is NaN or infinite, as an error of `metric`.
pub(crate) fn require_finite(metric: &'static str, values: &[f64]) -> Result<(), MetricError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(MetricError::NotFinite {
            metric,
            index,
            value: values[index],
        }),
        None => Ok(()),
    }
}
