//! The C functions of methods that own their loop. It refuses garbage like its parent, and every call outside of `train`.

use std::ffi::c_void;

use harness_abi::{Distribution, Handle, Measure, Operation, Status, Text, TextSink, TrainerTable};

use super::{MAX_INPUTS, issue as issue_tensor, model_of, positions_of, role, unknown, with_step};
use crate::fault::Fault;
use crate::source::MeasureRequest;
use crate::step::Step;
use crate::text::{self, read_slice};
use crate::training::Training;
use crate::training_run::ParameterMap;

pub(super) static TABLE: TrainerTable = TrainerTable {
    struct_size: size_of::<TrainerTable>(),
    next_batch: Some(next_batch),
    steps_left: Some(steps_left),
    cancelled: Some(cancelled),
    learning_rate: Some(learning_rate),
    gradients: Some(gradients),
    weights: Some(weights),
    set_weights: Some(set_weights),
    update: Some(update),
    scale_change: Some(scale_change),
    combine: Some(combine),
    dot: Some(dot),
    quantile: Some(quantile),
    select: Some(select),
    random: Some(random),
    optimizer: Some(optimizer),
    step: Some(step),
    finish_step: Some(finish_step),
    spawn: Some(spawn),
    drop_model: Some(drop_model),
    contrast_cross_entropy: Some(contrast_cross_entropy),
};

/// Runs `work` on the training that `context` names; `refused` where there is none.
fn with_training<R>(
    context: *mut c_void,
    refused: R,
    work: impl FnOnce(&Step<'_>, &Training<'_>) -> Option<R>,
) -> R
where
    R: Copy,
{
    with_step(context, refused, |step| {
        let training = step.training();
        training
            .and_then(|training| work(step, training))
            .unwrap_or(refused)
    })
}

/// Runs `work` and issues a handle of a set for its result, poisoned or not.
fn issue(
    context: *mut c_void,
    work: impl FnOnce(&Step<'_>, &Training<'_>) -> Result<ParameterMap, Fault>,
) -> Handle {
    with_training(context, Handle::NONE, |step, training| {
        Some(training.issue_set(work(step, training)))
    })
}

/// Runs `work`; a failure is kept, and told to the method.
fn attempt(
    context: *mut c_void,
    reason: TextSink,
    work: impl FnOnce(&Step<'_>, &Training<'_>) -> Result<(), Fault>,
) -> Status {
    with_training(context, Status::ERROR, |step, training| {
        let fault = match work(step, training) {
            Ok(()) => return Some(Status::OK),
            Err(fault) => fault,
        };
        training.keep_failure(&fault);
        // SAFETY: a method's sink is valid for the duration of the call.
        unsafe { text::send(reason, &fault.to_string()) };
        None
    })
}

/// Like [`attempt`], for work that comes to a number, which goes to `place`.
fn measure<N>(
    context: *mut c_void,
    operation: &str,
    (place, reason): (*mut N, TextSink),
    work: impl FnOnce(&Step<'_>, &Training<'_>) -> Result<N, Fault>,
) -> Status {
    attempt(context, reason, |step, training| {
        if place.is_null() || !place.is_aligned() {
            let cause = "the place for its number is null or misaligned";
            return Err(Fault::new(operation, cause));
        }
        let number = work(step, training)?;
        // SAFETY: non-null and aligned; the method lends it for the call.
        unsafe { place.write(number) };
        Ok(())
    })
}

unsafe extern "C" fn next_batch(context: *mut c_void, reason: TextSink) -> Status {
    attempt(context, reason, |step, training| {
        step.next_batch(training)?;
        Ok(())
    })
}

unsafe extern "C" fn steps_left(context: *mut c_void) -> u64 {
    with_training(context, 0, |_, training| Some(training.steps_left()))
}

unsafe extern "C" fn cancelled(context: *mut c_void) -> u32 {
    with_training(context, 1, |_, training| {
        Some(u32::from(training.run().is_cancelled()))
    })
}

unsafe extern "C" fn learning_rate(context: *mut c_void) -> f64 {
    with_training(context, f64::NAN, |_, training| {
        Some(training.run().learning_rate())
    })
}

unsafe extern "C" fn gradients(context: *mut c_void, loss: Handle) -> Handle {
    issue(context, |step, training| step.gradients(training, loss))
}

unsafe extern "C" fn weights(context: *mut c_void) -> Handle {
    issue(context, |_, training| training.weights())
}

unsafe extern "C" fn set_weights(context: *mut c_void, set: Handle, reason: TextSink) -> Status {
    attempt(context, reason, |step, training| {
        step.set_weights(training, set)
    })
}

