//! Scores as pure functions: choice accuracies, memorisation, aggregation with standard errors, and Python's random
//! numbers; does no input or output, and turns NaN and empty input into errors, never into a score.

mod aggregation;
mod choice;
mod error;
mod memorisation;
mod python_random;
mod scorecard;

pub use aggregation::{bootstrap_stderr, mean, mean_stderr, perplexity};
pub use choice::{argmax, argmax_per_byte, argmax_per_char};
pub use error::MetricError;
pub use memorisation::{
    answer_probability, answer_share, exact_memorisation, extraction_strength,
    extraction_strength_open_unlearning, truth_ratio,
};
pub use python_random::PythonRandom;
pub use scorecard::{chance_corrected_utility, normalised_forgetting};
