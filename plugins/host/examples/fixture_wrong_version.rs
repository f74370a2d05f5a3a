//! A library from the future. For the host's tests; it refuses every call by aborting: nothing may be called before the version is checked.
#![allow(unsafe_code, reason = "exports the entry symbol without the SDK")]

use std::ffi::c_void;

use harness_sdk::abi::{ABI_MAJOR, MethodTable, Status, TextSink};

static TABLE: MethodTable = MethodTable {
    abi_major: ABI_MAJOR + 7,
    describe: Some(describe),
    destroy: Some(destroy),
    ..MethodTable::EMPTY
};

#[unsafe(no_mangle)]
extern "C" fn harness_method_entry() -> *const MethodTable {
    &raw const TABLE
}

unsafe extern "C" fn describe(_description: TextSink, _error: TextSink) -> Status {
    std::process::abort()
}

unsafe extern "C" fn destroy(_instance: *mut c_void) {
    std::process::abort()
}
