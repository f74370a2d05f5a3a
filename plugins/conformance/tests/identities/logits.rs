//! Batches of random logits that a method can be run on: the rows of prompts and answers, and what the same numbers come to in 64-bit floats.
//! It refuses hidden states.

use std::collections::BTreeMap;

use candle_core::{D, Device, Result, Tensor, Var, bail};
use harness_host::{Measure, MeasureRequest, Model, Positions, Progress, Role, StepSource};

/// Tokens of the vocabulary.
pub(crate) const VOCABULARY: usize = 7;

/// Random numbers of a seed.
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    fn below(&mut self, count: usize) -> usize {
        (self.uniform() * count as f64) as usize
    }
}

/// One role's sequences: logits of the policy and of the original, and the token that a row predicts if it is an answer's.
pub(crate) struct Batch {
    pub(crate) policy: Var,
    pub(crate) original: Tensor,
    pub(crate) labels: Vec<Option<usize>>,
    /// Rows of each sequence.
    lengths: Vec<usize>,
    /// Answer tokens of each sequence.
    pub(crate) answers: Vec<usize>,
}

fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
    let rows: Vec<Vec<f32>> = tensor.to_vec2().unwrap();
    let wide = |row: Vec<f32>| row.into_iter().map(f64::from).collect();
    rows.into_iter().map(wide).collect()
}

/// log softmax of each row.
fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let less = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    less.broadcast_sub(&less.exp()?.sum_keepdim(D::Minus1)?.log()?)
}

/// log softmax in 64-bit floats.
pub(crate) fn logprobs(logits: &[f64]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
    logits
        .iter()
        .map(|logit| logit - largest - sum.ln())
        .collect()
}

impl Batch {
    /// Sequences of prompts and answers of random lengths; with `at_original`, the policy is the original.
    pub(crate) fn random(draws: &mut Draws, sequences: usize, at_original: bool) -> Self {
        let (mut labels, mut lengths, mut answers) = (vec![], vec![], vec![]);
        for _ in 0..sequences {
            let (prompt, answer) = (1 + draws.below(3), 1 + draws.below(4));
            labels.extend(vec![None; prompt - 1]);
            labels.extend((0..answer).map(|_| Some(draws.below(VOCABULARY))));
            labels.push(None);
            lengths.push(prompt + answer);
            answers.push(answer);
        }
        let mut random = || -> Vec<f32> {
            let numbers = (0..labels.len() * VOCABULARY).map(|_| draws.between(-2.0, 2.0) as f32);
            numbers.collect()
        };
        let shape = (labels.len(), VOCABULARY);
        let original = Tensor::from_vec(random(), shape, &Device::Cpu).unwrap();
        let policy = Tensor::from_vec(random(), shape, &Device::Cpu).unwrap();
        let policy = if at_original { &original } else { &policy };
        Self {
            policy: Var::from_tensor(&policy.copy().unwrap()).unwrap(),
            original,
            labels,
            lengths,
            answers,
        }
    }

    pub(crate) fn policy_rows(&self) -> Vec<Vec<f64>> {
        rows(self.policy.as_tensor())
    }

    pub(crate) fn original_rows(&self) -> Vec<Vec<f64>> {
        rows(&self.original)
    }

    /// Log-probabilities of the answer tokens under these logits, a list a sequence.
    pub(crate) fn answer_logprobs(&self, logits: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let tokens = logits.iter().zip(&self.labels);
        let tokens = tokens.filter_map(|(row, label)| Some(logprobs(row)[(*label)?]));
        let mut rest: Vec<f64> = tokens.collect();
        let split = |&count: &usize| rest.drain(..count).collect();
        self.answers.iter().map(split).collect()
    }

    /// Rows at these positions.
    fn chosen(&self, positions: Positions) -> Vec<usize> {
        let is_answer = |row: usize| self.labels[row].is_some();
        let is_chosen = |row: &usize| match positions {
            Positions::Answer => is_answer(*row),
            Positions::AnswerInputs => *row > 0 && is_answer(row - 1),
            Positions::Every => true,
        };
        (0..self.labels.len()).filter(is_chosen).collect()
    }

