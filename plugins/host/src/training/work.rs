//! What a training does with its sets and its step: gradients, changes of the weights, optimiser steps. It refuses numbers that are not finite.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::Tensor;
use harness_abi::{Handle, Operation};

use super::{OPTIMIZER, SET, Training, named, provided};
use crate::fault::Fault;
use crate::parameter_set;
use crate::slots::Find;
use crate::step::Step;
use crate::training_run::{AdapterHalf, FinishedStep, ParameterMap};

impl Step<'_> {
    fn set(
        &self,
        training: &Training<'_>,
        operation: &str,
        handle: Handle,
    ) -> Result<Arc<ParameterMap>, Fault> {
        match training.sets.borrow().find(handle) {
            Find::Good(set) => Ok(set),
            Find::Poisoned(fault) => Err(fault),
            Find::Stale => Err(self.wrong_kind(operation, handle, SET)),
        }
    }

    pub(crate) fn next_batch(&self, training: &Training<'_>) -> Result<(), Fault> {
        provided("next_batch", training.run.next_batch())?;
        training.has_batch.set(true);
        self.forget_batch();
        Ok(())
    }

    pub(crate) fn gradients(
        &self,
        training: &Training<'_>,
        loss: Handle,
    ) -> Result<ParameterMap, Fault> {
        const NAME: &str = "gradients";
        let loss = self.input(NAME, loss)?;
        finite_scalar(NAME, &loss)?;
        if !loss.track_op() {
            let cause = "the loss is a constant: it was detached, or the weights have changed since it was computed";
            return Err(Fault::new(NAME, cause));
        }
        let gradients = provided(NAME, training.run.gradients(&loss))?;
        named(
            NAME,
            parameter_set::complete(training.run.parameters(), &gradients),
        )
    }

    /// The code of a new frozen model with these parameters.
    pub(crate) fn spawn(&self, training: &Training<'_>, set: Handle) -> Result<u32, Fault> {
        const NAME: &str = "spawn";
        let set = self.finite_set(training, NAME, set)?;
        let code = training.next_model.get();
        provided(NAME, training.run.spawn(code, &set))?;
        training.next_model.set(code + 1);
        training.models.borrow_mut().insert(code);
        Ok(code)
    }

    pub(crate) fn set_weights(&self, training: &Training<'_>, set: Handle) -> Result<(), Fault> {
        const NAME: &str = "set_weights";
        let set = self.finite_set(training, NAME, set)?;
        self.assign(training, NAME, |name, _| Ok(Some(set[name].clone())))
    }

    pub(crate) fn update(
        &self,
        training: &Training<'_>,
        set: Handle,
        factor: f64,
    ) -> Result<(), Fault> {
        const NAME: &str = "update";
        finite_factor(NAME, factor)?;
        let set = self.finite_set(training, NAME, set)?;
        self.assign(training, NAME, |name, weight| {
            (weight + set[name].affine(factor, 0.0)?).map(Some)
        })
    }

    pub(crate) fn scale_change(
        &self,
        training: &Training<'_>,
        since: Handle,
        factor: f64,
    ) -> Result<(), Fault> {
        const NAME: &str = "scale_change";
        finite_factor(NAME, factor)?;
        let since = self.finite_set(training, NAME, since)?;
        let half = |name: &str| training.run.adapter_half(name);
        for (name, start) in since.iter() {
            if half(name) == Some(AdapterHalf::Up) {
                let size = provided(NAME, start.abs().and_then(|start| start.sum_all()))?;
                let size = provided(NAME, size.to_scalar::<f32>())?;
                if size != 0.0 {
                    let cause = format!(
                        "the adapter already had an effect then ({name} was not zero), so its change is no product of its halves"
                    );
                    return Err(Fault::new(NAME, cause));
                }
            }
        }
        let halves: BTreeMap<&str, _> = since
            .keys()
            .map(|name| (name.as_str(), half(name)))
            .collect();
        self.assign(training, NAME, |name, weight| match halves[name] {
            None => (&since[name] + (weight - &since[name])?.affine(factor, 0.0)?).map(Some),
            Some(AdapterHalf::Down) => Ok(None),
            Some(AdapterHalf::Up) => weight.affine(factor, 0.0).map(Some),
        })
    }

    fn assign(
        &self,
        training: &Training<'_>,
        operation: &str,
        value: impl Fn(&str, &Tensor) -> candle_core::Result<Option<Tensor>> + Sync,
    ) -> Result<(), Fault> {
        let assigned = parameter_set::assign(training.run.parameters(), value);
        self.weights_changed(training);
        named(operation, assigned)
    }

    fn weights_changed(&self, training: &Training<'_>) {
        training.run.parameters_changed();
        self.forget_gradients();
    }

    fn finite_set(
        &self,
        training: &Training<'_>,
        operation: &str,
        handle: Handle,
    ) -> Result<Arc<ParameterMap>, Fault> {
        let set = self.set(training, operation, handle)?;
        match named(operation, parameter_set::first_broken(set.iter()))? {
            None => Ok(set),
            Some(name) => {
                let cause = format!("the set has values that are not finite, first in {name}");
                Err(Fault::new(operation, cause))
            }
        }
    }

    pub(crate) fn combine(
        &self,
        training: &Training<'_>,
        operation: Operation,
        sets: &[Handle],
        scalars: &[f64],
    ) -> Result<ParameterMap, Fault> {
        let name = operation.name();
        let set = |&handle: &Handle| self.set(training, name, handle);
        let sets: Vec<Arc<ParameterMap>> = sets.iter().map(set).collect::<Result<_, _>>()?;
        let sets: Vec<&ParameterMap> = sets.iter().map(Arc::as_ref).collect();
        named(name, parameter_set::combine(operation, &sets, scalars))
    }

    pub(crate) fn dot(
        &self,
        training: &Training<'_>,
        first: Handle,
        second: Handle,
    ) -> Result<f64, Fault> {
        const NAME: &str = "dot";
        let (first, second) = (
            self.set(training, NAME, first)?,
            self.set(training, NAME, second)?,
        );
        named(NAME, parameter_set::dot(&first, &second))
    }

    pub(crate) fn quantile(
        &self,
        training: &Training<'_>,
        set: Handle,
        share: f64,
    ) -> Result<f64, Fault> {
        const NAME: &str = "quantile";
        let set = self.set(training, NAME, set)?;
        named(NAME, parameter_set::quantile(&set, share))
    }

    pub(crate) fn optimizer_step(
        &self,
        training: &Training<'_>,
        (optimizer, gradients): (Handle, Handle),
        learning_rate: f64,
    ) -> Result<f64, Fault> {
        const NAME: &str = "step";
        training.require_step(NAME, &training.optimizer_steps)?;
        if !(learning_rate.is_finite() && learning_rate >= 0.0) {
            let cause = format!("its learning rate is {learning_rate}");
            return Err(Fault::new(NAME, cause));
        }
        let optimizer = match training.optimizers.borrow().find(optimizer) {
            Find::Good(optimizer) => optimizer,
            Find::Poisoned(fault) => return Err(fault),
            Find::Stale => return Err(self.wrong_kind(NAME, optimizer, OPTIMIZER)),
        };
        let gradients = self.set(training, NAME, gradients)?;
        let norm = optimizer.borrow_mut().step(&gradients, learning_rate);
        let norm = provided(NAME, norm)?;
        training
            .optimizer_steps
            .set(training.optimizer_steps.get() + 1);
        self.weights_changed(training);
        Ok(norm)
    }

    pub(crate) fn finish_step(&self, training: &Training<'_>, loss: Handle) -> Result<(), Fault> {
        const NAME: &str = "finish_step";
        training.require_step(NAME, &training.finished_steps)?;
        let loss = finite_scalar(NAME, &self.input(NAME, loss)?)?;
        let log = self.take_log()?;
        let finished = FinishedStep {
            loss,
            logged: log.scalars,
            messages: log.messages,
        };
        provided(NAME, training.run.finish_step(finished))?;
        training
            .finished_steps
            .set(training.finished_steps.get() + 1);
        Ok(())
    }
}

fn finite_factor(operation: &str, factor: f64) -> Result<(), Fault> {
    if factor.is_finite() {
        return Ok(());
    }
    Err(Fault::new(operation, format!("its factor is {factor}")))
}

fn finite_scalar(operation: &str, tensor: &Tensor) -> Result<f32, Fault> {
    if tensor.rank() != 0 {
        let cause = format!(
            "the loss has shape {:?}, expected a scalar; reduce it with mean or sum",
            tensor.dims()
        );
        return Err(Fault::new(operation, cause));
    }
    let value = provided(operation, tensor.to_scalar::<f32>())?;
    if value.is_finite() {
        return Ok(value);
    }
    let cause =
        format!("the loss is {value}; the run has diverged or the formula leaves its domain");
    Err(Fault::new(operation, cause))
}
