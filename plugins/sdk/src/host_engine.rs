//! A step's tensors across the C boundary. It refuses to call a host that is older than the contract it was compiled against, and to
//! call any host after its step is over.
#![allow(unsafe_code, reason = "calls the host's C functions")]

use std::cell::Cell;

use harness_abi::{
    ABI_MAJOR, ABI_MINOR, Handle, HostTable, Level, Model, Operation, Role, Status, Text, TextSink,
};

use crate::engine::Engine;
use crate::export::append_text;
use crate::{Error, Result};

/// The host of the step in progress.
pub(crate) struct HostEngine {
    table: HostTable,
    step_in_progress: Cell<bool>,
}

/// Calls a host function while the step lasts, and yields `$refused` after it or where the host has no such function.
macro_rules! call {
    ($engine:ident.$function:ident($($argument:expr),*), else $refused:expr) => {
        match $engine.table.$function {
            Some(function) if $engine.step_in_progress.get() => {
                // SAFETY: `attach` checked the table; its step is in progress, and the engine is neither Send nor Sync, so this is the
                // step's thread. Pointers in the arguments are borrowed from slices that outlive the call.
                unsafe { function($engine.table.context, $($argument),*) }
            }
            _ => $refused,
        }
    };
}

impl HostEngine {
    /// Takes up the host of a step.
    ///
    /// # Safety
    /// `host` is null or points to a [`HostTable`] that is valid until [`HostEngine::detach`].
    pub(crate) unsafe fn attach(host: *const HostTable) -> Result<Self> {
        if host.is_null() || !host.is_aligned() {
            return Err(Error::new("the host passed no function table"));
        }
        // SAFETY: non-null and aligned; the caller vouches for the rest. The first three fields never change, and are read
        // before anything behind them.
        let (size, major, minor) =
            unsafe { ((*host).struct_size, (*host).abi_major, (*host).abi_minor) };
        if major != ABI_MAJOR || minor < ABI_MINOR || size < size_of::<HostTable>() {
            return Err(Error::new(format!(
                "the host speaks ABI {major}.{minor} (table of {size} bytes), this method was built for {ABI_MAJOR}.{ABI_MINOR}"
            )));
        }
        Ok(Self {
            // SAFETY: the table is at least as large as the one this crate knows.
            table: unsafe { *host },
            step_in_progress: Cell::new(true),
        })
    }

    /// Ends the step: tensors that the method kept no longer reach the host.
    pub(crate) fn detach(&self) {
        self.step_in_progress.set(false);
    }
}

impl Engine for HostEngine {
    fn token_logprobs(&self, model: Model, role: Role) -> Handle {
        call!(self.token_logprobs(model.code(), role.code()), else Handle::NONE)
    }

    fn answer_tokens(&self, role: Role) -> Handle {
        call!(self.answer_tokens(role.code()), else Handle::NONE)
    }

    fn sequence_sum(&self, role: Role, values: Handle) -> Handle {
        call!(self.sequence_sum(role.code(), values), else Handle::NONE)
    }

    fn apply(&self, operation: Operation, inputs: &[Handle], scalars: &[f64]) -> Handle {
        let (input, number) = (inputs.as_ptr(), scalars.as_ptr());
        call!(self.apply(operation.code(), input, inputs.len(), number, scalars.len()), else Handle::NONE)
    }

    fn constant(&self, values: &[f64], dimensions: &[usize]) -> Handle {
        let (value, dimension) = (values.as_ptr(), dimensions.as_ptr());
        call!(self.constant(value, values.len(), dimension, dimensions.len()), else Handle::NONE)
    }

    fn log_scalar(&self, name: &str, value: Handle) {
        // The host reports a failure at the end of the step.
        call!(self.log_scalar(Text::lend(name), value), else Status::ERROR);
    }

    fn log_message(&self, level: Level, text: &str) {
        call!(self.log_message(level.code(), Text::lend(text)), else Status::ERROR);
    }

    fn check(&self, handle: Handle) -> Result<()> {
        let mut reason = String::new();
        let sink = TextSink {
            context: (&raw mut reason).cast(),
            write: Some(append_text),
        };
        match call!(self.check(handle, sink), else Status::ERROR) {
            Status::OK => Ok(()),
            _ if reason.is_empty() => Err(Error::new("the tensor belongs to a step that is over")),
            _ => Err(Error::new(reason)),
        }
    }

    fn release(&self, handle: Handle) {
        call!(self.release(handle), else Status::ERROR);
    }
}