    fn select(tensor: &Tensor, chosen: &[usize]) -> Result<Tensor> {
        let chosen: Vec<u32> = chosen.iter().map(|&row| row as u32).collect();
        tensor.index_select(&Tensor::new(chosen, &Device::Cpu)?, 0)
    }

    fn token_logprobs(&self, logits: &Tensor) -> Result<Tensor> {
        let chosen = self.chosen(Positions::Answer);
        let labels = chosen.iter().filter_map(|&row| self.labels[row]);
        let labels: Vec<u32> = labels.map(|label| label as u32).collect();
        let labels = Tensor::new(labels, &Device::Cpu)?.unsqueeze(1)?;
        log_softmax(&Self::select(logits, &chosen)?)?
            .gather(&labels, 1)?
            .squeeze(1)
    }

    fn measure(&self, request: &MeasureRequest) -> Result<Tensor> {
        let chosen = self.chosen(request.positions);
        let own = Self::select(self.policy.as_tensor(), &chosen)?;
        if request.measure == Measure::LogitSpread {
            return own.max(1)? - own.mean(1)?;
        }
        let teacher = match request.teacher {
            Model::Policy => own.detach(),
            Model::Reference => Self::select(&self.original, &chosen)?,
            Model::Spawned(code) => bail!("there is no model {code} here"),
        };
        let mut shifted: Vec<Vec<f32>> = teacher.to_vec2()?;
        for (row, &place) in shifted.iter_mut().zip(&chosen) {
            if let Some(label) = self.labels[place] {
                row[label] -= request.shift as f32;
            }
        }
        let log_q = log_softmax(&Tensor::new(shifted, &Device::Cpu)?)?;
        let (q, log_p) = (log_q.exp()?, log_softmax(&own)?);
        match request.measure {
            Measure::CrossEntropy => (q * log_p)?.sum(1)?.neg(),
            _ => (q * (log_q - log_p)?)?.sum(1),
        }
    }
}

/// A step on such batches.
#[derive(Default)]
pub(crate) struct LogitStep {
    pub(crate) batches: BTreeMap<Role, Batch>,
}

impl LogitStep {
    pub(crate) fn with(mut self, role: Role, batch: Batch) -> Self {
        self.batches.insert(role, batch);
        self
    }

    fn batch(&self, role: Role) -> Result<&Batch> {
        match self.batches.get(&role) {
            Some(batch) => Ok(batch),
            None => bail!("no {} batch", role.name()),
        }
    }
}

impl StepSource for LogitStep {
    fn token_logprobs(&self, role: Role) -> Result<Tensor> {
        let batch = self.batch(role)?;
        batch.token_logprobs(batch.policy.as_tensor())
    }

    fn reference_token_logprobs(&self, role: Role) -> Result<Tensor> {
        let batch = self.batch(role)?;
        batch.token_logprobs(&batch.original)
    }

    fn answer_lengths(&self, role: Role) -> Vec<usize> {
        let batch = self.batches.get(&role);
        batch.map_or_else(Vec::new, |batch| batch.answers.clone())
    }

    fn position_counts(&self, role: Role, positions: Positions) -> Result<Vec<usize>> {
        let batch = self.batch(role)?;
        let chosen = batch.chosen(positions);
        let mut start = 0;
        let count = |&length: &usize| {
            let own = start..start + length;
            start = own.end;
            chosen.iter().filter(|row| own.contains(row)).count()
        };
        Ok(batch.lengths.iter().map(count).collect())
    }

    fn measure(&self, request: &MeasureRequest) -> Result<Tensor> {
        self.batch(request.role)?.measure(request)
    }

    fn progress(&self, _: Progress) -> f64 {
        0.0
    }

    fn seed(&self) -> u64 {
        0
    }
}
