//! What a run provides for a method that owns its loop, besides steps. It refuses to know handles, budgets and poison, which are the host's.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor, Var, bail};
use harness_abi::Level;
use serde_json::Value;

use crate::StepSource;

/// One tensor for each trainable parameter, by its name.
pub type ParameterMap = BTreeMap<String, Tensor>;

/// The run of a method that owns its loop. As a [`StepSource`] it answers for the batch that was drawn last, with the parameters as they are.
pub trait TrainingRun: StepSource {
    /// Draws the next batch of every role.
    fn next_batch(&self) -> Result<()>;

    /// The trainable parameters.
    fn parameters(&self) -> &BTreeMap<String, Var>;

    /// Which half of a low-rank adapter a parameter is, if it is one.
    fn adapter_half(&self, _parameter: &str) -> Option<AdapterHalf> {
        None
    }

    /// Gradients of a scalar by the parameters; those that it does not depend on are absent.
    fn gradients(&self, loss: &Tensor) -> Result<ParameterMap>;

    /// The parameters have other values now: what was computed from the old ones is void.
    fn parameters_changed(&self);

    /// The learning rate of the next optimiser step.
    fn learning_rate(&self) -> f64;

    /// Whether the run is to end soon.
    fn is_cancelled(&self) -> bool;

    /// An optimiser of all parameters; `options` is a JSON object.
    fn optimizer(&self, kind: &str, options: &Value) -> Result<Box<dyn ParameterOptimizer>>;

    /// Keeps a frozen copy of the model with these parameters under a code, which no other model of the run has or had.
    fn spawn(&self, _model: u32, _parameters: &ParameterMap) -> Result<()> {
        bail!("this run keeps no second models")
    }

    /// Forgets the model with that code.
    fn drop_model(&self, _model: u32) {}

    /// A step has ended; its optimiser steps, if any, are done.
    fn finish_step(&self, finished: FinishedStep) -> Result<()>;
}

/// An optimiser with its state.
pub trait ParameterOptimizer {
    /// Takes a step, or changes nothing; returns the joint norm of the gradients before clipping.
    fn step(&mut self, gradients: &ParameterMap, learning_rate: f64) -> Result<f64>;
}

/// A half of a low-rank adapter's product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterHalf {
    /// The one that the inputs meet first.
    Down,
    /// The one that starts at zero.
    Up,
}

/// What a method says of a step that it has finished.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedStep {
    /// The loss; finite.
    pub loss: f32,
    /// Scalars that the method logged, in order; each name once.
    pub logged: Vec<(String, f64)>,
    /// Messages for the user, in order.
    pub messages: Vec<(Level, String)>,
}
