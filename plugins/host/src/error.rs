//! Everything that can go wrong between the harness and a method. It refuses bare causes: each names the plugin, the function and the way out.

use std::path::PathBuf;

use harness_abi::{ABI_MAJOR, ABI_MINOR, Role};
use thiserror::Error;

/// Why a method could not be found, loaded, made or run.
#[derive(Debug, Error)]
pub enum HostError {
    /// No library of that name on the search path.
    #[error("method `{name}`: not found{} (searched {}; {})", suggestion(nearest.as_deref()), folders(searched), offer(found))]
    NotFound {
        /// What was asked for.
        name: String,
        /// The most similar method that is there.
        nearest: Option<String>,
        /// Every method that is there.
        found: Vec<String>,
        /// Folders that were searched.
        searched: Vec<PathBuf>,
    },
    /// The explicit path leads to no file.
    #[error("method library {}: no such file", path.display())]
    NoSuchFile {
        /// The path.
        path: PathBuf,
    },
    /// A folder of the search path could not be read.
    #[error("method search path: cannot read {}: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no dynamic library of this platform, or one with missing dependencies.
    #[error("method library {}: cannot be loaded as a dynamic library: {cause}", path.display())]
    NotALibrary {
        /// The file.
        path: PathBuf,
        /// The loader's words.
        cause: String,
    },
    /// A dynamic library, but not a method.
    #[error("method library {}: exports no `{}`; it is no harness method (does the crate call `export_method!`?)", path.display(), harness_abi::ENTRY_SYMBOL)]
    NoSymbol {
        /// The file.
        path: PathBuf,
    },
    /// The entry function returned no usable table.
    #[error("method library {}: `{}` returned a null or misaligned table", path.display(), harness_abi::ENTRY_SYMBOL)]
    NoTable {
        /// The file.
        path: PathBuf,
    },
    /// The table's size cannot be right.
    #[error("method library {}: its method table claims {size} bytes, expected {expected}; the library is damaged or not built against the harness SDK", path.display())]
    StructSize {
        /// The file.
        path: PathBuf,
        /// What it says.
        size: usize,
        /// What would be right.
        expected: String,
    },
    /// Built against an incompatible contract.
    #[error("method library {}: built for plugin ABI {major}.{minor}, this harness speaks {ABI_MAJOR}.{ABI_MINOR}; {}", path.display(), remedy(*major, *minor))]
    AbiVersion {
        /// The file.
        path: PathBuf,
        /// The library's major version.
        major: u32,
        /// The library's minor version.
        minor: u32,
    },
    /// A function of the table is null.
    #[error("method library {}: its method table has no `{function}`", path.display())]
    MissingFunction {
        /// The file.
        path: PathBuf,
        /// The function.
        function: &'static str,
    },
    /// A method is either a loss or a loop.
    #[error("method library {}: its method table has both `loss` and `train`; a method is one of the two", path.display())]
    TwoTiers {
        /// The file.
        path: PathBuf,
    },
    /// The method is of the other tier.
    #[error("method `{plugin}`: has no `{function}`; it {}", if *function == "loss" { "owns its loop" } else { "is a loss" })]
    OtherTier {
        /// The method.
        plugin: String,
        /// What was asked of it.
        function: &'static str,
    },
    /// Training left a weight that is not finite.
    #[error(
        "method `{plugin}`: `train` left {parameter} with values that are not finite; the run has diverged (a lower learning rate or factor may help)"
    )]
    BrokenWeights {
        /// The method.
        plugin: String,
        /// The first such parameter.
        parameter: String,
    },
    /// The description is no valid JSON of the documented form, or asks for what this harness cannot serve.
    #[error("method library {}: `describe` gave an invalid description: {cause}", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// File name and description disagree.
    #[error("method library {}: its method calls itself `{id}`; rename the file or the method", path.display())]
    WrongId {
        /// The file.
        path: PathBuf,
        /// The description's id.
        id: String,
    },
    /// A setting without `=`.
    #[error("method `{plugin}`: setting `{setting}` is not of the form name=value")]
    Setting {
        /// The method.
        plugin: String,
        /// The setting.
        setting: String,
    },
    /// No option of that name.
    #[error("method `{plugin}`: no option `{option}`{} ({})", suggestion(nearest.as_deref()), offer(known))]
    UnknownOption {
        /// The method.
        plugin: String,
        /// What was asked for.
        option: String,
        /// The most similar option.
        nearest: Option<String>,
        /// Every option.
        known: Vec<String>,
    },
    /// An option's value has the wrong type, or is none of its words.
    #[error("method `{plugin}`: option `{option}` must be {expected}, got `{value}`")]
    OptionType {
        /// The method.
        plugin: String,
        /// The option.
        option: String,
        /// Its type, or the words that it may be.
        expected: String,
        /// What was given.
        value: String,
    },
    /// The options are no JSON object.
    #[error("method `{plugin}`: options must be a JSON object of names and values")]
    NotAnObject {
        /// The method.
        plugin: String,
    },
    /// The method refused or gave up.
    #[error("method `{plugin}`: `{function}` failed: {message}")]
    Plugin {
        /// The method (the file before its name is known).
        plugin: String,
        /// The function that failed.
        function: &'static str,
        /// The method's words.
        message: String,
    },
    /// A bug in the method.
    #[error("method `{plugin}`: panicked in `{function}`: {message}")]
    Panic {
        /// The method (the file before its name is known).
        plugin: String,
        /// The function that panicked.
        function: &'static str,
        /// Place and message of the panic.
        message: String,
    },
    /// The instance panicked before.
    #[error("method `{plugin}`: its instance panicked in an earlier step and cannot go on")]
    AfterPanic {
        /// The method.
        plugin: String,
    },
    /// An operation failed on the way to the loss, to a logged value or to a change of the weights.
    #[error("method `{plugin}`: in `{function}`, operation `{operation}` failed: {cause}")]
    Poisoned {
        /// The method.
        plugin: String,
        /// The function that asked for it.
        function: &'static str,
        /// The operation that failed first.
        operation: String,
        /// Its shapes and what is wrong with them.
        cause: String,
    },
    /// The returned loss is no tensor of this step.
    #[error(
        "method `{plugin}`: `loss` returned a stale handle ({handle:#018x}): of another step, released, or never issued"
    )]
    StaleHandle {
        /// The method.
        plugin: String,
        /// The handle.
        handle: u64,
    },
    /// The loss is not one number.
    #[error(
        "method `{plugin}`: `loss` returned a tensor of shape {shape:?}, expected a scalar; reduce it with mean or sum"
    )]
    NonScalarLoss {
        /// The method.
        plugin: String,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// The loss is NaN or infinite.
    #[error(
        "method `{plugin}`: `loss` is {value}; the run has diverged or the formula leaves its domain (a lower learning rate may help)"
    )]
    NonFiniteLoss {
        /// The method.
        plugin: String,
        /// NaN or an infinity.
        value: f32,
    },
    /// The loss does not depend on the model, so training on it would silently do nothing.
    #[error(
        "method `{plugin}`: `loss` returned a constant: no gradient reaches the model (was it detached?)"
    )]
    ConstantLoss {
        /// The method.
        plugin: String,
    },
    /// The harness's own side failed to provide a batch.
    #[error("{} batch for method `{plugin}`: {cause}", role.name())]
    Source {
        /// The method.
        plugin: String,
        /// Which batch.
        role: Role,
        /// Why.
        cause: String,
    },
    /// Reading the finished loss from its device failed.
    #[error("method `{plugin}`: cannot read the loss: {source}")]
    Device {
        /// The method.
        plugin: String,
        /// Why.
        source: candle_core::Error,
    },
}

/// A candle error's message without the backtrace that the environment may ask for.
pub(crate) fn plain(error: &candle_core::Error) -> String {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => plain(inner),
        other => other.to_string(),
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

fn offer(names: &[String]) -> String {
    if names.is_empty() {
        return "none available".to_owned();
    }
    format!("available: {}", names.join(", "))
}

fn folders(searched: &[PathBuf]) -> String {
    if searched.is_empty() {
        return "no folder (the search path is empty)".to_owned();
    }
    let names: Vec<String> = searched
        .iter()
        .map(|folder| folder.display().to_string())
        .collect();
    names.join(", ")
}

fn remedy(major: u32, minor: u32) -> String {
    if (major, minor) > (ABI_MAJOR, ABI_MINOR) {
        return format!(
            "update the harness, or rebuild the method against SDK {ABI_MAJOR}.{ABI_MINOR}"
        );
    }
    format!("rebuild the method against SDK {ABI_MAJOR}.{ABI_MINOR}")
}
