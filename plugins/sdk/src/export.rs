//! The C functions behind [`export_method!`](crate::export_method) and [`export_trainer!`](crate::export_trainer). It refuses to let a panic out: a foreign unwind aborts the process.
#![allow(unsafe_code, reason = "implements the C side of the contract")]

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::rc::Rc;
use std::sync::Once;

use harness_abi::{Handle, HostTable, MethodTable, Status, Text, TextSink};
use serde_json::json;

use crate::host_engine::HostEngine;
use crate::options::one_line;
use crate::{Error, Method, Needs, Options, Result, Step, Trainer, Training};

/// Exports a [`Method`](crate::Method) as this library's one symbol. Once per crate, whose `crate-type` includes `cdylib`.
#[macro_export]
macro_rules! export_method {
    ($method:ty) => {
        $crate::export_table!($crate::export::loss_table::<$method>());
    };
}

/// Exports a [`Trainer`](crate::Trainer) as this library's one symbol. Once per crate, whose `crate-type` includes `cdylib`.
#[macro_export]
macro_rules! export_trainer {
    ($trainer:ty) => {
        $crate::export_table!($crate::export::trainer_table::<$trainer>());
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_table {
    ($table:expr) => {
        const _: () = {
            static TABLE: $crate::abi::MethodTable = $table;

            #[unsafe(no_mangle)]
            extern "C" fn harness_method_entry() -> *const $crate::abi::MethodTable {
                &raw const TABLE
            }
        };
    };
}

/// What the two tiers have in common, for a type of options `O`.
trait Tier<O: Options> {
    const ID: &'static str;
    const NEEDS: Needs;
    fn check(options: &O) -> Result<()>;
}

/// The tier of [`Method`].
struct LossTier;

impl<M: Method> Tier<M> for LossTier {
    const ID: &'static str = M::ID;
    const NEEDS: Needs = M::NEEDS;

    fn check(method: &M) -> Result<()> {
        method.check()
    }
}

/// The tier of [`Trainer`].
struct TrainerTier;

impl<T: Trainer> Tier<T> for TrainerTier {
    const ID: &'static str = T::ID;
    const NEEDS: Needs = T::NEEDS;

    fn check(trainer: &T) -> Result<()> {
        trainer.check()
    }
}

/// The table of method `M`.
pub const fn loss_table<M: Method>() -> MethodTable {
    MethodTable {
        describe: Some(describe::<M, LossTier>),
        create: Some(create::<M, LossTier>),
        loss: Some(loss::<M>),
        destroy: Some(destroy::<M>),
        ..MethodTable::EMPTY
    }
}

/// The table of trainer `T`.
pub const fn trainer_table<T: Trainer>() -> MethodTable {
    MethodTable {
        describe: Some(describe::<T, TrainerTier>),
        create: Some(create::<T, TrainerTier>),
        train: Some(train::<T>),
        destroy: Some(destroy::<T>),
        ..MethodTable::EMPTY
    }
}

unsafe extern "C" fn describe<O: Options, T: Tier<O>>(
    description: TextSink,
    error: TextSink,
) -> Status {
    guard(error, || {
        let text = json!({
            "id": T::ID,
            "version": O::VERSION,
            "summary": one_line(O::SUMMARY),
            "needs": T::NEEDS.names(),
            "keeps_state": O::KEEPS_STATE,
            "options": O::describe(),
        });
        write(description, &text.to_string());
        Ok(())
    })
}

unsafe extern "C" fn create<O: Options, T: Tier<O>>(
    options: Text,
    instance: *mut *mut c_void,
    error: TextSink,
) -> Status {
    guard(error, || {
        // SAFETY: the host lends valid text for the duration of this call.
        let options = unsafe { read(options) };
        let method: O =
            serde_json::from_str(&options).map_err(|cause| Error::new(cause.to_string()))?;
        T::check(&method)?;
        // SAFETY: the host passes a place for the pointer.
        unsafe { instance.write(Box::into_raw(Box::new(method)).cast()) };
        Ok(())
    })
}

unsafe extern "C" fn loss<M: Method>(
    instance: *mut c_void,
    host: *const HostTable,
    loss: *mut Handle,
    error: TextSink,
) -> Status {
    guard(error, || {
        // SAFETY: the host's table is valid until this call returns, and the engine is detached before that.
        let engine = Rc::new(unsafe { HostEngine::attach(host) }?);
        let _end = Detach(&engine);
        // SAFETY: `create::<M, _>` made the instance, and `destroy` has not been called.
        let method = unsafe { &*instance.cast::<M>() };
        let tensor = method.loss(&Step::new(engine.clone()))?;
        // Detached first, or dropping the tensor would release the handle that the host now owns.
        engine.detach();
        // SAFETY: the host passes a place for the handle.
        unsafe { loss.write(tensor.handle()) };
        Ok(())
    })
}

unsafe extern "C" fn train<T: Trainer>(
    instance: *mut c_void,
    host: *const HostTable,
    error: TextSink,
) -> Status {
    guard(error, || {
        // SAFETY: the host's table is valid until this call returns, and the engine is detached before that.
        let engine = Rc::new(unsafe { HostEngine::attach(host) }?);
        let _end = Detach(&engine);
        // SAFETY: `create::<T, _>` made the instance, and `destroy` has not been called.
        let trainer = unsafe { &*instance.cast::<T>() };
        trainer.train(&Training::new(engine.clone()))
    })
}

unsafe extern "C" fn destroy<O: Options>(instance: *mut c_void) {
    let mut report = String::new();
    let sink = TextSink {
        context: (&raw mut report).cast(),
        write: Some(append_text),
    };
    let status = guard(sink, || {
        // SAFETY: `create::<O, _>` made the instance, and the host gives it back once.
        drop(unsafe { Box::from_raw(instance.cast::<O>()) });
        Ok(())
    });
    if status == Status::PANIC {
        tell(&format!(
            "method `{}`: panicked in `destroy`: {report}",
            std::any::type_name::<O>()
        ));
    }
}

/// Tells the user, where the host cannot be told.
#[allow(
    clippy::print_stderr,
    reason = "the contract has no error of `destroy`"
)]
fn tell(message: &str) {
    eprintln!("{message}");
}

