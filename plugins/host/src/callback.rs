//! The C functions that a method calls during a step. It refuses garbage: a wrong context, a call from another thread or after the step,
//! null pointers and unknown codes come back as errors, and a panic of the harness's own code waits until the method has returned.
#![allow(unsafe_code, reason = "implements the C side of the contract")]

mod optional;
mod trainer;

use std::cell::Cell;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;

use harness_abi::{
    ABI_MAJOR, ABI_MINOR, Handle, HostTable, Level, Operation, Positions, Role, Status, Text,
    TextSink,
};

use candle_core::Tensor;

use crate::error::plain;
use crate::fault::Fault;
use crate::source::Model;
use crate::step::Step;
use crate::text::{self, read_slice};

/// Most inputs and numbers of an operation; more are taken for garbage.
const MAX_INPUTS: usize = 8;
/// Most dimensions of a constant.
const MAX_RANK: usize = 8;
/// Most values of a constant.
const MAX_VALUES: usize = 1 << 24;

thread_local! {
    /// The step that this thread serves. The context that crosses the boundary is only its number, so that a made-up one leads nowhere.
    static CURRENT: Cell<Option<NonNull<Step<'static>>>> = const { Cell::new(None) };
}

/// Restores the step that was served before, however the call ends.
struct Served(Option<NonNull<Step<'static>>>);

impl Drop for Served {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Serves `step` to whoever `call` passes the table to, until it returns.
pub(crate) fn serve<R>(step: &Step<'_>, call: impl FnOnce(*const HostTable) -> R) -> R {
    let table = table(step);
    let served = Served(CURRENT.replace(Some(NonNull::from(step).cast())));
    let returned = call(&raw const table);
    drop(served);
    if let Some(payload) = step.take_panic() {
        resume_unwind(payload);
    }
    returned
}

fn table(step: &Step<'_>) -> HostTable {
    HostTable {
        struct_size: size_of::<HostTable>(),
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        context: std::ptr::without_provenance_mut(step.call() as usize),
        token_logprobs: Some(token_logprobs),
        position_counts: Some(position_counts),
        sequence_sum: Some(sequence_sum),
        apply: Some(apply),
        constant: Some(constant),
        log_scalar: Some(log_scalar),
        log_message: Some(log_message),
        check: Some(check),
        release: Some(release),
        measure: Some(optional::measure),
        read: Some(optional::read),
        random: Some(optional::random),
        progress: Some(optional::progress),
        extension: Some(optional::extension),
    }
}

/// Runs `work` on the step that `context` names, if this thread serves it; `refused` otherwise.
fn with_step<R>(context: *mut c_void, refused: R, work: impl FnOnce(&Step<'_>) -> R) -> R {
    let Some(current) = CURRENT.try_with(Cell::get).ok().flatten() else {
        return refused;
    };
    // SAFETY: `serve` set it to a step that outlives the call in progress, and clears it before that ends.
    let step = unsafe { current.as_ref() };
    if context.addr() != step.call() as usize {
        return refused;
    }
    catch_unwind(AssertUnwindSafe(|| work(step))).unwrap_or_else(|payload| {
        step.keep_panic(payload);
        refused
    })
}

/// Runs `work` and issues a handle for its result, poisoned or not.
fn issue(context: *mut c_void, work: impl FnOnce(&Step<'_>) -> Result<Tensor, Fault>) -> Handle {
    with_step(context, Handle::NONE, |step| step.issue(work(step)))
}

fn role(operation: &str, code: u32) -> Result<Role, Fault> {
    Role::from_code(code).ok_or_else(|| unknown(operation, "role", code))
}

fn model_of(operation: &str, code: u32) -> Result<Model, Fault> {
    Model::from_code(code).ok_or_else(|| unknown(operation, "model", code))
}

fn positions_of(operation: &str, code: u32) -> Result<Positions, Fault> {
    Positions::from_code(code).ok_or_else(|| unknown(operation, "positions", code))
}

fn unknown(operation: &str, what: &str, code: u32) -> Fault {
    let cause =
        format!("{what} code {code} is unknown to this harness (ABI {ABI_MAJOR}.{ABI_MINOR})");
    Fault::new(operation, cause)
}

unsafe extern "C" fn token_logprobs(context: *mut c_void, model: u32, role_code: u32) -> Handle {
    const NAME: &str = "token_logprobs";
    issue(context, |step| {
        let model = model_of(NAME, model)?;
        step.token_logprobs(model, role(NAME, role_code)?)
    })
}

unsafe extern "C" fn position_counts(
    context: *mut c_void,
    role_code: u32,
    positions: u32,
) -> Handle {
    const NAME: &str = "position_counts";
    issue(context, |step| {
        step.position_counts(role(NAME, role_code)?, positions_of(NAME, positions)?)
    })
}

unsafe extern "C" fn sequence_sum(
    context: *mut c_void,
    role_code: u32,
    positions: u32,
    values: Handle,
) -> Handle {
    const NAME: &str = "sequence_sum";
    issue(context, |step| {
        step.sequence_sum(
            role(NAME, role_code)?,
            positions_of(NAME, positions)?,
            values,
        )
    })
}

unsafe extern "C" fn apply(
    context: *mut c_void,
    operation: u32,
    inputs: *const Handle,
    inputs_length: usize,
    scalars: *const f64,
    scalars_length: usize,
) -> Handle {
    issue(context, |step| {
        let operation = Operation::from_code(operation)
            .ok_or_else(|| unknown(&format!("operation {operation}"), "operation", operation))?;
        let garbage = || {
            Fault::new(
                operation.name(),
                "its arrays are null, misaligned or too long",
            )
        };
        // SAFETY: a method lends valid arrays for the duration of the call.
        let inputs =
            unsafe { read_slice(inputs, inputs_length, MAX_INPUTS) }.ok_or_else(garbage)?;
        // SAFETY: likewise.
        let scalars =
            unsafe { read_slice(scalars, scalars_length, MAX_INPUTS) }.ok_or_else(garbage)?;
        let computed = step.apply(operation, inputs, scalars)?;
        if operation != Operation::Detach {
            return Ok(computed);
        }
        let held = step.source().held(computed);
        held.map_err(|error| Fault::new(operation.name(), plain(&error)))
    })
}

unsafe extern "C" fn constant(
    context: *mut c_void,
    values: *const f64,
    values_length: usize,
    dimensions: *const usize,
    rank: usize,
) -> Handle {
    issue(context, |step| {
        let garbage = || Fault::new("constant", "its arrays are null, misaligned or too long");
        // SAFETY: a method lends valid arrays for the duration of the call.
        let values =
            unsafe { read_slice(values, values_length, MAX_VALUES) }.ok_or_else(garbage)?;
        // SAFETY: likewise.
        let dimensions = unsafe { read_slice(dimensions, rank, MAX_RANK) }.ok_or_else(garbage)?;
        if count_of(dimensions) != Some(values.len()) {
            let cause = format!("shape {dimensions:?} does not fit {} values", values.len());
            return Err(Fault::new("constant", cause));
        }
        step.constant(values, dimensions)
    })
}

/// Number of values of a shape, if it can be written down.
fn count_of(dimensions: &[usize]) -> Option<usize> {
    dimensions
        .iter()
        .try_fold(1, |count: usize, &size| count.checked_mul(size))
}

unsafe extern "C" fn log_scalar(context: *mut c_void, name: Text, value: Handle) -> Status {
    with_step(context, Status::ERROR, |step| {
        // SAFETY: a method lends valid text for the duration of the call.
        let name = unsafe { text::read(name) }.unwrap_or_default();
        status(step.log_scalar(name, value).is_ok())
    })
}

unsafe extern "C" fn log_message(context: *mut c_void, level: u32, message: Text) -> Status {
    with_step(context, Status::ERROR, |step| {
        // SAFETY: a method lends valid text for the duration of the call.
        let Some(message) = (unsafe { text::read(message) }) else {
            return Status::ERROR;
        };
        step.log_message(Level::from_code(level).unwrap_or(Level::Warning), message);
        Status::OK
    })
}

unsafe extern "C" fn check(context: *mut c_void, handle: Handle, reason: TextSink) -> Status {
    with_step(context, Status::ERROR, |step| {
        let Some(cause) = step.complaint(handle) else {
            return Status::OK;
        };
        // SAFETY: a method's sink is valid for the duration of the call.
        unsafe { text::send(reason, &cause) };
        Status::ERROR
    })
}

unsafe extern "C" fn release(context: *mut c_void, handle: Handle) -> Status {
    with_step(context, Status::ERROR, |step| status(step.release(handle)))
}

fn status(good: bool) -> Status {
    if good { Status::OK } else { Status::ERROR }
}
