//! Runs a method on log-probabilities written down in a test: no library, no model, no harness. It refuses to be fast.

mod batch;
mod dual;
mod engine;

use std::collections::BTreeMap;
use std::rc::Rc;

use harness_abi::{Model, Role};

use crate::{Method, Result, Step};
use batch::Batch;
pub use batch::LogitRow;
use engine::RigEngine;

/// What a step's batches are made of, by whose it is and in which role.
type Batches = BTreeMap<(Model, Role), Batch>;

/// A step to run methods on, in 64-bit floats, with exact derivatives by what was written down for the policy: every
/// answer token's log-probability, or every logit.
#[derive(Clone, Debug, Default)]
pub struct TestRig {
    batches: Batches,
    epoch: f64,
}

impl TestRig {
    /// A step without data.
    pub fn new() -> Self {
        Self::default()
    }

    /// Log-probabilities (nats) of the answer tokens of a batch under the model being trained: a slice per sequence.
    #[must_use]
    pub fn policy(self, role: Role, sequences: &[&[f64]]) -> Self {
        self.with(Model::Policy, role, sequences)
    }

    /// The same under the frozen original.
    #[must_use]
    pub fn reference(self, role: Role, sequences: &[&[f64]]) -> Self {
        self.with(Model::Reference, role, sequences)
    }

    /// Runs one step of `method`.
    ///
    /// Fails where the harness would: a refused option, a poisoned, non-scalar or non-finite loss, data that the method did not declare.
    pub fn run<M: Method>(&self, method: &M) -> Result<Outcome> {
        method.check()?;
        let engine = Rc::new(RigEngine::new(self.batches.clone(), M::NEEDS, self.epoch));
        let tensor = method.loss(&Step::new(engine.clone()))?;
        tensor.check()?;
        engine.outcome(tensor.handle())
    }

    /// Logits of a batch under the model being trained, for methods that look at whole distributions: a slice per sequence.
    #[must_use]
    pub fn policy_logits(self, role: Role, sequences: &[&[LogitRow]]) -> Self {
        self.with_logits(Model::Policy, role, sequences)
    }

    /// The same under the frozen original.
    #[must_use]
    pub fn reference_logits(self, role: Role, sequences: &[&[LogitRow]]) -> Self {
        self.with_logits(Model::Reference, role, sequences)
    }

    /// How often the forget set has been gone through; 0 unless it is said.
    #[must_use]
    pub fn epoch(self, epoch: f64) -> Self {
        Self { epoch, ..self }
    }

    fn with(mut self, model: Model, role: Role, sequences: &[&[f64]]) -> Self {
        let sequences = sequences.iter().map(|tokens| tokens.to_vec()).collect();
        self.batches
            .insert((model, role), Batch::Logprobs(sequences));
        self
    }

    fn with_logits(mut self, model: Model, role: Role, sequences: &[&[LogitRow]]) -> Self {
        let sequences = sequences.iter().map(|rows| rows.to_vec()).collect();
        self.batches.insert((model, role), Batch::Logits(sequences));
        self
    }
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The loss.
    pub loss: f64,
    /// What the method logged, in order.
    pub logged: Vec<(String, f64)>,
    gradients: BTreeMap<Role, Vec<f64>>,
}

impl Outcome {
    /// Derivative of the loss by each number written down for the policy, answer tokens' log-probabilities or logits, sequences end to end;
    /// empty for a role without batch.
    pub fn gradient(&self, role: Role) -> &[f64] {
        self.gradients.get(&role).map_or(&[], Vec::as_slice)
    }

    /// The scalar logged under `name`.
    pub fn logged(&self, name: &str) -> Option<f64> {
        let entry = self.logged.iter().find(|(logged, _)| logged == name);
        entry.map(|&(_, value)| value)
    }
}