/// Detaches the engine however the step ends.
struct Detach<'a>(&'a HostEngine);

impl Drop for Detach<'_> {
    fn drop(&mut self) {
        self.0.detach();
    }
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
    static PANIC_REPORT: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `body`, turning an error or a panic into a status and a text.
fn guard(error: TextSink, body: impl FnOnce() -> Result<()>) -> Status {
    record_panics();
    GUARDED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(body));
    GUARDED.set(false);
    match outcome {
        Ok(Ok(())) => Status::OK,
        Ok(Err(refusal)) => {
            write(error, &refusal.to_string());
            Status::ERROR
        }
        Err(payload) => {
            write(error, &panic_report(payload));
            Status::PANIC
        }
    }
}

/// Keeps the report of a panic inside [`guard`] for the host instead of printing it. A library has its own copy of the standard library, so the
/// hook is the library's alone.
fn record_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |report| {
            if GUARDED.get() {
                PANIC_REPORT.set(describe_panic(report));
            } else {
                print(report);
            }
        }));
    });
}

fn describe_panic(report: &PanicHookInfo<'_>) -> String {
    let message = report.payload_as_str().unwrap_or("no message");
    match report.location() {
        Some(location) => format!("{message} (at {location})"),
        None => message.to_owned(),
    }
}

/// What the panic said, and where. The payload is leaked: dropping it could panic again.
fn panic_report(payload: Box<dyn Any + Send>) -> String {
    std::mem::forget(payload);
    PANIC_REPORT.take()
}

fn write(sink: TextSink, text: &str) {
    if let Some(append) = sink.write {
        // SAFETY: the host's sink is valid until the current call returns, and copies the text.
        unsafe { append(sink.context, Text::lend(text)) };
    }
}

/// Copies lent text; what is not UTF-8 is replaced.
///
/// # Safety
/// `text` is valid for reading, or its pointer is null.
pub(crate) unsafe fn read(text: Text) -> String {
    if text.pointer.is_null() {
        return String::new();
    }
    // SAFETY: non-null, and the caller vouches for the length.
    let bytes = unsafe { std::slice::from_raw_parts(text.pointer, text.length) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// A [`TextSink`]'s function whose context is a `String` that outlives the sink.
pub(crate) unsafe extern "C" fn append_text(context: *mut c_void, text: Text) {
    // SAFETY: the context is the `String` that the sink's maker lends, which nothing else uses until the call returns.
    unsafe { (*context.cast::<String>()).push_str(&read(text)) };
}
