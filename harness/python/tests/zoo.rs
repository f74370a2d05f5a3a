//! lm-eval's own tasks, whose Python is called, against ours, which have native functions instead: the same requests, and the
//! same scores of the same answers. Skips what is not there: the tasks, the data, Python or a package that a task needs.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test: panics are failures, skips are said aloud"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use harness_data::DataSource;
use harness_python::PythonHooks;
use harness_task::{
    DocumentRequests, Hooks, Limit, Request, RequestOptions, Response, Task, TaskError,
    TaskLibrary, TaskScores,
};
use serde_json::Value;

/// Of documents that are scored; requests are compared for all.
const SCORED: usize = 25;
/// Two ways to add up logarithms.
const TOLERANCE: f64 = 1e-9;

fn data() -> Option<PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");
    let data = std::env::var_os("HARNESS_DATA").map_or_else(|| default.into(), PathBuf::from);
    if !data.is_dir() {
        eprintln!("SKIPPED: no {} (set HARNESS_DATA)", data.display());
        return None;
    }
    Some(data)
}

fn zoo() -> Option<PathBuf> {
    let zoo = std::env::var_os("HARNESS_LM_EVAL_TASKS").map(PathBuf::from);
    if zoo.is_none() {
        eprintln!("SKIPPED: no tasks of lm-eval (set HARNESS_LM_EVAL_TASKS)");
    }
    zoo
}

fn load(folder: &Path, name: &str, data: &[PathBuf]) -> Result<Task, TaskError> {
    let library = TaskLibrary::open(&[folder.to_owned()])?;
    let spec = library.resolve(&[name.to_owned()])?.remove(0);
    let hooks: Arc<dyn Hooks> = Arc::new(PythonHooks::from_environment());
    Ok(
        Task::load_with_hooks(spec, &DataSource::new(data.to_vec()), Some(hooks))?
            .with_bootstrap_replicates(0),
    )
}

/// An answer that only depends on what was asked and where.
fn answer(request: &Request, document: &DocumentRequests, index: usize) -> Response {
    let state = (document.doc_id * 31 + index + 1) as u64;
    let share = (state.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11) as f64 / (1_u64 << 53) as f64;
    let logprob = -20.0 * share - 0.1;
    match request {
        Request::Loglikelihood { .. } => Response::Loglikelihood {
            logprob,
            is_greedy: share < 0.5,
        },
        Request::LoglikelihoodRolling { .. } => Response::LoglikelihoodRolling { logprob },
        Request::GenerateUntil { .. } => Response::GenerateUntil {
            text: format!("\nThe answer is {}. {}", index + 18, document.target),
        },
        other => panic!("{other:?}"),
    }
}

fn scored(task: &Task, shots: Option<usize>) -> Result<TaskScores, TaskError> {
    let documents = task.requests(&RequestOptions {
        num_fewshot: shots,
        limit: Some(Limit::Count(SCORED)),
        ..RequestOptions::default()
    })?;
    let answers = documents.iter().flat_map(|document| {
        let requests = document.requests.iter().enumerate();
        requests.map(|(index, request)| answer(request, document, index))
    });
    let answers: Vec<Response> = answers.collect();
    task.score(&documents, &answers)
}

fn close(ours: &Value, theirs: &Value) -> bool {
    match (ours.as_f64(), theirs.as_f64()) {
        (Some(ours), Some(theirs)) => (ours - theirs).abs() <= TOLERANCE * theirs.abs().max(1.0),
        _ => match (ours.as_array(), theirs.as_array()) {
            (Some(ours), Some(theirs)) if ours.len() == theirs.len() => ours
                .iter()
                .zip(theirs)
                .all(|(ours, theirs)| close(ours, theirs)),
            _ => ours == theirs,
        },
    }
}

fn scores_agree(ours: &TaskScores, theirs: &TaskScores) {
    assert_eq!(ours.samples.len(), theirs.samples.len());
    for (ours, theirs) in ours.samples.iter().zip(&theirs.samples) {
        assert_eq!(ours.filter, theirs.filter);
        assert_eq!(ours.metrics.len(), theirs.metrics.len());
        for (our, their) in ours.metrics.iter().zip(&theirs.metrics) {
            let same = our.name == their.name && close(&our.value, &their.value);
            assert!(same, "document {}: {our:?} {their:?}", ours.doc_id);
        }
    }
    for (our, their) in ours.result.metrics.iter().zip(&theirs.result.metrics) {
        let same = our.name == their.name && close(&our.value.into(), &their.value.into());
        assert!(same, "{our:?} {their:?}");
    }
}

/// The rows of the pairs of prompts and answers, and the target.
fn asked(task: &Task, shots: Option<usize>) -> Result<Vec<Value>, TaskError> {
    let documents = task.requests(&RequestOptions {
        num_fewshot: shots,
        ..RequestOptions::default()
    })?;
    let asked = documents.iter().map(|document| {
        let arguments: Vec<_> = document.requests.iter().map(Request::arguments).collect();
        serde_json::json!([document.doc_id, arguments, document.target])
    });
    Ok(asked.collect())
}

fn compared(
    zoo: &Path,
    data: &[PathBuf],
    name: &str,
    shots: Option<usize>,
) -> Result<(), TaskError> {
    let folder = name.split('_').next().unwrap();
    let house = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tasks");
    let ours = load(&house.join(folder), name, data)?;
    let theirs = load(&zoo.join(folder), name, data)?;
    let (our_requests, their_requests) = (asked(&ours, shots)?, asked(&theirs, shots)?);
    assert_eq!(our_requests.len(), their_requests.len());
    for (ours, theirs) in our_requests.iter().zip(&their_requests) {
        assert_eq!(ours, theirs, "{name}");
    }
    scores_agree(&scored(&ours, shots)?, &scored(&theirs, shots)?);
    eprintln!("{name}: {} documents", our_requests.len());
    Ok(())
}

fn is_as_ours(name: &str, shots: Option<usize>) {
    let (Some(zoo), Some(data)) = (zoo(), data()) else {
        return;
    };
    let rows = match shots {
        Some(1..) => vec![data.with_file_name("data-fewshot"), data],
        _ => vec![data],
    };
    match compared(&zoo, &rows, name, shots) {
        Ok(()) => {}
        Err(error @ TaskError::HookFailed { .. })
            if error.to_string().contains("pip install")
                || error.to_string().contains("cannot be started") =>
        {
            eprintln!("SKIPPED: {error}");
        }
        Err(error) => panic!("{error}"),
    }
}

macro_rules! tasks {
    ($($name:ident $shots:expr;)*) => {
        $(#[test] fn $name() { is_as_ours(stringify!($name), $shots) })*
    };
}

tasks! {
    hellaswag Some(10);
    winogrande Some(5);
    truthfulqa_mc2 None;
    truthfulqa_gen None;
    gsm8k_cot None;
    wikitext None;
    mathqa None;
}
