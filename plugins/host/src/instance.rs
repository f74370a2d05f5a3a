//! A method at work: asks it for the loss of a step and judges what comes back. It refuses losses that training could not use.
#![allow(unsafe_code, reason = "calls the method's C functions")]

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::NonNull;

use candle_core::Tensor;
use harness_abi::{Handle, Level};

use crate::fault::Find;
use crate::library::{Functions, answer};
use crate::step::Step;
use crate::{HostError, MethodDescription, StepSource, callback, text};

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
        let plugin = &self.description.id;
        if self.panicked.get() {
            return Err(HostError::AfterPanic {
                plugin: plugin.clone(),
            });
        }
        let step = Step::new(source, &self.description);
        let mut handle = Handle::NONE;
        let reply = text::receive(|_, error| {
            callback::serve(&step, |host| {
                let instance = self.pointer.as_ptr();
                // SAFETY: the function comes from a checked table, the instance from its `create`; host, place and sink last for the call.
                unsafe { (self.functions.loss)(instance, host, &raw mut handle, error) }
            })
        });
        let answered = answer(plugin, "loss", reply);
        self.panicked
            .set(matches!(answered, Err(HostError::Panic { .. })));
        // What the method made of a batch that the harness failed to provide is beside the point.
        step.source_failure()?;
        answered?;
        self.judge(step, handle)
    }

    fn judge(&self, step: Step<'_>, handle: Handle) -> Result<StepLoss, HostError> {
        let plugin = self.description.id.clone();
        let loss = match step.find(handle) {
            Find::Tensor(loss) => loss,
            Find::Poisoned(fault) => return Err(fault.report(plugin)),
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
        let log = step.into_log().map_err(|fault| fault.report(plugin))?;
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