unsafe extern "C" fn update(
    context: *mut c_void,
    set: Handle,
    factor: f64,
    reason: TextSink,
) -> Status {
    attempt(context, reason, |step, training| {
        step.update(training, set, factor)
    })
}

unsafe extern "C" fn scale_change(
    context: *mut c_void,
    since: Handle,
    factor: f64,
    reason: TextSink,
) -> Status {
    attempt(context, reason, |step, training| {
        step.scale_change(training, since, factor)
    })
}

unsafe extern "C" fn combine(
    context: *mut c_void,
    operation: u32,
    sets: *const Handle,
    sets_length: usize,
    scalars: *const f64,
    scalars_length: usize,
) -> Handle {
    issue(context, |step, training| {
        let operation = Operation::from_code(operation)
            .ok_or_else(|| unknown(&format!("operation {operation}"), "operation", operation))?;
        let garbage = || {
            let cause = "its arrays are null, misaligned or too long";
            Fault::new(operation.name(), cause)
        };
        // SAFETY: a method lends valid arrays for the duration of the call.
        let sets = unsafe { read_slice(sets, sets_length, MAX_INPUTS) }.ok_or_else(garbage)?;
        // SAFETY: likewise.
        let scalars =
            unsafe { read_slice(scalars, scalars_length, MAX_INPUTS) }.ok_or_else(garbage)?;
        step.combine(training, operation, sets, scalars)
    })
}

unsafe extern "C" fn dot(
    context: *mut c_void,
    first: Handle,
    second: Handle,
    product: *mut f64,
    reason: TextSink,
) -> Status {
    measure(context, "dot", (product, reason), |step, training| {
        step.dot(training, first, second)
    })
}

unsafe extern "C" fn quantile(
    context: *mut c_void,
    set: Handle,
    share: f64,
    value: *mut f64,
    reason: TextSink,
) -> Status {
    measure(context, "quantile", (value, reason), |step, training| {
        step.quantile(training, set, share)
    })
}

unsafe extern "C" fn select(context: *mut c_void, pattern: Text) -> Handle {
    issue(context, |_, training| {
        // SAFETY: a method lends valid text for the duration of the call.
        let pattern = unsafe { text::read(pattern) };
        let pattern =
            pattern.ok_or_else(|| Fault::new("select", "its pattern is null or too long"))?;
        training.select(&pattern)
    })
}

unsafe extern "C" fn random(context: *mut c_void, stream: u64, distribution: u32) -> Handle {
    issue(context, |_, training| {
        let known = Distribution::from_code(distribution)
            .ok_or_else(|| unknown("random", "distribution", distribution))?;
        training.draw(stream, known)
    })
}

unsafe extern "C" fn optimizer(context: *mut c_void, kind: Text, options: Text) -> Handle {
    with_training(context, Handle::NONE, |_, training| {
        // SAFETY: a method lends valid text for the duration of the call.
        let (kind, options) = unsafe { (text::read(kind), text::read(options)) };
        Some(training.issue_optimizer(&kind.unwrap_or_default(), &options.unwrap_or_default()))
    })
}

unsafe extern "C" fn step(
    context: *mut c_void,
    optimizer: Handle,
    gradients: Handle,
    learning_rate: f64,
    norm: *mut f64,
    reason: TextSink,
) -> Status {
    measure(context, "step", (norm, reason), |step, training| {
        step.optimizer_step(training, (optimizer, gradients), learning_rate)
    })
}

unsafe extern "C" fn finish_step(context: *mut c_void, loss: Handle, reason: TextSink) -> Status {
    attempt(context, reason, |step, training| {
        step.finish_step(training, loss)
    })
}

unsafe extern "C" fn spawn(
    context: *mut c_void,
    set: Handle,
    model: *mut u32,
    reason: TextSink,
) -> Status {
    measure(context, "spawn", (model, reason), |step, training| {
        step.spawn(training, set)
    })
}

unsafe extern "C" fn drop_model(context: *mut c_void, model: u32, reason: TextSink) -> Status {
    attempt(context, reason, |_, training| training.drop_model(model))
}

unsafe extern "C" fn contrast_cross_entropy(
    context: *mut c_void,
    role_code: u32,
    positions: u32,
    teacher: u32,
    second: u32,
    alpha: f64,
) -> Handle {
    const NAME: &str = "contrast_cross_entropy";
    issue_tensor(context, |step| {
        step.measure(&MeasureRequest {
            measure: Measure::CrossEntropy,
            role: role(NAME, role_code)?,
            positions: positions_of(NAME, positions)?,
            teacher: model_of(NAME, teacher)?,
            contrast: Some((model_of(NAME, second)?, alpha)),
            shift: 0.0,
            stand_in: 0,
        })
    })
}
