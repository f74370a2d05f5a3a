//! A method that calls the host with garbage, in raw C, and returns a good loss if the host survives with the right answers.
//! For the host's tests; it refuses to hide which call was answered wrongly: the message names it.
#![allow(unsafe_code, reason = "speaks the C contract without the SDK")]

use std::ffi::c_void;
use std::ptr::{null, null_mut, without_provenance, without_provenance_mut};

use harness_sdk::abi::{
    Handle, HostTable, MethodTable, Model, Operation, Role, Status, Text, TextSink,
};

static TABLE: MethodTable = MethodTable {
    describe: Some(describe),
    create: Some(create),
    loss: Some(loss),
    destroy: Some(destroy),
    ..MethodTable::EMPTY
};

#[unsafe(no_mangle)]
extern "C" fn harness_method_entry() -> *const MethodTable {
    &raw const TABLE
}

fn send(sink: TextSink, text: &str) {
    if let Some(write) = sink.write {
        // SAFETY: the sink is the host's; twice with garbage, which it must survive, and once in earnest.
        unsafe {
            write(
                sink.context,
                Text {
                    pointer: null(),
                    length: 7,
                },
            );
            write(without_provenance_mut(12345), Text::lend("lost"));
            write(sink.context, Text::lend(text));
        }
    }
}

unsafe extern "C" fn describe(description: TextSink, _error: TextSink) -> Status {
    send(
        description,
        r#"{"id": "hostile", "version": "1", "summary": "Garbage.", "needs": [], "options": []}"#,
    );
    Status::OK
}

unsafe extern "C" fn create(
    _options: Text,
    instance: *mut *mut c_void,
    _error: TextSink,
) -> Status {
    // SAFETY: the host passes a place for the pointer.
    unsafe { instance.write(without_provenance_mut(16)) };
    Status::OK
}

unsafe extern "C" fn destroy(_instance: *mut c_void) {}

unsafe extern "C" fn loss(
    _instance: *mut c_void,
    host: *const HostTable,
    loss: *mut Handle,
    error: TextSink,
) -> Status {
    // SAFETY: the host's table is valid during this call.
    let host = unsafe { &*host };
    match attack(host) {
        Ok(good) => {
            // SAFETY: the host passes a place for the handle.
            unsafe { loss.write(good) };
            Status::OK
        }
        Err(complaint) => {
            send(error, complaint);
            Status(42)
        }
    }
}

/// Calls everything with garbage; then a loss computed properly.
fn attack(host: &HostTable) -> Result<Handle, &'static str> {
    let target = Target {
        host,
        context: host.context,
    };
    let tokens = target.tokens(POLICY, FORGET);
    expect(target.is_good(tokens), "a good handle")?;
    codes(&target, tokens)?;
    arrays(&target, tokens)?;
    contexts(host, tokens)?;
    handles(&target, tokens)?;
    Ok(target.mean(&raw const tokens, 1))
}

const POLICY: u32 = Model::Policy.code();
const FORGET: u32 = Role::Forget.code();
const MEAN: u32 = Operation::Mean.code();

fn expect(holds: bool, name: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(name) }
}

fn codes(target: &Target, tokens: Handle) -> Result<(), &'static str> {
    expect(!target.is_good(target.tokens(9, FORGET)), "unknown model")?;
    expect(!target.is_good(target.tokens(POLICY, 9)), "unknown role")?;
    let unknown = target.apply(u32::MAX, &raw const tokens, 1);
    expect(!target.is_good(unknown), "unknown operation")
}

fn arrays(target: &Target, tokens: Handle) -> Result<(), &'static str> {
    let refused = |inputs, length| !target.is_good(target.mean(inputs, length));
    expect(refused(null(), 1), "null inputs")?;
    expect(refused(without_provenance(3), 1), "misaligned inputs")?;
    expect(refused(&raw const tokens, usize::MAX), "endless inputs")?;
    expect(refused(null(), 0), "no inputs")?;
    let overflowing = [usize::MAX, 2];
    expect(
        !target.is_good(target.constant(0, &overflowing)),
        "overflowing shape",
    )?;
    expect(
        !target.is_good(target.constant(usize::MAX, &[])),
        "null values",
    )?;
    let nothing = Text {
        pointer: null(),
        length: 5,
    };
    expect(!target.tells(nothing), "null text")
}

fn contexts(host: &HostTable, tokens: Handle) -> Result<(), &'static str> {
    for context in [null_mut(), without_provenance_mut(8)] {
        let lost = Target { host, context };
        expect(lost.tokens(POLICY, FORGET) == Handle::NONE, "wrong context")?;
        expect(!lost.is_good(tokens), "checking, wrong context")?;
        expect(!lost.tells(Text::lend("lost")), "telling, wrong context")?;
    }
    let address = host.context.addr();
    let token_logprobs = host.token_logprobs.ok_or("no token_logprobs")?;
    let elsewhere = std::thread::spawn(move || {
        // SAFETY: not the step's thread, which is what the host must notice.
        unsafe { token_logprobs(without_provenance_mut(address), POLICY, FORGET) }
    });
    expect(
        elsewhere.join().is_ok_and(|handle| handle == Handle::NONE),
        "another thread",
    )
}

fn handles(target: &Target, tokens: Handle) -> Result<(), &'static str> {
    for foreign in [Handle::NONE, Handle(1), Handle(u64::MAX)] {
        expect(
            !target.is_good(target.mean(&raw const foreign, 1)),
            "foreign handle",
        )?;
    }
    let spare = target.mean(&raw const tokens, 1);
    expect(target.releases(spare), "release")?;
    expect(!target.releases(spare), "double release")?;
    expect(!target.is_good(spare), "use after release")
}

/// The host under attack, with a context that may be wrong.
struct Target<'a> {
    host: &'a HostTable,
    context: *mut c_void,
}

/// Calls a host function. Most arguments are garbage on purpose, but none is an address that could be read by accident.
macro_rules! call {
    ($target:ident.$function:ident($($argument:expr),*)) => {{
        let function = $target.host.$function.expect("the table is complete");
        // SAFETY: the table is the step's; refusing the rest is the host's part.
        unsafe { function($target.context, $($argument),*) }
    }};
}

impl Target<'_> {
    fn tokens(&self, model: u32, role: u32) -> Handle {
        call!(self.token_logprobs(model, role))
    }

    fn mean(&self, inputs: *const Handle, length: usize) -> Handle {
        self.apply(MEAN, inputs, length)
    }

    fn apply(&self, operation: u32, inputs: *const Handle, length: usize) -> Handle {
        call!(self.apply(operation, inputs, length, null(), 0))
    }

    fn constant(&self, values: usize, dimensions: &[usize]) -> Handle {
        call!(self.constant(null(), values, dimensions.as_ptr(), dimensions.len()))
    }

    fn is_good(&self, handle: Handle) -> bool {
        let silent = TextSink {
            context: null_mut(),
            write: None,
        };
        call!(self.check(handle, silent)) == Status::OK
    }

    fn tells(&self, text: Text) -> bool {
        call!(self.log_message(7, text)) == Status::OK
    }

    fn releases(&self, handle: Handle) -> bool {
        call!(self.release(handle)) == Status::OK
    }
}
