//! A run's loop across the C boundary. It refuses to go on without the host's extension for it: every call fails with a word about that.
#![allow(unsafe_code, reason = "calls the host's C functions")]

use harness_abi::{Distribution, Handle, Operation, Status, TRAINER, Text, TextSink, TrainerTable};

use crate::engine::Loop;
use crate::export::append_text;
use crate::host_engine::HostEngine;
use crate::{Error, Result};

/// Calls a function of the extension while the method trains, and yields `$refused` after that or where the host has no such function.
macro_rules! call {
    ($engine:ident.$function:ident($($argument:expr),*), else $refused:expr) => {
        match $engine.extension::<TrainerTable>(TRAINER) {
            Some(TrainerTable { $function: Some(function), .. }) => {
                // SAFETY: the table is the host's, of this size at least, and takes its context while the method trains; pointers in
                // the arguments are borrowed from what outlives the call.
                unsafe { function($engine.context(), $($argument),*) }
            }
            _ => $refused,
        }
    };
}

/// What a call that returns a status came to, with the host's reason where it failed.
fn attempt(call: impl FnOnce(TextSink) -> Status) -> Result<()> {
    let mut reason = String::new();
    let sink = TextSink {
        context: (&raw mut reason).cast(),
        write: Some(append_text),
    };
    match call(sink) {
        Status::OK => Ok(()),
        _ if reason.is_empty() => Err(Error::new("the training is over")),
        _ => Err(Error::new(reason)),
    }
}

impl Loop for HostEngine {
    fn next_batch(&self) -> Result<()> {
        attempt(|reason| call!(self.next_batch(reason), else Status::ERROR))
    }

    fn steps_left(&self) -> u64 {
        call!(self.steps_left(), else 0)
    }

    fn cancelled(&self) -> bool {
        call!(self.cancelled(), else 1) != 0
    }

    fn learning_rate(&self) -> f64 {
        call!(self.learning_rate(), else f64::NAN)
    }

    fn gradients(&self, loss: Handle) -> Handle {
        call!(self.gradients(loss), else Handle::NONE)
    }

    fn weights(&self) -> Handle {
        call!(self.weights(), else Handle::NONE)
    }

    fn set_weights(&self, set: Handle) -> Result<()> {
        attempt(|reason| call!(self.set_weights(set, reason), else Status::ERROR))
    }

    fn update(&self, set: Handle, factor: f64) -> Result<()> {
        attempt(|reason| call!(self.update(set, factor, reason), else Status::ERROR))
    }

    fn scale_change(&self, since: Handle, factor: f64) -> Result<()> {
        attempt(|reason| call!(self.scale_change(since, factor, reason), else Status::ERROR))
    }

    fn combine(&self, operation: Operation, sets: &[Handle], scalars: &[f64]) -> Handle {
        let (set, number) = (sets.as_ptr(), scalars.as_ptr());
        call!(self.combine(operation.code(), set, sets.len(), number, scalars.len()), else Handle::NONE)
    }

    fn dot(&self, first: Handle, second: Handle) -> Result<f64> {
        let mut product = f64::NAN;
        attempt(
            |reason| call!(self.dot(first, second, &raw mut product, reason), else Status::ERROR),
        )?;
        Ok(product)
    }

    fn quantile(&self, set: Handle, share: f64) -> Result<f64> {
        let mut value = f64::NAN;
        attempt(
            |reason| call!(self.quantile(set, share, &raw mut value, reason), else Status::ERROR),
        )?;
        Ok(value)
    }

    fn select(&self, pattern: &str) -> Handle {
        call!(self.select(Text::lend(pattern)), else Handle::NONE)
    }

    fn random_set(&self, stream: u64, distribution: Distribution) -> Handle {
        call!(self.random(stream, distribution.code()), else Handle::NONE)
    }

    fn optimizer(&self, kind: &str, options: &str) -> Handle {
        call!(self.optimizer(Text::lend(kind), Text::lend(options)), else Handle::NONE)
    }

    fn optimizer_step(
        &self,
        optimizer: Handle,
        gradients: Handle,
        learning_rate: f64,
    ) -> Result<f64> {
        let mut norm = f64::NAN;
        attempt(
            |reason| call!(self.step(optimizer, gradients, learning_rate, &raw mut norm, reason), else Status::ERROR),
        )?;
        Ok(norm)
    }

    fn finish_step(&self, loss: Handle) -> Result<()> {
        attempt(|reason| call!(self.finish_step(loss, reason), else Status::ERROR))
    }

    fn spawn(&self, set: Handle) -> Result<u32> {
        let mut model = u32::MAX;
        attempt(|reason| call!(self.spawn(set, &raw mut model, reason), else Status::ERROR))?;
        Ok(model)
    }

    fn drop_model(&self, model: u32) -> Result<()> {
        attempt(|reason| call!(self.drop_model(model, reason), else Status::ERROR))
    }
}
