//! A method that owns its loop and hands the host garbage, in raw C: handles of the wrong kind, released, made up; null places; work before
//! the first batch. For the host's tests; it refuses to hide which call was answered wrongly: the message names it.
#![allow(unsafe_code, reason = "speaks the C contract without the SDK")]

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::{null, null_mut, without_provenance_mut};

use harness_sdk::abi::{
    Handle, HostTable, MethodTable, Status, TRAINER, Text, TextSink, TrainerTable,
};

static TABLE: MethodTable = MethodTable {
    describe: Some(describe),
    create: Some(create),
    train: Some(train),
    destroy: Some(destroy),
    ..MethodTable::EMPTY
};

#[unsafe(no_mangle)]
extern "C" fn harness_method_entry() -> *const MethodTable {
    &raw const TABLE
}

fn send(sink: TextSink, text: &str) {
    if let Some(write) = sink.write {
        // SAFETY: the sink is the host's, for the call in progress.
        unsafe { write(sink.context, Text::lend(text)) };
    }
}

unsafe extern "C" fn describe(description: TextSink, _error: TextSink) -> Status {
    send(
        description,
        r#"{"id": "hostile_trainer", "version": "1", "summary": "Garbage.", "needs": [], "options": []}"#,
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

thread_local! {
    static KEPT: Cell<Option<(TrainerTable, *mut c_void)>> = const { Cell::new(None) };
}

const DEAF: TextSink = TextSink {
    context: null_mut(),
    write: None,
};

unsafe extern "C" fn train(
    _instance: *mut c_void,
    host: *const HostTable,
    error: TextSink,
) -> Status {
    // SAFETY: the host's tables are valid until this returns.
    let wrong = unsafe { first_wrong_answer(&*host) };
    match wrong {
        None => Status::OK,
        Some(call) => {
            send(error, &format!("answered wrongly: {call}"));
            Status::ERROR
        }
    }
}

/// The first call that the host should have answered otherwise.
///
/// # Safety
/// The host's tables are valid, and this is their thread.
unsafe fn first_wrong_answer(host: &HostTable) -> Option<&'static str> {
    let context = host.context;
    // SAFETY: as the caller vouches; what is garbage below is garbage on purpose.
    unsafe {
        let table = host.extension?(context, Text::lend(TRAINER)).cast::<TrainerTable>();
        if table.is_null() {
            return Some("no extension");
        }
        let table = *table;
        if let Some((kept, old)) = KEPT.replace(Some((table, context)))
            && kept.next_batch?(old, DEAF) == Status::OK
        {
            return Some("a context that is over");
        }
        let wrong = |status: Status| status == Status::OK;
        let (set, rest) = (table.weights?(context), Text::lend(""));
        let optimizer = table.optimizer?(context, Text::lend("sgd"), rest);
        if host.check?(context, set, DEAF) != Status::OK {
            return Some("a good set");
        }
        if host.check?(context, host.token_logprobs?(context, 0, 0), DEAF) == Status::OK {
            return Some("a tensor before the first batch");
        }
        table.next_batch?(context, DEAF);
        let tensor = host.token_logprobs?(context, 0, 0);
        let mut number = 0.0;
        let numbers = &raw mut number;
        let calls = [
            ("a tensor as set", table.set_weights?(context, tensor, DEAF)),
            (
                "an optimiser as set",
                table.update?(context, optimizer, 1.0, DEAF),
            ),
            (
                "a set as optimiser",
                table.step?(context, set, set, 0.1, numbers, DEAF),
            ),
            (
                "a made-up handle",
                table.set_weights?(context, Handle(7), DEAF),
            ),
            (
                "a factor of NaN",
                table.update?(context, set, f64::NAN, DEAF),
            ),
            (
                "a learning rate of NaN",
                table.step?(context, optimizer, set, f64::NAN, numbers, DEAF),
            ),
            (
                "a null place",
                table.dot?(context, set, set, null_mut(), DEAF),
            ),
            (
                "a share of 2",
                table.quantile?(context, set, 2.0, numbers, DEAF),
            ),
            ("a set as loss", table.finish_step?(context, set, DEAF)),
            (
                "a vector as loss",
                table.finish_step?(context, tensor, DEAF),
            ),
            ("a wrong context", table.next_batch?(null_mut(), DEAF)),
        ];
        if let Some((call, _)) = calls.into_iter().find(|&(_, status)| wrong(status)) {
            return Some(call);
        }
        let mean = 19;
        let poisons = [
            (
                "a set in a tensor's place",
                host.apply?(context, 6, &raw const set, 1, null(), 0),
            ),
            (
                "a sum of a set",
                table.combine?(context, mean, &raw const set, 1, null(), 0),
            ),
            ("no sets", table.combine?(context, 6, null(), 0, null(), 0)),
            (
                "an unknown operation",
                table.combine?(context, 999, &raw const set, 1, null(), 0),
            ),
            ("an unknown distribution", table.random?(context, 0, 99)),
            ("gradients of a set", table.gradients?(context, set)),
            (
                "an unknown optimiser",
                table.optimizer?(context, Text::lend("sdg"), rest),
            ),
            (
                "options that are no JSON",
                table.optimizer?(context, Text::lend("sgd"), Text::lend("{")),
            ),
        ];
        for (call, poison) in poisons {
            if host.check?(context, poison, DEAF) == Status::OK {
                return Some(call);
            }
        }
        if host.release?(context, set) != Status::OK || host.release?(context, set) == Status::OK {
            return Some("a release, and another");
        }
        wrong(table.set_weights?(context, set, DEAF)).then_some("a released set")
    }
}
