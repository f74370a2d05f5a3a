//! The host's side of a method that owns its loop: what it may ask for besides a step. It refuses to show a weight's numbers.

use core::ffi::c_void;

use crate::{Handle, Status, Text, TextSink};

/// Name of the extension whose table is [`TrainerTable`]; the host has it during `train` alone.
pub const TRAINER: &str = "harness.trainer.1";

/// The smallest code of a model that [`TrainerTable::spawn`] makes.
pub const FIRST_SPAWNED_MODEL: u32 = 16;

/// Data, parameter sets, optimisers and the budget, for methods that own their loop. Its functions follow the rules of
/// [`crate::HostTable`] and take its context, until the method's `train` returns.
///
/// A *parameter set* is one 32-bit tensor for each trainable parameter, in its shape: of all weights, or of a low-rank adapter alone where one is
/// trained. Sets and optimisers have handles as tensors do, which `check` and `release` take; they last until they are released or `train`
/// returns, whatever batch is drawn. A handle of another kind is refused like a stale one. The memory of a set is that of the parameters.
///
/// A *spawned model* is a frozen copy of the model with the values of a set in the place of its parameters; weights that are not trained are
/// shared. Its code is used wherever a [`crate::Model`] code is and gives constants, whatever batch is drawn, until it is dropped or `train` returns; no
/// code is given twice in a training, and one that names no model is refused.
///
/// Any change of the weights turns the step's tensors into constants: their values stay, gradients no longer flow through them, and the
/// next question is answered by the new weights.
///
/// A function that returns a [`Status`] changed nothing if it is not [`Status::OK`]; the reason goes to `reason`, and the host also
/// reports the first such failure when `train` returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TrainerTable {
    /// Size of this struct in bytes as the host was compiled.
    pub struct_size: usize,

    /// Since 1.1. Draws the next batch of the forget set and of every role that the description needs, by the run's seed. Every tensor of
    /// the batch before is void. Before the first batch there is no tensor to ask for.
    pub next_batch: Option<unsafe extern "C" fn(context: *mut c_void, reason: TextSink) -> Status>,

    /// Since 1.1. Optimiser steps that the run still allows; 0 where the context is not the current one.
    pub steps_left: Option<unsafe extern "C" fn(context: *mut c_void) -> u64>,

    /// Since 1.1. 1 if the run is to end soon: the method should restore what it wants kept, and return; else 0.
    pub cancelled: Option<unsafe extern "C" fn(context: *mut c_void) -> u32>,

    /// Since 1.1. The learning rate that the run's schedule has for the next optimiser step.
    pub learning_rate: Option<unsafe extern "C" fn(context: *mut c_void) -> f64>,

    /// Since 1.1. The gradients of the scalar `loss` by every trainable parameter: a set, zeros where the loss does not depend on a parameter. A
    /// loss that depends on none, or is not finite, poisons the set. `loss` keeps its value.
    pub gradients: Option<unsafe extern "C" fn(context: *mut c_void, loss: Handle) -> Handle>,

    /// Since 1.1. A copy of the parameters as they are now: a set.
    pub weights: Option<unsafe extern "C" fn(context: *mut c_void) -> Handle>,

    /// Since 1.1. Makes the parameters equal to `set`, whose values must be finite.
    pub set_weights:
        Option<unsafe extern "C" fn(context: *mut c_void, set: Handle, reason: TextSink) -> Status>,

    /// Since 1.1. Adds `factor` times `set` to the parameters; the sum must be finite.
    pub update: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            set: Handle,
            factor: f64,
            reason: TextSink,
        ) -> Status,
    >,

    /// Since 1.1. Makes the change of the model since the parameters were `since` `factor` times as large: the parameters become since + factor *
    /// (now - since). The change of a low-rank adapter is the product of its halves, so its second half is scaled instead, which
    /// must have been zero in `since`.
    pub scale_change: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            since: Handle,
            factor: f64,
            reason: TextSink,
        ) -> Status,
    >,

    /// Since 1.1. Applies the [`crate::Operation`] with code `operation`, which must be elementwise, to each parameter's tensors of `sets`
    /// (`sets_length` handles) and `scalars` (`scalars_length` numbers): a set. Both arrays are borrowed for the call.
    pub combine: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            operation: u32,
            sets: *const Handle,
            sets_length: usize,
            scalars: *const f64,
            scalars_length: usize,
        ) -> Handle,
    >,

    /// Since 1.1. Writes the sum over all elements of `first` times `second`, summed in 64 bits in a fixed order, to `product`.
    pub dot: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            first: Handle,
            second: Handle,
            product: *mut f64,
            reason: TextSink,
        ) -> Status,
    >,

    /// Since 1.1. Writes the value below which the share `share`, from 0 to 1, of all elements of `set` lies, between two neighbours
    /// by linear interpolation, to `value`.
    pub quantile: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            set: Handle,
            share: f64,
            value: *mut f64,
            reason: TextSink,
        ) -> Status,
    >,

    /// Since 1.1. Ones for the parameters whose whole name the regular expression `pattern` matches, zeros for the others: a set. A pattern
    /// that matches none poisons it.
    pub select: Option<unsafe extern "C" fn(context: *mut c_void, pattern: Text) -> Handle>,

    /// Since 1.1. Random numbers of a [`crate::Distribution`]: a set. They depend on the run's seed, `stream`, the parameter's name and the place in
    /// it alone.
    pub random: Option<
        unsafe extern "C" fn(context: *mut c_void, stream: u64, distribution: u32) -> Handle,
    >,

    /// Since 1.1. An optimiser of all trainable parameters without a step behind it. `kind` is `adamw` or `sgd`; `options` is a JSON object: for
    /// both `max_gradient_norm` (null: no clipping), for `adamw` also `weight_decay`, `beta1`, `beta2` and `epsilon`. Absent
    /// names, and an empty text, mean the run's.
    pub optimizer:
        Option<unsafe extern "C" fn(context: *mut c_void, kind: Text, options: Text) -> Handle>,

    /// Since 1.1. Takes a step of `optimizer` along `gradients`, a set, and writes their joint norm before clipping to `norm`. Refused when the
    /// run's steps are used up, and when a gradient is not finite.
    pub step: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            optimizer: Handle,
            gradients: Handle,
            learning_rate: f64,
            norm: *mut f64,
            reason: TextSink,
        ) -> Status,
    >,

    /// Since 1.1. Ends a step: the run's log gets a line with the value of the scalar `loss`, which must be finite, what `log_scalar` recorded, and what went through
    /// the models since the step before. Refused when the run's steps are used up.
    pub finish_step: Option<
        unsafe extern "C" fn(context: *mut c_void, loss: Handle, reason: TextSink) -> Status,
    >,

    /// Since 1.1. A frozen copy of the model with the parameters of `set`, whose values must be finite; writes its code, [`FIRST_SPAWNED_MODEL`]
    /// or more, to `model`. The set may be released then. The host owns the copy; its memory is that of the parameters.
    pub spawn: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            set: Handle,
            model: *mut u32,
            reason: TextSink,
        ) -> Status,
    >,

    /// Since 1.1. Drops the spawned model with code `model`: its memory is free, tensors that it gave stay, and its code names nothing. Optional: the
    /// return of `train` drops all.
    pub drop_model:
        Option<unsafe extern "C" fn(context: *mut c_void, model: u32, reason: TextSink) -> Status>,

    /// Since 1.1. Cross-entropy of the policy to a teacher that goes away from a second model where that one is surer, at the [`crate::Positions`]
    /// `positions` of the `role` batch, in nats: - sum over tokens of q log p, q the softmax of t - alpha * max(s - t, 0) for
    /// logits t of `teacher` and s of `second`, both model codes. Shape `[positions]`; q is a constant. The logits are never stored as a whole.
    pub contrast_cross_entropy: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            role: u32,
            positions: u32,
            teacher: u32,
            second: u32,
            alpha: f64,
        ) -> Handle,
    >,
}
