//! The host's side of the contract: what a method may ask for during one training step. It refuses to expose weights or token ids.

use core::ffi::c_void;

use crate::{Status, Text, TextSink};

/// Names a tensor of the current step. The number is the host's business: it carries a generation, so a handle of another step, of another
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
    /// The part a batch plays in a step. Crosses as its code.
    Role {
        /// What must go.
        Forget = 0 "forget",
        /// What must stay; there only if the method's description says that it needs `retain`.
        Retain = 1 "retain",
    }
}

codes! {
    /// Whose log-probabilities are asked for. Crosses as its code.
    Model {
        /// The model being trained: differentiable.
        Policy = 0 "policy",
        /// The frozen original: constants; there only if the method's description says that it needs `reference`.
        Reference = 1 "reference",
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

/// The host's functions for one training step: valid, like `context` and every handle, until the method's `loss` returns.
///
/// All functions take `context` first, and may be called only on the thread that called `loss`. They never fail by other means than their
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

    /// Since 0.1. Log-probabilities (nats) of the answer tokens of the `role` batch under `model`: shape `[answer tokens]`, the sequences end to
    /// end. Asking twice costs nothing.
    pub token_logprobs:
        Option<unsafe extern "C" fn(context: *mut c_void, model: u32, role: u32) -> Handle>,

    /// Since 0.1. Number of answer tokens of each sequence of the `role` batch: shape `[batch]`, constants, all at least 1.
    pub answer_tokens: Option<unsafe extern "C" fn(context: *mut c_void, role: u32) -> Handle>,

    /// Since 0.1. Sums `values`, shape `[answer tokens]` of the `role` batch, over each sequence: shape `[batch]`.
    pub sequence_sum:
        Option<unsafe extern "C" fn(context: *mut c_void, role: u32, values: Handle) -> Handle>,

    /// Since 0.1. Applies the [`crate::Operation`] with code `operation` to `inputs` (`inputs_length` handles) and `scalars` (`scalars_length`
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

    /// Since 0.1. A constant tensor: `values`, row-major, borrowed for the call; `dimensions` (`rank` of them, at most 8; rank 0 is a scalar)
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

    /// Since 0.1. Records the value of the scalar `value` under `name` in the step's log, each name once a step. A failure is also reported by the host at the end of the step.
    pub log_scalar:
        Option<unsafe extern "C" fn(context: *mut c_void, name: Text, value: Handle) -> Status>,

    /// Since 0.1. Records a message for the user; `level` is a [`Level`] code, an unknown one counts as a warning.
    pub log_message:
        Option<unsafe extern "C" fn(context: *mut c_void, level: u32, text: Text) -> Status>,

    /// Since 0.1. [`Status::OK`] if `handle` names a good tensor; otherwise [`Status::ERROR`], and what is wrong with it (operation, shapes) in `reason`.
    pub check: Option<
        unsafe extern "C" fn(context: *mut c_void, handle: Handle, reason: TextSink) -> Status,
    >,

    /// Since 0.1. Forgets `handle`; using it afterwards is an error. Frees the tensor unless the gradient still needs it. Optional: the step's end releases everything.
    pub release: Option<unsafe extern "C" fn(context: *mut c_void, handle: Handle) -> Status>,
}
