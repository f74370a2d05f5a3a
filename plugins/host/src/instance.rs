//! A method at work: asks it for the loss of a step, or lets it train, and judges what comes back. It refuses losses that training could not
//! use, and weights that are no numbers.
#![allow(unsafe_code, reason = "calls the method's C functions")]

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::NonNull;

use candle_core::Tensor;
use harness_abi::{Handle, HostTable, Level, Status, TextSink};

use crate::fault::Fault;
use crate::library::{Functions, Work, answer};
use crate::parameter_set::first_broken;
use crate::slots::Find;
use crate::step::Step;
use crate::training::Training;
use crate::{HostError, MethodDescription, StepSource, TrainingRun, callback, text};

/// An instance of a method with its options; it may keep state from step to step. Stays on the thread that made it.
#[derive(Debug)]
pub struct MethodInstance {
    functions: Functions,
    description: MethodDescription,
    pointer: NonNull<c_void>,
    panicked: Cell<bool>,
}

/// What one step came to.
#[derive(Debug)]
pub struct StepLoss {
    /// The loss, shape `[]`, f32, differentiable by what [`StepSource`] provided.
    pub loss: Tensor,
    /// Its value; finite.
    pub value: f32,
    /// Scalars that the method logged, in order; each name once.
    pub logged: Vec<(String, f64)>,
    /// Messages for the user, in order.
    pub messages: Vec<(Level, String)>,
}

/// What a method that owns its loop came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Steps that the method finished.
    pub finished_steps: u64,
    /// Messages for the user since the last of them, in order.
    pub messages: Vec<(Level, String)>,
}

impl MethodInstance {
    pub(crate) fn new(
        functions: Functions,
        description: MethodDescription,
        pointer: NonNull<c_void>,
    ) -> Self {
        Self {
            functions,
            description,
            pointer,
            panicked: Cell::new(false),
        }
    }

    /// Computes the loss of one step. Every handle of the step is void afterwards; the returned tensor keeps what its gradient needs.
    pub fn loss(&self, source: &dyn StepSource) -> Result<StepLoss, HostError> {
        let Work::Loss(loss) = self.functions.work else {
            return Err(self.other_tier("loss"));
        };
        let step = Step::new(source, &self.description);
        let mut handle = Handle::NONE;
        self.call("loss", &step, |instance, host, error| {
            // SAFETY: the function comes from a checked table, the instance from its `create`; host, place and sink last for the call.
            unsafe { loss(instance, host, &raw mut handle, error) }
        })?;
        self.judge(&step, handle)
    }

    /// Lets a method that owns its loop train. Every handle is void afterwards, and the parameters are what the method left: finite.
    pub fn train(&self, run: &dyn TrainingRun) -> Result<Trained, HostError> {
        let Work::Train(train) = self.functions.work else {
            return Err(self.other_tier("train"));
        };
        let step = Step::of_training(run, &self.description);
        self.call("train", &step, |instance, host, error| {
            // SAFETY: the function comes from a checked table, the instance from its `create`; host and sink last for the call.
            unsafe { train(instance, host, error) }
        })?;
        let plugin = || self.description.id.clone();
        let failure = step.training().and_then(Training::take_failure);
        if let Some(fault) = failure {
            return Err(fault.report(plugin(), "train"));
        }
        let log = step.take_log();
        let log = log.map_err(|fault| fault.report(plugin(), "train"))?;
        let broken = first_broken(
            run.parameters()
                .iter()
                .map(|(name, parameter)| (name, parameter.as_tensor())),
        );
        let broken = broken.map_err(|cause| Fault::new("weights", cause).report(plugin(), "train"));
        if let Some(parameter) = broken? {
            return Err(HostError::BrokenWeights {
                plugin: plugin(),
                parameter: parameter.to_owned(),
            });
        }
        Ok(Trained {
            finished_steps: step.training().map_or(0, Training::finished_steps),
            messages: log.messages,
        })
    }

    /// Calls the method's function of its tier.
    fn call(
        &self,
        function: &'static str,
        step: &Step<'_>,
        work: impl FnOnce(*mut c_void, *const HostTable, TextSink) -> Status,
    ) -> Result<(), HostError> {
        let plugin = &self.description.id;
        if self.panicked.get() {
            return Err(HostError::AfterPanic {
                plugin: plugin.clone(),
            });
        }
        let reply = text::receive(|_, error| {
            callback::serve(step, |host| work(self.pointer.as_ptr(), host, error))
        });
        let answered = answer(plugin, function, reply);
        self.panicked
            .set(matches!(answered, Err(HostError::Panic { .. })));
        // What the method made of a batch that the harness failed to provide is beside the point.
        step.source_failure()?;
        answered.map(drop)
    }

    fn other_tier(&self, function: &'static str) -> HostError {
        HostError::OtherTier {
            plugin: self.description.id.clone(),
            function,
        }
    }

    fn judge(&self, step: &Step<'_>, handle: Handle) -> Result<StepLoss, HostError> {
        let plugin = self.description.id.clone();
        let loss = match step.find(handle) {
            Find::Good(loss) => loss,
            Find::Poisoned(fault) => return Err(fault.report(plugin, "loss")),
            Find::Stale => {
                return Err(HostError::StaleHandle {
                    plugin,
                    handle: handle.0,
                });
            }
        };
        if loss.rank() != 0 {
            return Err(HostError::NonScalarLoss {
                plugin,
                shape: loss.dims().to_vec(),
            });
        }
        let value = loss
            .to_scalar::<f32>()
            .map_err(|source| HostError::Device {
                plugin: plugin.clone(),
                source,
            })?;
        if !value.is_finite() {
            return Err(HostError::NonFiniteLoss { plugin, value });
        }
        if step.is_differentiable() && !loss.track_op() {
            return Err(HostError::ConstantLoss { plugin });
        }
        let log = step
            .take_log()
            .map_err(|fault| fault.report(plugin, "loss"))?;
        Ok(StepLoss {
            loss,
            value,
            logged: log.scalars,
            messages: log.messages,
        })
    }
}

impl Drop for MethodInstance {
    fn drop(&mut self) {
        // SAFETY: the instance came from `create` and is given back once.
        unsafe { (self.functions.destroy)(self.pointer.as_ptr()) };
    }
}
