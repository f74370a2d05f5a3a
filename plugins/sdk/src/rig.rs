//! Runs a method on log-probabilities written down in a test: no library, no model, no harness. It refuses to be fast.

mod dual;
mod engine;

use std::collections::BTreeMap;
use std::rc::Rc;

use harness_abi::{Model, Role};

use crate::{Error, Method, Needs, Result, Step};
use engine::RigEngine;

/// The log-probabilities of a step's answer tokens, per sequence, by whose they are and in which role.
type Batches = BTreeMap<(Model, Role), Vec<Vec<f64>>>;

/// A step to run methods on, in 64-bit floats, with exact derivatives by every answer token's log-probability under the policy.
#[derive(Clone, Debug, Default)]
pub struct TestRig {
    batches: Batches,
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
        let engine = Rc::new(RigEngine::new(self.batches.clone(), M::NEEDS));
        let tensor = method.loss(&Step::new(engine.clone()))?;
        tensor.check()?;
        engine.outcome(tensor.handle())
    }

    fn with(mut self, model: Model, role: Role, sequences: &[&[f64]]) -> Self {
        let sequences = sequences.iter().map(|tokens| tokens.to_vec()).collect();
        self.batches.insert((model, role), sequences);
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
    /// Derivative of the loss by each answer token's log-probability under the policy, sequences end to end; empty for a role without batch.
    pub fn gradient(&self, role: Role) -> &[f64] {
        self.gradients.get(&role).map_or(&[], Vec::as_slice)
    }

    /// The scalar logged under `name`.
    pub fn logged(&self, name: &str) -> Option<f64> {
        let entry = self.logged.iter().find(|(logged, _)| logged == name);
        entry.map(|&(_, value)| value)
    }
}

/// What a method must declare to be given these log-probabilities.
fn required(model: Model, role: Role) -> Needs {
    let needs = match model {
        Model::Policy => Needs::NONE,
        Model::Reference => Needs::REFERENCE,
    };
    match role {
        Role::Forget => needs,
        Role::Retain => needs.and(Needs::RETAIN),
    }
}

/// The batch, if the rig holds it and the method declared it.
fn batch(batches: &Batches, declared: Needs, model: Model, role: Role) -> Result<&Vec<Vec<f64>>> {
    let name = format!(
        "{} log-probabilities of the {} batch",
        model.name(),
        role.name()
    );
    if !declared.cover(required(model, role)) {
        return Err(Error::new(format!("{name}: not declared in NEEDS")));
    }
    let sequences = batches
        .get(&(model, role))
        .ok_or_else(|| Error::new(format!("{name}: not given to the test rig")))?;
    let policy = batches.get(&(Model::Policy, role)).unwrap_or(sequences);
    let lengths = |batch: &Vec<Vec<f64>>| batch.iter().map(Vec::len).collect::<Vec<_>>();
    if lengths(policy) != lengths(sequences) || lengths(sequences).contains(&0) {
        return Err(Error::new(format!(
            "{name}: sequences need at least one token, and as many under the reference as under the policy"
        )));
    }
    Ok(sequences)
}
