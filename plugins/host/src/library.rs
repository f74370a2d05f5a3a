//! Loads a method's library and checks it before anything in it is called. It refuses to unload: code that ran may have left threads, hooks and statics.
#![allow(unsafe_code, reason = "loads libraries and reads their tables")]

use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::ptr::{NonNull, null_mut};

use harness_abi::{
    ABI_MAJOR, ABI_MINOR, ENTRY_SYMBOL, Entry, HEADER_SIZE, Handle, HostTable, MAX_STRUCT_SIZE,
    MethodTable, Status, Text, TextSink,
};
use libloading::Library;
use serde_json::Value;

use crate::text::{self, Reply};
use crate::{HostError, MethodDescription, MethodInstance};

/// A loaded and checked method. Cloning is cheap; the library stays loaded until the process ends.
#[derive(Clone, Debug)]
pub struct LoadedMethod {
    path: PathBuf,
    functions: Functions,
    abi_version: (u32, u32),
    description: MethodDescription,
}

/// The table's functions, known to be there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Functions {
    pub(crate) describe: unsafe extern "C" fn(TextSink, TextSink) -> Status,
    pub(crate) create: unsafe extern "C" fn(Text, *mut *mut c_void, TextSink) -> Status,
    pub(crate) work: Work,
    pub(crate) destroy: unsafe extern "C" fn(*mut c_void),
}

/// The function of the method's tier.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    Loss(unsafe extern "C" fn(*mut c_void, *const HostTable, *mut Handle, TextSink) -> Status),
    Train(unsafe extern "C" fn(*mut c_void, *const HostTable, TextSink) -> Status),
}

/// What a method is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// A loss, for a loop of the harness's.
    Loss,
    /// A loop of its own.
    Trainer,
}

impl LoadedMethod {
    /// Loads the library at `path`, checks its table in the order that [`harness_abi`] lays down, and asks for its description.
    pub fn open(path: &Path) -> Result<Self, HostError> {
        let (functions, abi_version) = functions(path, entry(path)?)?;
        // SAFETY: the function comes from a checked table; the sinks last for the call.
        let reply = text::receive(|answer, error| unsafe { (functions.describe)(answer, error) });
        let json = answer(&path.display().to_string(), "describe", reply)?;
        let mut description =
            MethodDescription::parse(&json).map_err(|cause| HostError::Description {
                path: path.to_owned(),
                cause,
            })?;
        description.owns_loop = matches!(functions.work, Work::Train(_));
        Ok(Self {
            path: path.to_owned(),
            functions,
            abi_version,
            description,
        })
    }

    /// Where the library is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Major and minor version of the contract that it was built for.
    pub fn abi_version(&self) -> (u32, u32) {
        self.abi_version
    }

    /// Whether the method is a loss or owns its loop.
    pub fn tier(&self) -> Tier {
        match self.functions.work {
            Work::Loss(_) => Tier::Loss,
            Work::Train(_) => Tier::Trainer,
        }
    }

    /// What the method says about itself.
    pub fn description(&self) -> &MethodDescription {
        &self.description
    }

    /// Makes an instance. `options` is a JSON object; names that are absent have the described default.
    pub fn create(&self, options: &Value) -> Result<MethodInstance, HostError> {
        self.description.check_options(options)?;
        self.create_unchecked(options)
    }

    /// The same with options that its description may not know: for tests of the library's own refusals.
    pub fn create_unchecked(&self, options: &Value) -> Result<MethodInstance, HostError> {
        let options = options.to_string();
        let mut instance = null_mut();
        let reply = text::receive(|_, error| {
            let options = Text::lend(&options);
            // SAFETY: the function comes from a checked table; text, place and sink last for the call.
            unsafe { (self.functions.create)(options, &raw mut instance, error) }
        });
        answer(&self.description.id, "create", reply)?;
        let instance = NonNull::new(instance).ok_or_else(|| HostError::Plugin {
            plugin: self.description.id.clone(),
            function: "create",
            message: "reported success without an instance".to_owned(),
        })?;
        Ok(MethodInstance::new(
            self.functions,
            self.description.clone(),
            instance,
        ))
    }
}

/// What a call wrote, or the error that its status stands for.
pub(crate) fn answer(
    plugin: &str,
    function: &'static str,
    reply: Reply,
) -> Result<String, HostError> {
    let (plugin, mut message) = (plugin.to_owned(), reply.error);
    if message.is_empty() {
        message = format!("no reason given (status {})", reply.status.0);
    }
    match reply.status {
        Status::OK => Ok(reply.answer),
        Status::PANIC => Err(HostError::Panic {
            plugin,
            function,
            message,
        }),
        _ => Err(HostError::Plugin {
            plugin,
            function,
            message,
        }),
    }
}

