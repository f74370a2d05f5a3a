//! What a method that owns its loop sees of a run. It refuses tokens and single weights, like a step, and steps beyond the run's budget.

use std::rc::Rc;

use harness_abi::{Distribution, Handle, Level};

use crate::engine::Loop;
use crate::{ParameterSet, Result, Role, Step, Tensor};

/// A run: batches, gradients, parameters and optimisers, as many steps as the user allows.
pub struct Training {
    run: Rc<dyn Loop>,
}

impl Training {
    pub(crate) fn new(run: Rc<dyn Loop>) -> Self {
        Self { run }
    }

    /// Draws the next batch of the forget set and of every role in NEEDS. Tensors of the step before are void then.
    pub fn next_batch(&self) -> Result<Step> {
        self.run.next_batch()?;
        Ok(Step::new(Rc::clone(&self.run) as _))
    }

    /// Optimiser steps that the run still allows.
    pub fn steps_left(&self) -> u64 {
        self.run.steps_left()
    }

    /// Whether the run is to end soon; restore what is to be kept, and return.
    pub fn cancelled(&self) -> bool {
        self.run.cancelled()
    }

    /// The learning rate that the run's schedule has for the next optimiser step.
    pub fn learning_rate(&self) -> f64 {
        self.run.learning_rate()
    }

    /// Gradients of a scalar of the current step by all trainable parameters.
    #[must_use]
    pub fn gradients(&self, loss: &Tensor) -> ParameterSet {
        self.own(self.run.gradients(loss.handle()))
    }

    /// A copy of the parameters as they are now.
    #[must_use]
    pub fn weights(&self) -> ParameterSet {
        self.own(self.run.weights())
    }

    /// A frozen copy of the model with the parameters of `set`, to compare with in any step until it is dropped.
    pub fn spawn(&self, set: &ParameterSet) -> Result<SecondModel> {
        Ok(SecondModel {
            code: self.run.spawn(set.handle())?,
            run: Rc::clone(&self.run),
        })
    }

    /// Makes the parameters equal to `set`. As after every change of the weights, tensors of the current step become constants.
    pub fn set_weights(&self, set: &ParameterSet) -> Result<()> {
        self.run.set_weights(set.handle())
    }

    /// Adds `factor` times `set` to the parameters.
    pub fn update(&self, set: &ParameterSet, factor: f64) -> Result<()> {
        self.run.update(set.handle(), factor)
    }

    /// Makes what changed in the model since the parameters were `since` `factor` times as large: -1 turns it round. Also right for a
    /// low-rank adapter, if it had no effect in `since`.
    pub fn scale_change(&self, since: &ParameterSet, factor: f64) -> Result<()> {
        self.run.scale_change(since.handle(), factor)
    }

    /// Ones for the parameters whose whole name the regular expression matches, zeros for the others.
    #[must_use]
    pub fn select(&self, pattern: &str) -> ParameterSet {
        self.own(self.run.select(pattern))
    }

    /// Random numbers, uniform in [0, 1). A stream gives the same numbers whenever it is asked.
    #[must_use]
    pub fn uniform(&self, stream: u64) -> ParameterSet {
        self.own(self.run.random_set(stream, Distribution::Uniform))
    }

    /// Random numbers, normal with mean 0 and variance 1. A stream gives the same numbers whenever it is asked.
    #[must_use]
    pub fn normal(&self, stream: u64) -> ParameterSet {
        self.own(self.run.random_set(stream, Distribution::Normal))
    }

    /// An `AdamW` with the run's settings.
    pub fn adamw(&self) -> Result<Optimizer> {
        self.optimizer("adamw", "{}")
    }

    /// Gradient descent without momentum, clipped as the run says.
    pub fn sgd(&self) -> Result<Optimizer> {
        self.optimizer("sgd", "{}")
    }

    /// An optimiser of this kind with options of its own in JSON, as [`harness_abi::TrainerTable::optimizer`] lists them.
    pub fn optimizer(&self, kind: &str, options: &str) -> Result<Optimizer> {
        let handle = self.run.optimizer(kind, options);
        let optimizer = Optimizer {
            run: Rc::clone(&self.run),
            handle,
        };
        self.run.check(handle)?;
        Ok(optimizer)
    }

    /// Ends a step: a line of the run's log with the value of `loss`, what was logged, and the cost.
    pub fn finish_step(&self, loss: &Tensor) -> Result<()> {
        self.run.finish_step(loss.handle())
    }

    /// Fine-tunes on a role's answers with a new `AdamW`, `steps` steps long, or until the run's steps are used up; at a constant learning
    /// rate, or by the run's schedule.
    pub fn finetune(&self, role: Role, steps: u64, learning_rate: Option<f64>) -> Result<()> {
        let optimizer = self.adamw()?;
        for _ in 0..steps.min(self.steps_left()) {
            if self.cancelled() {
                break;
            }
            let loss = self.next_batch()?.nll(role);
            let rate = learning_rate.unwrap_or_else(|| self.learning_rate());
            optimizer.step(&self.gradients(&loss), rate)?;
            self.finish_step(&loss)?;
        }
        Ok(())
    }

    /// Tells the user something.
    pub fn info(&self, message: &str) {
        self.run.log_message(Level::Info, message);
    }

    /// Warns the user of something.
    pub fn warn(&self, message: &str) {
        self.run.log_message(Level::Warning, message);
    }

    fn own(&self, handle: Handle) -> ParameterSet {
        ParameterSet::new(Rc::clone(&self.run), handle)
    }
}

/// A frozen model beside the trained one. Its memory goes with it.
pub struct SecondModel {
    run: Rc<dyn Loop>,
    code: u32,
}

impl SecondModel {
    pub(crate) const fn code(&self) -> u32 {
        self.code
    }
}

impl Drop for SecondModel {
    fn drop(&mut self) {
        // Refused only once the training is over, when the host has dropped it.
        let _ = self.run.drop_model(self.code);
    }
}

/// An optimiser with its state, of all trainable parameters.
pub struct Optimizer {
    run: Rc<dyn Loop>,
    handle: Handle,
}

impl Optimizer {
    /// Takes a step along `gradients`; returns their joint norm before clipping.
    pub fn step(&self, gradients: &ParameterSet, learning_rate: f64) -> Result<f64> {
        let gradients = gradients.handle();
        self.run
            .optimizer_step(self.handle, gradients, learning_rate)
    }
}

impl Drop for Optimizer {
    fn drop(&mut self) {
        self.run.release(self.handle);
    }
}
