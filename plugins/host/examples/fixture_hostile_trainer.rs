//! A method that owns its loop and hands the host garbage, in raw C: handles of the wrong kind, released, made up; null places; work before
//! the first batch. For the host's tests; it refuses to hide which call was answered wrongly: the message names it.
#![allow(unsafe_code, reason = "speaks the C contract without the SDK")]

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::{null, null_mut, without_provenance_mut};

use harness_sdk::abi::{
    Handle, HostTable, MethodTable, Operation, Status, TRAINER, Text, TextSink, TrainerTable,
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
        Ok(()) => Status::OK,
        Err(call) => {
            send(error, &format!("answered wrongly: {call}"));
            Status::ERROR
        }
    }
}

const MISSING: &str = "a function that is not there";

fn answered_wrongly(call: Option<&'static str>) -> Result<(), &'static str> {
    call.map_or(Ok(()), Err)
}

/// The first call that the host should have answered otherwise.
///
/// # Safety
/// The host's tables are valid, and this is their thread.
unsafe fn first_wrong_answer(host: &HostTable) -> Result<(), &'static str> {
    let context = host.context;
    // SAFETY: as the caller vouches; what is garbage below is garbage on purpose.
    unsafe {
        let table =
            host.extension.ok_or(MISSING)?(context, Text::lend(TRAINER)).cast::<TrainerTable>();
        if table.is_null() {
            return Err("no extension");
        }
        let table = *table;
        if let Some((kept, old)) = KEPT.replace(Some((table, context)))
            && kept.next_batch.ok_or(MISSING)?(old, DEAF) == Status::OK
        {
            return Err("a context that is over");
        }
        let set = table.weights.ok_or(MISSING)?(context);
        if host.check.ok_or(MISSING)?(context, set, DEAF) != Status::OK {
            return Err("a good set");
        }
        if host.check.ok_or(MISSING)?(
            context,
            host.token_logprobs.ok_or(MISSING)?(context, 0, 0),
            DEAF,
        ) == Status::OK
        {
            return Err("a tensor before the first batch");
        }
        table.next_batch.ok_or(MISSING)?(context, DEAF);
        changes(host, &table, set)?;
        poisons(host, &table, set)?;
        if host.release.ok_or(MISSING)?(context, set) != Status::OK
            || host.release.ok_or(MISSING)?(context, set) == Status::OK
        {
            return Err("a release, and another");
        }
        let released = table.set_weights.ok_or(MISSING)?(context, set, DEAF);
        answered_wrongly((released == Status::OK).then_some("a released set"))
    }
}

/// The first call that did what it should have refused.
///
/// # Safety
/// As [`first_wrong_answer`].
unsafe fn changes(host: &HostTable, table: &TrainerTable, set: Handle) -> Result<(), &'static str> {
    let context = host.context;
    let mut number = 0.0;
    let place = &raw mut number;
    // SAFETY: as the caller vouches.
    let calls = unsafe {
        let optimizer = table.optimizer.ok_or(MISSING)?(context, Text::lend("sgd"), Text::lend(""));
        let tensor = host.token_logprobs.ok_or(MISSING)?(context, 0, 0);
        let (step, update) = (table.step.ok_or(MISSING)?, table.update.ok_or(MISSING)?);
        [
            (
                "a tensor as set",
                table.set_weights.ok_or(MISSING)?(context, tensor, DEAF),
            ),
            ("an optimiser as set", update(context, optimizer, 1.0, DEAF)),
            (
                "a set as optimiser",
                step(context, set, set, 0.1, place, DEAF),
            ),
            (
                "a made-up handle",
                table.set_weights.ok_or(MISSING)?(context, Handle(7), DEAF),
            ),
            ("a factor of NaN", update(context, set, f64::NAN, DEAF)),
            (
                "a learning rate of NaN",
                step(context, optimizer, set, f64::NAN, place, DEAF),
            ),
            (
                "a null place",
                table.dot.ok_or(MISSING)?(context, set, set, null_mut(), DEAF),
            ),
            (
                "a share of 2",
                table.quantile.ok_or(MISSING)?(context, set, 2.0, place, DEAF),
            ),
            (
                "a set as loss",
                table.finish_step.ok_or(MISSING)?(context, set, DEAF),
            ),
            (
                "a vector as loss",
                table.finish_step.ok_or(MISSING)?(context, tensor, DEAF),
            ),
            (
                "a null place for a model",
                table.spawn.ok_or(MISSING)?(context, set, null_mut(), DEAF),
            ),
            (
                "a model that was never spawned",
                table.drop_model.ok_or(MISSING)?(context, 16, DEAF),
            ),
            (
                "a wrong context",
                table.next_batch.ok_or(MISSING)?(null_mut(), DEAF),
            ),
        ]
    };
    let wrong = calls.into_iter().find(|&(_, status)| status == Status::OK);
    answered_wrongly(wrong.map(|(call, _)| call))
}

/// The first call whose handle should have been poison.
///
/// # Safety
/// As [`first_wrong_answer`].
unsafe fn poisons(host: &HostTable, table: &TrainerTable, set: Handle) -> Result<(), &'static str> {
    let (context, one) = (host.context, &raw const set);
    let (negate, mean) = (Operation::Negate.code(), Operation::Mean.code());
    let (sgd, empty) = (Text::lend("sgd"), Text::lend(""));
    // SAFETY: as the caller vouches.
    unsafe {
        let (combine, optimizer) = (
            table.combine.ok_or(MISSING)?,
            table.optimizer.ok_or(MISSING)?,
        );
        let handles = [
            (
                "a set in a tensor's place",
                host.apply.ok_or(MISSING)?(context, negate, one, 1, null(), 0),
            ),
            ("a sum of a set", combine(context, mean, one, 1, null(), 0)),
            ("no sets", combine(context, negate, null(), 0, null(), 0)),
            (
                "an unknown operation",
                combine(context, 999, one, 1, null(), 0),
            ),
            (
                "an unknown distribution",
                table.random.ok_or(MISSING)?(context, 0, 99),
            ),
            (
                "gradients of a set",
                table.gradients.ok_or(MISSING)?(context, set),
            ),
            (
                "an unknown optimiser",
                optimizer(context, Text::lend("sdg"), empty),
            ),
            (
                "options that are no JSON",
                optimizer(context, sgd, Text::lend("{")),
            ),
        ];
        let check = host.check.ok_or(MISSING)?;
        let wrong = handles
            .into_iter()
            .find(|&(_, handle)| check(context, handle, DEAF) == Status::OK);
        answered_wrongly(wrong.map(|(call, _)| call))
    }
}
