//! A step's tensors across the C boundary. It refuses to call a host that is older than the contract it was compiled against, and to
//! call any host after its step is over.
#![allow(unsafe_code, reason = "calls the host's C functions")]

use std::cell::Cell;
use std::ffi::c_void;

use harness_abi::{
    ABI_MAJOR, ABI_MINOR, Distribution, HIDDEN_STATES, Handle, HiddenStates, HostTable, Level,
    Model, Operation, Positions, Progress, Role, Status, TRAINER, Text, TextSink, TrainerTable,
};

use crate::engine::{Engine, Question};
use crate::export::append_text;
use crate::{Error, Result};

/// Room for this many values is tried first when a tensor is read, then 64 times as many until they fit.
const READ_AT_FIRST: usize = 64;
/// No host makes larger tensors of what it lets methods read.
const READ_AT_MOST: usize = 1 << 24;

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
        let is_older = minor.checked_sub(ABI_MINOR).is_none();
        if major != ABI_MAJOR || is_older || size < size_of::<HostTable>() {
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

    /// The host's extension of that name, while the step lasts, whose table is a `T` and begins with its size.
    pub(crate) fn extension<T: Copy>(&self, name: &str) -> Option<T> {
        let table = call!(self.extension(Text::lend(name)), else std::ptr::null());
        let table = table.cast::<T>();
        if table.is_null() || !table.is_aligned() {
            return None;
        }
        // SAFETY: the table is the host's and valid during the step; it begins with its size.
        let size = unsafe { table.cast::<usize>().read() };
        // SAFETY: it is at least as large as the one this crate knows.
        (size >= size_of::<T>()).then(|| unsafe { *table })
    }

    /// What the host's functions take first.
    pub(crate) fn context(&self) -> *mut c_void {
        self.table.context
    }

    /// Ends the step: tensors that the method kept no longer reach the host.
    pub(crate) fn detach(&self) {
        self.step_in_progress.set(false);
    }
}

impl Engine for HostEngine {
    fn token_logprobs(&self, model: u32, role: Role) -> Handle {
        call!(self.token_logprobs(model, role.code()), else Handle::NONE)
    }

    fn position_counts(&self, role: Role, positions: Positions) -> Handle {
        call!(self.position_counts(role.code(), positions.code()), else Handle::NONE)
    }

    fn sequence_sum(&self, role: Role, positions: Positions, values: Handle) -> Handle {
        call!(self.sequence_sum(role.code(), positions.code(), values), else Handle::NONE)
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
            _ if reason.is_empty() => Err(Error::new("its step or training is over")),
            _ => Err(Error::new(reason)),
        }
    }

    fn release(&self, handle: Handle) {
        call!(self.release(handle), else Status::ERROR);
    }

    fn measure(&self, asked: &Question) -> Handle {
        let codes = (
            asked.measure.code(),
            asked.role.code(),
            asked.positions.code(),
        );
        call!(self.measure(codes.0, codes.1, codes.2, asked.teacher, asked.shift, asked.stand_in),
            else Handle::NONE)
    }

    fn contrast_cross_entropy(
        &self,
        role: Role,
        positions: Positions,
        [teacher, second]: [u32; 2],
        alpha: f64,
    ) -> Handle {
        let function = self
            .extension::<TrainerTable>(TRAINER)
            .and_then(|table| table.contrast_cross_entropy);
        let (context, role, positions) = (self.table.context, role.code(), positions.code());
        // SAFETY: the table's function takes its context, during the step.
        function.map_or(Handle::NONE, |function| unsafe {
            function(context, role, positions, teacher, second, alpha)
        })
    }

    fn read(&self, handle: Handle) -> Result<Vec<f64>> {
        self.check(handle)?;
        let (mut capacity, mut length) = (READ_AT_FIRST, 0);
        loop {
            let mut values = vec![0.0; capacity];
            if call!(self.read(handle, values.as_mut_ptr(), capacity, &raw mut length), else Status::PANIC)
                == Status::OK
            {
                values.truncate(length);
                return Ok(values);
            }
            if capacity >= READ_AT_MOST {
                return Err(Error::new("the tensor's values cannot be read"));
            }
            capacity *= 64;
        }
    }

    fn random(&self, stream: u64, distribution: Distribution, dimensions: &[usize]) -> Handle {
        let (dimension, rank) = (dimensions.as_ptr(), dimensions.len());
        call!(self.random(stream, distribution.code(), dimension, rank), else Handle::NONE)
    }

    fn progress(&self, quantity: Progress) -> f64 {
        call!(self.progress(quantity.code()), else f64::NAN)
    }

    fn hidden_width(&self) -> Option<usize> {
        // SAFETY: the table's function takes its context, during the step.
        let width =
            unsafe { self.extension::<HiddenStates>(HIDDEN_STATES)?.width?(self.table.context) };
        (width > 0).then_some(width)
    }

    fn squared_distance(
        &self,
        role: Role,
        positions: Positions,
        layer: u32,
        target: Handle,
    ) -> Handle {
        let function = self
            .extension::<HiddenStates>(HIDDEN_STATES)
            .and_then(|table| table.squared_distance);
        let (context, role, positions) = (self.table.context, role.code(), positions.code());
        // SAFETY: the table's function takes its context, during the step.
        function.map_or(Handle::NONE, |function| unsafe {
            function(context, role, positions, layer, target)
        })
    }

    fn hidden_length(&self, model: Model, role: Role, positions: Positions, layer: u32) -> Handle {
        let function = self
            .extension::<HiddenStates>(HIDDEN_STATES)
            .and_then(|table| table.length);
        let (context, model) = (self.table.context, model.code());
        let (role, positions) = (role.code(), positions.code());
        // SAFETY: the table's function takes its context, during the step.
        function.map_or(Handle::NONE, |function| unsafe {
            function(context, model, role, positions, layer)
        })
    }
}
