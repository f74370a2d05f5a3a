//! Options that several subcommands share, and how they become tasks, data and devices.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use bytesize::ByteSize;
use clap::Args;
use harness_bench::TextPair;
use harness_bench::unlearn::{ChildLimits, WorkerCommand};
use harness_data::DataSource;
use harness_model::DeviceName;
use harness_task::{Limit, Task, TaskLibrary};

use crate::dataset_hub::DatasetHub;
use crate::exit::Refused;
use crate::locations::{cache_folder, task_folders};

/// Where tasks and their data are.
#[derive(Args)]
pub(crate) struct TaskOptions {
    /// Folder with data sets, as `ORG__NAME`/ or ORG/NAME/ with Parquet, JSONL or CSV splits inside (repeatable); what no
    /// folder has is looked for in the hub's cache, then at the hub
    #[arg(long, value_name = "DIR")]
    data_dir: Vec<PathBuf>,
    /// Folder with further task YAMLs; they win over built-in ones of the same name (repeatable)
    #[arg(long, value_name = "DIR")]
    include_path: Vec<PathBuf>,
}

impl TaskOptions {
    pub(crate) fn library(&self) -> Result<TaskLibrary> {
        require_folders("--include-path", &self.include_path)?;
        Ok(TaskLibrary::open_with_cache(
            &task_folders(&self.include_path),
            cache_folder().as_deref(),
        )?)
    }

    pub(crate) fn source(&self) -> Result<DataSource> {
        require_folders("--data-dir", &self.data_dir)?;
        let source = DataSource::new(self.data_dir.clone());
        Ok(source.with_remote(Box::new(DatasetHub::default())))
    }

    /// A task's documents in a training role.
    pub(crate) fn answers(
        &self,
        library: &TaskLibrary,
        name: &str,
        limit: Option<Limit>,
    ) -> Result<Vec<TextPair>> {
        let source = self.source()?;
        let mut pairs = Vec::new();
        for spec in library.resolve(&[name.to_owned()])? {
            let task = Task::load(spec, &source)?;
            pairs.extend(task.training_pairs(limit)?.into_iter().map(TextPair::from));
        }
        Ok(pairs)
    }
}

/// Refuses an option's folders that are none.
pub(crate) fn require_folders(option: &str, folders: &[PathBuf]) -> Result<()> {
    match folders.iter().find(|folder| !folder.is_dir()) {
        None => Ok(()),
        Some(missing) => {
            let hint = harness_spelling::path_hint(missing);
            let message = format!("{option} {}: no such folder{hint}", missing.display());
            Err(Refused(message).into())
        }
    }
}

/// Reads `--limit`.
pub(crate) fn limit(number: Option<f64>) -> Result<Option<Limit>> {
    number
        .map(|number| {
            Limit::from_number(number).ok_or_else(|| {
                Refused(format!(
                    "--limit {number}: a positive number, below 1 a share of the documents"
                ))
                .into()
            })
        })
        .transpose()
}

/// Reads `--device`.
pub(crate) fn device(name: &str) -> Result<DeviceName> {
    let read = name.parse::<DeviceName>();
    read.map_err(|error| Refused(format!("--{error}")).into())
}

/// This very program, run as the child that holds a method, with as many threads.
pub(crate) fn worker() -> Result<WorkerCommand> {
    Ok(WorkerCommand {
        program: std::env::current_exe()?,
        arguments: vec!["worker".into()],
        threads: rayon::current_num_threads(),
        limits: ChildLimits::default(),
    })
}

/// Reads a truth value as Python's users write it: `True`, `false`, `1`.
pub(crate) fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err("true or false".to_owned()),
    }
}

/// Reads a time in seconds.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let number: Option<f64> = text.parse().ok().filter(|&seconds| seconds > 0.0);
    number
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a positive number of seconds".to_owned())
}

/// Reads a size in memory.
pub(crate) fn memory_bytes(text: &str) -> Result<usize, String> {
    let bytes = text.parse::<ByteSize>().ok();
    bytes
        .and_then(|bytes| usize::try_from(bytes.as_u64()).ok())
        .filter(|&bytes| bytes > 0)
        .ok_or_else(|| "a size such as 512MiB or 4GB".to_owned())
}
