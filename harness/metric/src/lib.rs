//! Scores as pure functions: of choices, labels, texts and memorised answers; their aggregates with standard errors, and
//! Python's regular expressions and random numbers; does no input or output, and turns NaN and empty input into errors,
//! never into a score.

mod acc_all;
mod aggregation;
mod choice;
mod choice_probability;
mod classification;
mod compressed_size;
mod error;
mod exact_match;
mod fluency;
mod group;
mod membership;
mod memorisation;
mod ngram;
mod python_random;
mod python_regex;
mod recovery;
mod rouge;
mod scorecard;
mod standard_error;
mod translation;
mod truthfulqa;
mod two_sample;
mod uncertainty;
mod weighted;
mod white_space;

pub use acc_all::{AnswerJudgement, acc_all, acc_all_stderr};
pub use aggregation::{harmonic_mean, mean, median, nanmean, perplexity};
pub use choice::{argmax, argmax_mutual_information, argmax_per_byte, argmax_per_char};
pub use choice_probability::{brier_score, softmax, true_share};
pub use classification::{F1Average, averaged_f1, binary_f1, matthews_correlation};
pub use error::MetricError;
pub use exact_match::ExactMatch;
pub use fluency::{distinct_share, is_refusal, repetition_rate};
pub use group::{mean_by_size, pooled_stderr, unweighted_mean_stderr};
pub use membership::{
    loss_per_compressed_byte, membership_closeness, min_k, privacy_leakage, relative_difference,
    standardised_logprob,
};
pub use memorisation::{
    answer_probability, answer_share, exact_memorisation, extraction_strength,
    extraction_strength_open_unlearning, truth_ratio, truth_ratio_advantage, truth_ratio_closeness,
};
pub use python_random::PythonRandom;
pub use python_regex::{PatternError, PythonRegex};
pub use recovery::{normalised_resistance, recovery, recovery_area, recovery_time};
pub use rouge::{Rouge, RougeScore, RougeTokenizer, rouge, rouge_with_best};
pub use scorecard::{chance_corrected_utility, normalised_forgetting};
pub use standard_error::{bootstrap_stderr, mean_stderr};
pub use translation::{BleuCounts, BleuTokenizer, Chrf, ChrfCounts, TerCounts, bleu, chrf, ter};
pub use truthfulqa::{TruthComparison, TruthComparisons, truthfulqa_generation};
pub use two_sample::{KolmogorovSmirnov, area_under_roc, kolmogorov_smirnov};
pub use uncertainty::{
    Bootstrap, Interval, Resample, Sampled, Survival, SurvivalTime, Units, holm,
};
pub use weighted::{bits_per_byte, weighted_mean, weighted_perplexity, word_count};
