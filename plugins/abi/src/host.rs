//! The host's side of the contract: what a method may ask for during one training step. It refuses to expose weights or token ids.

use core::ffi::c_void;

use crate::{Status, Text, TextSink};

/// Names a tensor of the current step; for methods that own their loop, also a parameter set or an optimiser. The number is the host's business: it carries a generation, so a handle of another step, of another
/// host, a released one or a made-up one is recognised and refused. 0 names nothing.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(pub u64);

impl Handle {
    /// The handle that names nothing; using it is an error like using any unknown handle.
    pub const NONE: Self = Self(0);
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant = $code,)* }

        impl $name {
            /// Every value of this version, in code order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The value that `code` stands for, if this version knows it.
            pub const fn from_code(code: u32) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }

            /// The number that crosses the boundary.
            pub const fn code(self) -> u32 {
                self as u32
            }

            /// The name in messages and descriptions.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}
pub(crate) use codes;

codes! {
    /// The part a batch plays in a step. Crosses as its code. All but `forget` are there only if the method's description says that it
    /// needs them, under these names.
    Role {
        /// What must go.
        Forget = 0 "forget",
        /// What must stay.
        Retain = 1 "retain",
        /// The forget prompts, in the same order, each with another answer: a refusal, or another plausible one.
        Alternate = 2 "alternate",
        /// General prompts and answers that the model should go on treating as the original does.
        Normal = 3 "normal",
        /// The forget prompts, each with some answers that belong to other prompts of the normal set. How many is the value of the
        /// method's option `mismatched_answers`, else 1.
        Mismatch = 4 "mismatch",
    }
}

codes! {
    /// Whose numbers are asked for. Crosses as its code. Codes from 16 on are those of models that a method which owns its loop has made.
    Model {
        /// The model being trained: differentiable.
        Policy = 0 "policy",
        /// The frozen original: constants; there only if the method's description says that it needs `reference`.
        Reference = 1 "reference",
    }
}

codes! {
    /// Which positions of a batch are meant. Crosses as its code. All but `answer` are there only if the method's description says that
    /// it needs `every_position`.
    Positions {
        /// Those that predict an answer token.
        Answer = 0 "answer",
        /// Those whose input is an answer token: one later than `answer`, to the end of the sequence.
        AnswerInputs = 1 "answer_inputs",
        /// All, prompts included.
        Every = 2 "every",
    }
}

codes! {
    /// A number that is computed at each position from the logits z over the whole vocabulary. Crosses as its code.
    ///
    /// p is the policy's distribution. q is the teacher's: softmax of its logits with a shift taken off the logit of the token that the
    /// position predicts; a constant, also where the teacher is the policy itself.
    Measure {
        /// Kullback-Leibler divergence of the policy from the teacher: sum over tokens of q (log q - log p), in nats.
        Divergence = 0 "divergence",
        /// Cross-entropy to the teacher: - sum over tokens of q log p, in nats. Its gradient is that of the divergence.
        CrossEntropy = 1 "cross_entropy",
        /// Largest logit of the policy less its mean logit. Teacher, shift and stand-in mean nothing.
        LogitSpread = 2 "logit_spread",
    }
}

codes! {
    /// How random numbers are distributed. Crosses as its code.
    Distribution {
        /// Uniformly in [0, 1).
        Uniform = 0 "uniform",
        /// Normally with mean 0 and variance 1.
        Normal = 1 "normal",
    }
}

codes! {
    /// How far the run is. Crosses as its code.
    Progress {
        /// Optimiser steps that are done.
        Step = 0 "step",
        /// Optimiser steps of the whole run.
        Steps = 1 "steps",
        /// How often the forget set has been gone through, with fractions, before this step.
        Epoch = 2 "epoch",
    }
}

codes! {
    /// How much a message matters. Crosses as its code.
    Level {
        /// Worth knowing.
        Info = 0 "info",
        /// Probably not what the user wants.
        Warning = 1 "warning",
    }
}

