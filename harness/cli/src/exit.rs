//! Exit codes: 0 done, 1 the work failed, 2 the request was wrong.

use std::error::Error;
use std::process::ExitCode;

use harness_bench::BenchError;
use harness_data::DataError;
use harness_engine::EngineError;
use harness_hub::HubError;
use harness_model::ModelError;
use harness_task::TaskError;

/// A request that makes no sense.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Refused {}

/// Prints the error, if there is one, and chooses the code.
pub(crate) fn code(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Every error of ours names its cause itself.
            print_error(&error.to_string());
            if let Some(excerpt) = excerpt(&error) {
                print_below(&excerpt);
            }
            if is_refusal(&error) {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

#[allow(clippy::print_stderr, reason = "the one place where errors are shown")]
pub(crate) fn print_error(message: &str) {
    eprintln!("harness: {message}");
}

#[allow(clippy::print_stderr, reason = "belongs to the error above it")]
fn print_below(text: &str) {
    eprintln!("{text}");
}

/// The line of a task file that the error is about.
fn excerpt(error: &anyhow::Error) -> Option<String> {
    let task_error = |cause: &(dyn std::error::Error + 'static)| {
        let in_bench = match cause.downcast_ref::<BenchError>() {
            Some(BenchError::Task(error)) => Some(error.excerpt()),
            _ => None,
        };
        in_bench.or_else(|| Some(cause.downcast_ref::<TaskError>()?.excerpt()))
    };
    error.chain().find_map(task_error).flatten()
}

/// Whoever reads our output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Whether the request was wrong, rather than the work failing.
pub(crate) fn is_refusal(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Refused>()
            || hub_refuses(cause)
            || cause.downcast_ref::<TaskError>().is_some_and(task_refuses)
            || cause.is::<harness_host::HostError>()
            || cause
                .downcast_ref::<BenchError>()
                .is_some_and(bench_refuses)
            || cause
                .downcast_ref::<EngineError>()
                .is_some_and(engine_refuses)
            || cause
                .downcast_ref::<ModelError>()
                .is_some_and(model_refuses)
    })
}

/// A hub that cannot be reached, or a cache that cannot be written, is nobody's mistake.
fn hub_refuses(cause: &(dyn Error + 'static)) -> bool {
    cause.downcast_ref().is_some_and(is_hub_refusal)
}

fn is_hub_refusal(error: &HubError) -> bool {
    !matches!(error, HubError::Io { .. } | HubError::Unreachable { .. })
}

fn engine_refuses(error: &EngineError) -> bool {
    match error {
        EngineError::Model(error) => model_refuses(error),
        EngineError::InRequest { source, .. } => engine_refuses(source),
        EngineError::NotFinite | EngineError::Cache { .. } => false,
        _ => true,
    }
}

fn bench_refuses(error: &BenchError) -> bool {
    match error {
        BenchError::Model(error) => model_refuses(error),
        BenchError::Engine(error) => engine_refuses(error),
        BenchError::Task(error) => task_refuses(error),
        BenchError::Request(_) | BenchError::Method(_) | BenchError::Host(_) => true,
        _ => false,
    }
}

/// A score that is no number is the model's fault, not the request's; a hub that is away is nobody's.
fn task_refuses(error: &TaskError) -> bool {
    match error {
        TaskError::Score { .. } | TaskError::Aggregate { .. } => false,
        TaskError::Data { source, .. } => match source.as_ref() {
            DataError::Remote { source, .. }
            | DataError::DatasetNotFound {
                hub: Some(source), ..
            } => source.downcast_ref().is_none_or(is_hub_refusal),
            _ => true,
        },
        _ => true,
    }
}

fn model_refuses(error: &ModelError) -> bool {
    !matches!(
        error,
        ModelError::Tensor(_) | ModelError::Io { .. } | ModelError::Diverged(_)
    )
}