/// Loads the library for good and calls its entry function.
fn entry(path: &Path) -> Result<*const MethodTable, HostError> {
    if !path.is_file() {
        return Err(HostError::NoSuchFile {
            path: path.to_owned(),
        });
    }
    let not_a_library = |cause: String| HostError::NotALibrary {
        path: path.to_owned(),
        cause,
    };
    // Without a separator the loader would search the system's folders instead.
    let full_path = std::path::absolute(path).map_err(|error| not_a_library(error.to_string()))?;
    // SAFETY: loading runs the library's initialisers; that the user trusts it is the meaning of naming it.
    let library =
        unsafe { Library::new(full_path) }.map_err(|error| not_a_library(cause(&error)))?;
    // SAFETY: a library that exports this symbol promises this type.
    let symbol = unsafe { library.get::<Entry>(ENTRY_SYMBOL) }.map(|symbol| *symbol);
    std::mem::forget(library);
    let entry = symbol.map_err(|_| HostError::NoSymbol {
        path: path.to_owned(),
    })?;
    // SAFETY: the contract lets it be called at any time; the library is never unloaded.
    Ok(unsafe { entry() })
}

/// The loader's own words, without the layer around them.
fn cause(error: &libloading::Error) -> String {
    match error {
        libloading::Error::DlOpen { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// Checks a table: pointer, plausible size, version, full size, functions; in this order.
fn functions(path: &Path, table: *const MethodTable) -> Result<(Functions, (u32, u32)), HostError> {
    let owned = || path.to_owned();
    if table.is_null() || !table.is_aligned() {
        return Err(HostError::NoTable { path: owned() });
    }
    // SAFETY: a non-null pointer from the entry function points to a table, whose first three fields are the same in every version.
    let (size, major, minor) =
        unsafe { ((*table).struct_size, (*table).abi_major, (*table).abi_minor) };
    let wrong_size = |expected: String| HostError::StructSize {
        path: owned(),
        size,
        expected,
    };
    if !(HEADER_SIZE..=MAX_STRUCT_SIZE).contains(&size) {
        return Err(wrong_size(format!("{HEADER_SIZE} to {MAX_STRUCT_SIZE}")));
    }
    if major != ABI_MAJOR || minor > ABI_MINOR {
        return Err(HostError::AbiVersion {
            path: owned(),
            major,
            minor,
        });
    }
    let expected = MethodTable::size_at(minor);
    if size < expected {
        return Err(wrong_size(format!("at least {expected}")));
    }
    let mut known = MethodTable::EMPTY;
    // SAFETY: version and size say that these bytes are there, the first of a table that only grows at its end. The rest stays empty.
    unsafe {
        let target = (&raw mut known).cast::<u8>();
        std::ptr::copy_nonoverlapping(table.cast::<u8>(), target, expected);
    }
    let missing = |function: &'static str| HostError::MissingFunction {
        path: owned(),
        function,
    };
    let functions = Functions {
        describe: known.describe.ok_or_else(|| missing("describe"))?,
        create: known.create.ok_or_else(|| missing("create"))?,
        work: match (known.loss, known.train) {
            (Some(loss), None) => Work::Loss(loss),
            (None, Some(train)) => Work::Train(train),
            (Some(_), Some(_)) => return Err(HostError::TwoTiers { path: owned() }),
            (None, None) if minor == 0 => return Err(missing("loss")),
            (None, None) => return Err(missing("loss or train")),
        },
        destroy: known.destroy.ok_or_else(|| missing("destroy"))?,
    };
    Ok((functions, (major, minor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(table: *const MethodTable) -> String {
        functions(Path::new("x.so"), table).unwrap_err().to_string()
    }

    #[test]
    fn a_null_table_is_refused() {
        assert!(refusal(std::ptr::null()).contains("null or misaligned"));
    }

    #[test]
    fn a_misaligned_table_is_refused() {
        assert!(refusal(std::ptr::without_provenance(1)).contains("null or misaligned"));
    }

    #[test]
    fn an_implausible_size_is_refused_before_the_version_is_looked_at() {
        for struct_size in [0, HEADER_SIZE - 1, MAX_STRUCT_SIZE + 1, usize::MAX] {
            let table = MethodTable {
                struct_size,
                abi_major: 99,
                ..MethodTable::EMPTY
            };
            assert!(refusal(&raw const table).contains(&format!("claims {struct_size} bytes")));
        }
    }

    #[test]
    fn a_version_is_refused_before_the_full_size_is_looked_at() {
        let newer = MethodTable {
            struct_size: HEADER_SIZE,
            abi_minor: ABI_MINOR + 1,
            ..MethodTable::EMPTY
        };
        let message = refusal(&raw const newer);
        assert!(message.contains("built for plugin ABI 1.2"), "{message}");
        assert!(message.contains("update the harness"), "{message}");
    }

    #[test]
    fn a_table_that_ends_early_is_refused() {
        let table = MethodTable {
            struct_size: size_of::<MethodTable>() - 1,
            ..MethodTable::EMPTY
        };
        assert!(refusal(&raw const table).contains("expected at least"));
    }

    #[test]
    fn the_first_minor_version_ends_before_train() {
        let old = MethodTable {
            struct_size: MethodTable::size_at(0),
            abi_minor: 0,
            ..MethodTable::EMPTY
        };
        assert!(refusal(&raw const old).contains("no `describe`"));
        let short = MethodTable {
            abi_minor: 1,
            ..old
        };
        assert!(refusal(&raw const short).contains("expected at least 56"));
    }

    #[test]
    fn a_missing_function_is_named() {
        let table = MethodTable::EMPTY;
        assert!(refusal(&raw const table).contains("no `describe`"));
    }
}
