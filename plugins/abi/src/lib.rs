//! The C contract between `harness` and an unlearning method's library: types and constants only, no behaviour.
//!
//! It refuses to hold anything that is not `#[repr(C)]` data or a name for it, so that any language can speak it and no compiler,
//! allocator or tensor library leaks through it.
//!
//! # Handshake
//!
//! A library exports one symbol, [`ENTRY_SYMBOL`], of type [`Entry`]. The host resolves it, calls it, and checks the [`MethodTable`] it
//! gets in this order before it calls anything else:
//!
//! 1. the symbol is there; 2. the table pointer is not null; 3. `struct_size` is sane (at least [`HEADER_SIZE`], at most
//!    [`MAX_STRUCT_SIZE`]); 4. `abi_major` equals [`ABI_MAJOR`] and `abi_minor` is at most the host's [`ABI_MINOR`]; 5. `struct_size`
//!    covers every field of that minor version, and each function pointer is set, of `loss` and `train` exactly one.
//!
//! # Growth
//!
//! The first three fields of a table never change. New fields go at the end of a table, new operations, roles, models and status values
//! get new numbers, and each such addition raises [`ABI_MINOR`]; whatever breaks an existing library raises [`ABI_MAJOR`]. A reader
//! touches only the fields that lie within the `struct_size` it was given. So a library built against x.y loads in every host x.z with z >= y.
//!
//! # Rules that hold at every entry
//!
//! - **Thread**: the host calls a method from one thread at a time; a method calls the host only from the thread that called it, and only
//!   until that call returns.
//! - **Text** crosses as [`Text`], pointer and length, UTF-8, never NUL-terminated. It is borrowed: whoever receives it copies it before
//!   returning. Text that flows back goes through a [`TextSink`], so no memory changes owner.
//! - **Panics and exceptions** must not cross: they abort the process. A method reports them as [`Status::PANIC`].
//! - **Failed operations** do not stop a method: they return a *poisoned* handle that remembers what failed. Poison spreads to all that is computed from it,
//!   and the host reports the first failure when the loss is returned.
//!
//! # Two tiers
//!
//! A library sets either `loss`, asked once a step by the harness's own loop, or since 1.1 `train`, which has a loop of its own and asks
//! the host, through the extension [`TRAINER`], for batches, gradients and steps.
#![no_std]

mod host;
mod method;
mod operation;
mod trainer;

pub use host::{
    Distribution, HIDDEN_STATES, Handle, HiddenStates, HostTable, Level, Measure, Model, Positions,
    Progress, Role,
};
pub use method::{Entry, MethodTable, Status};
pub use operation::Operation;
pub use trainer::{FIRST_SPAWNED_MODEL, TRAINER, TrainerTable};

use core::ffi::c_void;

/// Breaking revision of the contract: host and method must agree on it.
pub const ABI_MAJOR: u32 = 1;

/// Additive revision of the contract: a method's may be older than the host's, never newer.
pub const ABI_MINOR: u32 = 1;

/// The one symbol a method's library exports: a function of type [`Entry`].
pub const ENTRY_SYMBOL: &str = "harness_method_entry";

/// Bytes of the part of a table that no version changes: `struct_size`, `abi_major`, `abi_minor`.
pub const HEADER_SIZE: usize = size_of::<usize>() + 2 * size_of::<u32>();

/// No table of any version is larger than this many bytes; a larger `struct_size` is garbage.
pub const MAX_STRUCT_SIZE: usize = 1 << 16;

/// Borrowed UTF-8 text; valid until the call it is passed to returns. A null `pointer` is allowed when `length` is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Text {
    /// First byte.
    pub pointer: *const u8,
    /// Length in bytes.
    pub length: usize,
}

impl Text {
    /// Lends `text` for the duration of a call.
    pub const fn lend(text: &str) -> Self {
        Self {
            pointer: text.as_ptr(),
            length: text.len(),
        }
    }
}

/// Where the callee writes text for the caller: valid until the call it is passed to returns, owned by the caller. Several writes append.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TextSink {
    /// Passed back as the first argument of `write`; the callee never looks into it.
    pub context: *mut c_void,
    /// Appends `text`, which the sink copies before it returns. An absent function discards the text.
    pub write: Option<unsafe extern "C" fn(context: *mut c_void, text: Text)>,
}