/// The host's functions for one training step: valid, like `context` and every handle, until the method's `loss` or `train` returns.
///
/// All functions take `context` first, and may be called only on the thread that called `loss` or `train`. They never fail by other means than their
/// return value. Tensors are 32-bit floats; a *scalar* has shape `[]`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HostTable {
    /// Size of this struct in bytes as the host was compiled.
    pub struct_size: usize,
    /// [`crate::ABI_MAJOR`] of the host.
    pub abi_major: u32,
    /// [`crate::ABI_MINOR`] of the host.
    pub abi_minor: u32,
    /// First argument of every function below; opaque.
    pub context: *mut c_void,

    /// Since 1.0. Log-probabilities (nats) of the answer tokens of the `role` batch under `model`: shape `[answer tokens]`, the sequences end to
    /// end. Asking twice costs nothing.
    pub token_logprobs:
        Option<unsafe extern "C" fn(context: *mut c_void, model: u32, role: u32) -> Handle>,

    /// Since 1.0. How many of the [`Positions`] `positions` each sequence of the `role` batch has: shape `[batch]`, constants; answer
    /// positions are at least 1.
    pub position_counts:
        Option<unsafe extern "C" fn(context: *mut c_void, role: u32, positions: u32) -> Handle>,

    /// Since 1.0. Sums `values`, shape `[positions]` of the `role` batch, over each sequence: shape `[batch]`.
    pub sequence_sum: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            role: u32,
            positions: u32,
            values: Handle,
        ) -> Handle,
    >,

    /// Since 1.0. Applies the [`crate::Operation`] with code `operation` to `inputs` (`inputs_length` handles) and `scalars` (`scalars_length`
    /// numbers); both arrays are borrowed for the call. Wrong counts, shapes or codes poison the result.
    pub apply: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            operation: u32,
            inputs: *const Handle,
            inputs_length: usize,
            scalars: *const f64,
            scalars_length: usize,
        ) -> Handle,
    >,

    /// Since 1.0. A constant tensor: `values`, row-major, borrowed for the call; `dimensions` (`rank` of them, at most 8; rank 0 is a scalar)
    /// whose product must be `values_length`.
    pub constant: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            values: *const f64,
            values_length: usize,
            dimensions: *const usize,
            rank: usize,
        ) -> Handle,
    >,

    /// Since 1.0. Records the value of the scalar `value` under `name` in the step's log, each name once a step. A failure is also reported by the host at the end of the step.
    pub log_scalar:
        Option<unsafe extern "C" fn(context: *mut c_void, name: Text, value: Handle) -> Status>,

    /// Since 1.0. Records a message for the user; `level` is a [`Level`] code, an unknown one counts as a warning.
    pub log_message:
        Option<unsafe extern "C" fn(context: *mut c_void, level: u32, text: Text) -> Status>,

    /// Since 1.0. [`Status::OK`] if `handle` names a good tensor; otherwise [`Status::ERROR`], and what is wrong with it (operation, shapes) in `reason`.
    pub check: Option<
        unsafe extern "C" fn(context: *mut c_void, handle: Handle, reason: TextSink) -> Status,
    >,

    /// Since 1.0. Forgets `handle`; using it afterwards is an error. Frees the tensor unless the gradient still needs it. Optional: the step's end releases everything.
    pub release: Option<unsafe extern "C" fn(context: *mut c_void, handle: Handle) -> Status>,

    /// Since 1.0. The [`Measure`] `measure` at the [`Positions`] `positions` of the `role` batch: shape `[positions]`, sequences end to end.
    /// `teacher` is a [`Model`] code. `shift` is taken off the teacher's logit of the token that a position predicts, infinity
    /// removes the token. Where a position predicts no answer token nothing is shifted, or if `stand_in` is not 0, the token that
    /// many from the end of the vocabulary is. The logits are never stored as a whole.
    pub measure: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            measure: u32,
            role: u32,
            positions: u32,
            teacher: u32,
            shift: f64,
            stand_in: u32,
        ) -> Handle,
    >,

    /// Since 1.0. Copies the values of `tensor`, row-major, to the `capacity` numbers at `values`, which stay the method's, and writes how
    /// many there are to `length`. [`Status::ERROR`] and nothing copied if `tensor` is no good tensor or has more values.
    pub read: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            tensor: Handle,
            values: *mut f64,
            capacity: usize,
            length: *mut usize,
        ) -> Status,
    >,

    /// Since 1.0. Random constants of this shape (as in `constant`), of a [`Distribution`]. They depend on the run's seed, `stream` and
    /// the place in the tensor alone: the same stream gives the same numbers in every step.
    pub random: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            stream: u64,
            distribution: u32,
            dimensions: *const usize,
            rank: usize,
        ) -> Handle,
    >,

    /// Since 1.0. How far the run is, by [`Progress`] code; NaN for a code that the host does not know.
    pub progress: Option<unsafe extern "C" fn(context: *mut c_void, quantity: u32) -> f64>,

    /// Since 1.0. The functions of an optional power, by its name, such as [`crate::HIDDEN_STATES`]: a table of the host's that begins with its size
    /// and is valid as long as this one; null where the host does not have it.
    pub extension: Option<unsafe extern "C" fn(context: *mut c_void, name: Text) -> *const c_void>,
}

/// Name of the extension whose table is [`HiddenStates`].
pub const HIDDEN_STATES: &str = "harness.hidden_states.1";

/// Hidden states of the layers, for methods that steer them. Its functions follow the rules of [`HostTable`] and take its context.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HiddenStates {
    /// Size of this struct in bytes as the host was compiled.
    pub struct_size: usize,

    /// Since 1.0. Numbers in a hidden state; 0 where that is not known.
    pub width: Option<unsafe extern "C" fn(context: *mut c_void) -> usize>,

    /// Since 1.0. Mean over the width of the squared difference between the output of layer `layer` (counted from 0) of the policy and
    /// `target`, at the [`Positions`] `positions` of the `role` batch: shape `[positions]`. `target` has shape `[width]`;
    /// [`Handle::NONE`] stands for the output of the same layer of the reference, which the description must need then.
    pub squared_distance: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            role: u32,
            positions: u32,
            layer: u32,
            target: Handle,
        ) -> Handle,
    >,

    /// Since 1.1. Euclidean length of the output of layer `layer` (counted from 0) of `model`, at the [`Positions`] `positions` of the `role`
    /// batch: shape `[positions]`; constants under the reference.
    pub length: Option<
        unsafe extern "C" fn(
            context: *mut c_void,
            model: u32,
            role: u32,
            positions: u32,
            layer: u32,
        ) -> Handle,
    >,
}
