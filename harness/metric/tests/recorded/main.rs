//! Metrics against numbers recorded from lm-eval, sacrebleu, rouge-score, scikit-learn, open-unlearning and Python; needs
//! the golden folder, without it nothing is checked.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::float_cmp,
    clippy::needless_pass_by_value,
    reason = "tests: panics are failures, skips are said aloud, recorded numbers are exact"
)]

mod aggregation;
mod choice;
mod classification;
mod exact_match;
mod golden;
mod python_regex;
mod random_streams;
mod rouge;
mod tofu;
mod translation;
mod unlearning;
