//! The bridge to Python: calls the functions that task YAMLs name with `!function`, in a `python3` process of their own.
//! Refuses to run anything by itself: a caller that was not told to trust a task's code makes no [`PythonHooks`].

mod error;
mod files;
mod hooks;
mod process;
mod settings;
mod tail;

pub use hooks::PythonHooks;
pub use settings::PythonSettings;
