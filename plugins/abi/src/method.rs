//! The method's side of the contract: what a library offers. It refuses to say how a loss is computed: that is the host's side.

use core::ffi::c_void;
use core::mem::offset_of;

use crate::{ABI_MAJOR, ABI_MINOR, Handle, HostTable, Text, TextSink};

/// Type of the exported symbol. Returns the library's table: static, immutable, owned by the library, valid until the process ends
/// (a library is never unloaded). Must not fail, block or allocate; may be called from any thread, any number of times.
pub type Entry = unsafe extern "C" fn() -> *const MethodTable;

/// What a call came to. Numbers, not an enum: a method in another language may return any.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub i32);

impl Status {
    /// Done; every out-parameter is written.
    pub const OK: Self = Self(0);
    /// Refused or failed; the reason is in the error sink, out-parameters are untouched.
    pub const ERROR: Self = Self(1);
    /// A bug: a panic or exception was caught; its message is in the error sink. The instance may only be destroyed after that.
    pub const PANIC: Self = Self(2);
}

/// The functions of one method.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct MethodTable {
    /// Size of this struct in bytes as the library was compiled.
    pub struct_size: usize,
    /// [`ABI_MAJOR`] the library was compiled against.
    pub abi_major: u32,
    /// [`ABI_MINOR`] the library was compiled against.
    pub abi_minor: u32,

    /// Since 1.0. Writes the method's description to `description`, as one JSON object:
    ///
    /// ```json
    /// {"id": "npo", "version": "0.1.0", "summary": "…", "needs": ["retain", "reference"],
    ///  "options": [{"name": "beta", "type": "number", "default": 0.1, "doc": "…"}]}
    /// ```
    ///
    /// `id` matches the library's file name and is made of `a-z 0-9 _`. `needs` lists what the host must have ready: the roles `retain`,
    /// `alternate`, `normal` and `mismatch` (a batch in every step), `reference` (the frozen original) and `every_position` (other
    /// positions than those that predict answers); a host refuses a need that it does not know.
    /// `type` is `number`, `integer`, `boolean` or `string`. Any thread; on failure the reason goes to `error`.
    pub describe: Option<unsafe extern "C" fn(description: TextSink, error: TextSink) -> Status>,

    /// Since 1.0. Makes an instance from `options`, a JSON object of option names and values; absent names mean the default. On
    /// [`Status::OK`] writes a non-null pointer to `*instance`: the library owns what it points to, the host owns the right to use it until it calls `destroy` exactly
    /// once. From then on the instance is used from the thread that made it.
    pub create: Option<
        unsafe extern "C" fn(options: Text, instance: *mut *mut c_void, error: TextSink) -> Status,
    >,

    /// Since 1.0. The tier of methods that are a loss; null where `train` is set. Computes one training step's loss and writes the handle of a differentiable scalar to `*loss`; the host then owns that
    /// handle. `host`, all it points to, and all handles of the step are the host's and valid only until this call returns. The method
    /// may release handles early, and need not release any.
    pub loss: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            host: *const HostTable,
            loss: *mut Handle,
            error: TextSink,
        ) -> Status,
    >,

    /// Since 1.0. Frees the instance, which is not used after that. Cannot fail.
    pub destroy: Option<unsafe extern "C" fn(instance: *mut c_void)>,

    /// Since 1.1. The tier of methods that own their loop; null where `loss` is set. Called once: trains, and returns when the weights are as they
    /// are to be kept. `host`, all it points to, the extension [`crate::TRAINER`] and all handles are the host's and valid only until this call
    /// returns; the method may release handles early, and need not release any.
    pub train: Option<
        unsafe extern "C" fn(
            instance: *mut c_void,
            host: *const HostTable,
            error: TextSink,
        ) -> Status,
    >,
}

impl MethodTable {
    /// Bytes of a table of version 1.`minor`, which this version knows.
    pub const fn size_at(minor: u32) -> usize {
        match minor {
            0 => offset_of!(Self, train),
            _ => size_of::<Self>(),
        }
    }

    /// A table of this version without functions, to be filled by struct update.
    pub const EMPTY: Self = Self {
        struct_size: size_of::<Self>(),
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        describe: None,
        create: None,
        loss: None,
        destroy: None,
        train: None,
    };
}
