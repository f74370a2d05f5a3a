//! A batch of the rig: log-probabilities, or the logits that they come from. It refuses to mix the two under policy and reference.

use harness_abi::{Measure, Operation, Positions};

use super::dual::{Dual, sum};
use crate::{Error, Result};

/// The logits at one position, over a vocabulary as small as a test likes.
#[derive(Clone, Debug, PartialEq)]
pub struct LogitRow {
    /// One a token.
    pub logits: Vec<f64>,
    /// The answer token that the position predicts, if it does.
    pub label: Option<usize>,
}

impl LogitRow {
    /// A position that predicts the answer token `label`.
    pub fn answer(logits: &[f64], label: usize) -> Self {
        Self {
            logits: logits.to_vec(),
            label: Some(label),
        }
    }

    /// A position of a prompt, or behind the answer.
    pub fn other(logits: &[f64]) -> Self {
        Self {
            logits: logits.to_vec(),
            label: None,
        }
    }
}

/// Sequences of a role under one model.
#[derive(Clone, Debug)]
pub(super) enum Batch {
    /// Of answer tokens.
    Logprobs(Vec<Vec<f64>>),
    /// Of all positions.
    Logits(Vec<Vec<LogitRow>>),
}

impl Batch {
    /// How many numbers were written down.
    pub(super) fn numbers(&self) -> usize {
        match self {
            Self::Logprobs(sequences) => sequences.iter().map(Vec::len).sum(),
            Self::Logits(sequences) => sequences.iter().flatten().map(|row| row.logits.len()).sum(),
        }
    }

    /// How many of the positions each sequence has.
    pub(super) fn counts(&self, positions: Positions) -> Result<Vec<usize>> {
        match self {
            Self::Logprobs(sequences) if positions == Positions::Answer => {
                Ok(sequences.iter().map(Vec::len).collect())
            }
            Self::Logprobs(_) => Err(no_logits()),
            Self::Logits(sequences) => Ok(sequences
                .iter()
                .map(|rows| chosen(rows, positions).len())
                .collect()),
        }
    }

    /// Log-probabilities of the answer tokens, given what stands for each number that was written down.
    pub(super) fn logprobs(&self, numbers: &[Dual]) -> Vec<Dual> {
        match self {
            Self::Logprobs(_) => numbers.to_vec(),
            Self::Logits(sequences) => rows(sequences, Positions::Answer, numbers)
                .filter_map(|(row, logits)| Some(log_softmax(logits).swap_remove(row.label?)))
                .collect(),
        }
    }

    /// Measures of the logits at these positions against a teacher's batch.
    pub(super) fn measures(
        &self,
        numbers: &[Dual],
        teacher: &Self,
        (measure, positions): (Measure, Positions),
        (shift, stand_in): (f64, u32),
    ) -> Result<Vec<Dual>> {
        let (Self::Logits(own), Self::Logits(teacher)) = (self, teacher) else {
            return Err(no_logits());
        };
        let teacher = teacher.iter().flat_map(|rows| chosen(rows, positions));
        let pairs = rows(own, positions, numbers).zip(teacher);
        Ok(pairs
            .map(|((row, logits), teacher)| {
                if measure == Measure::LogitSpread {
                    return spread(logits);
                }
                let from_end = || Some(logits.len() - stand_in as usize).filter(|_| stand_in > 0);
                let shifted = row.label.or_else(from_end);
                let mut teacher = teacher.logits.clone();
                if let Some(token) = shifted {
                    teacher[token] -= shift;
                }
                compare(&log_softmax(logits), &teacher, measure)
            })
            .collect())
    }
}

fn no_logits() -> Error {
    Error::new(
        "the test rig was given log-probabilities, not logits (`policy_logits`, `reference_logits`)",
    )
}

/// The rows at these positions.
fn chosen(rows: &[LogitRow], positions: Positions) -> Vec<&LogitRow> {
    let is_chosen = |row: usize| match positions {
        Positions::Answer => rows[row].label.is_some(),
        Positions::AnswerInputs => row > 0 && rows[row - 1].label.is_some(),
        Positions::Every => true,
    };
    (0..rows.len())
        .filter(|&row| is_chosen(row))
        .map(|row| &rows[row])
        .collect()
}

/// The rows at these positions with what stands for their logits.
fn rows<'a>(
    sequences: &'a [Vec<LogitRow>],
    positions: Positions,
    numbers: &'a [Dual],
) -> impl Iterator<Item = (&'a LogitRow, &'a [Dual])> {
    let mut start = 0;
    let all = sequences.iter().flat_map(move |rows| {
        let chosen = chosen(rows, positions);
        let with_numbers = rows.iter().map(|row| {
            let own = start..start + row.logits.len();
            start = own.end;
            (row, own)
        });
        let with_numbers: Vec<_> = with_numbers.collect();
        let is_chosen = move |row: &LogitRow| chosen.iter().any(|other| std::ptr::eq(*other, row));
        with_numbers
            .into_iter()
            .filter(move |(row, _)| is_chosen(row))
    });
    all.map(|(row, own)| (row, &numbers[own]))
}

fn log_softmax(logits: &[Dual]) -> Vec<Dual> {
    let largest = logits
        .iter()
        .map(|logit| logit.value)
        .fold(f64::NEG_INFINITY, f64::max);
    let less = |logit: &Dual| logit.unary(Operation::AddScalar, Some(-largest));
    let exponentials: Vec<Dual> = logits
        .iter()
        .map(|logit| less(logit).unary(Operation::Exp, None))
        .collect();
    let log_sum = sum(&exponentials).unary(Operation::Log, None);
    logits
        .iter()
        .map(|logit| less(logit).binary(Operation::Subtract, &log_sum))
        .collect()
}

fn compare(log_p: &[Dual], teacher: &[f64], measure: Measure) -> Dual {
    let teacher: Vec<Dual> = teacher.iter().map(|&logit| Dual::constant(logit)).collect();
    let terms = log_softmax(&teacher)
        .into_iter()
        .zip(log_p)
        .map(|(log_q, log_p)| {
            let q = log_q.value.exp();
            // 0 log 0 = 0.
            let own = if measure == Measure::Divergence && q > 0.0 {
                log_q.value
            } else {
                0.0
            };
            log_p.unary(Operation::AddScalar, Some(-own)).scale(-q)
        });
    sum(&terms.collect::<Vec<_>>())
}

fn spread(logits: &[Dual]) -> Dual {
    let mean = sum(logits).scale(1.0 / logits.len() as f64);
    let larger = |a: &Dual, b: &Dual| {
        if b.value > a.value {
            b.clone()
        } else {
            a.clone()
        }
    };
    let largest = logits
        .iter()
        .skip(1)
        .fold(logits[0].clone(), |best, next| larger(&best, next));
    largest.binary(Operation::Subtract, &mean)
}
