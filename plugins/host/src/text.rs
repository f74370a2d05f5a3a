//! Text that crosses the boundary. It refuses to trust lengths: what is null or absurdly long is dropped.
#![allow(unsafe_code, reason = "reads memory lent by a method")]

use std::cell::RefCell;
use std::ffi::c_void;

use harness_abi::{Status, Text, TextSink};

/// Longer texts are taken for garbage.
const MAX_TEXT_BYTES: usize = 1 << 20;

thread_local! {
    /// Where texts of the call in progress go, by channel. Thread-local rather than behind the sink's context, so that a method that keeps
    /// a sink, or makes up its context, writes to memory that exists.
    static RECEIVED: RefCell<[String; 2]> = RefCell::default();
}

/// What a call wrote to its two sinks, and how it ended.
pub(crate) struct Reply {
    pub(crate) status: Status,
    pub(crate) answer: String,
    pub(crate) error: String,
}

/// Makes a call that answers and complains through sinks.
pub(crate) fn receive(call: impl FnOnce(TextSink, TextSink) -> Status) -> Reply {
    RECEIVED.take();
    let status = call(sink(0), sink(1));
    let [answer, error] = RECEIVED.take();
    Reply {
        status,
        answer,
        error,
    }
}

fn sink(channel: usize) -> TextSink {
    TextSink {
        context: std::ptr::without_provenance_mut(channel),
        write: Some(append),
    }
}

unsafe extern "C" fn append(context: *mut c_void, text: Text) {
    // SAFETY: a method lends valid text for the duration of the call.
    let text = unsafe { read(text) }.unwrap_or_default();
    // A thread that is being torn down has nobody left to tell.
    let _ = RECEIVED.try_with(|received| {
        if let Some(channel) = received.borrow_mut().get_mut(context.addr()) {
            channel.push_str(&text);
        }
    });
}

/// Copies lent text, replacing what is not UTF-8; `None` for a null pointer with a length, or for too much text.
///
/// # Safety
/// A non-null pointer is valid for reading `length` bytes.
pub(crate) unsafe fn read(text: Text) -> Option<String> {
    if text.length == 0 {
        return Some(String::new());
    }
    // SAFETY: as the caller vouches.
    let bytes = unsafe { read_slice(text.pointer, text.length, MAX_TEXT_BYTES) }?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// Borrows a lent array; `None` for a null or misaligned pointer or for more than `max` elements. An empty array needs no pointer.
///
/// # Safety
/// A non-null, aligned pointer is valid for reading `length` elements while the result is used.
pub(crate) unsafe fn read_slice<'a, T>(
    pointer: *const T,
    length: usize,
    max: usize,
) -> Option<&'a [T]> {
    if length == 0 {
        return Some(&[]);
    }
    if pointer.is_null() || !pointer.is_aligned() || length > max {
        return None;
    }
    // SAFETY: non-null, aligned, of plausible length; the caller vouches for the memory.
    Some(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// Hands a text to a method's sink.
///
/// # Safety
/// The sink's function, if there is one, may be called with its context.
pub(crate) unsafe fn send(sink: TextSink, text: &str) {
    if let Some(write) = sink.write {
        // SAFETY: as the caller vouches; the text outlives the call.
        unsafe { write(sink.context, Text::lend(text)) };
    }
}
