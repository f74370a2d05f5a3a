//! The parent's side: starts the child, keeps the log, and turns whatever becomes of the child into an answer or an error.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use harness_host::{MethodDescription, MethodPath};
use harness_model::Staging;
use serde::{Deserialize, Serialize};

use super::job::{Job, StepRecord, UnlearnJob, WorkerEvent};
use crate::error::{BenchError, Result, io};
use crate::event::{Event, Observer};

/// The log's name in the output directory.
const LOG: &str = "unlearn.jsonl";

/// How to start a child: a program that calls [`super::serve`] with its standard input and output.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// What an unlearning run amounted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnlearnSummary {
    /// Optimiser steps.
    pub steps: usize,
    /// Tokens through the trained model.
    pub tokens: usize,
    /// Tokens through the frozen original.
    pub reference_tokens: usize,
    /// Wall time of the steps.
    pub seconds: f64,
    /// Loss of the first step.
    pub first_loss: f64,
    /// Loss of the last step.
    pub last_loss: f64,
}

impl UnlearnSummary {
    fn of(steps: &[StepRecord]) -> Self {
        let loss = |step: Option<&StepRecord>| step.map_or(f64::NAN, |step| step.loss);
        Self {
            steps: steps.len(),
            tokens: steps.iter().map(|step| step.tokens).sum(),
            reference_tokens: steps.iter().map(|step| step.reference_tokens).sum(),
            seconds: steps.iter().map(|step| step.seconds).sum(),
            first_loss: loss(steps.first()),
            last_loss: loss(steps.last()),
        }
    }
}

/// A running child.
struct Worker {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    library: PathBuf,
}

impl Worker {
    fn start(command: &WorkerCommand, job: &Job, library: &Path) -> Result<Self> {
        let mut child = Command::new(&command.program)
            .args(&command.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(io(&command.program))?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(BenchError::Request("the child process has no pipes".into()));
        };
        let text =
            serde_json::to_vec(job).map_err(|error| BenchError::Request(error.to_string()))?;
        // A child that dies before it has read everything is reported by its exit status, not by the broken pipe.
        let _ = stdin.write_all(&text);
        drop(stdin);
        Ok(Self {
            child,
            lines: BufReader::new(stdout).lines(),
            library: library.to_owned(),
        })
    }

    /// The next event; lines that are none are the method's own prints. `None` when the child has closed its output.
    fn next(&mut self, observer: &mut Observer) -> Option<WorkerEvent> {
        loop {
            let line = self.lines.next()?.ok()?;
            match serde_json::from_str(&line) {
                Ok(event) => return Some(event),
                Err(_) => observer(Event::Message(format!("{}: {line}", self.name()))),
            }
        }
    }

    fn name(&self) -> String {
        self.library
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    /// How the child ended, in words.
    fn obituary(&mut self, during: &str) -> String {
        let library = self.library.display();
        match self.child.wait() {
            Ok(status) => format!(
                "method library {library}: the process running it {} {during}",
                how_it_ended(status)
            ),
            Err(error) => format!(
                "method library {library}: the process running it was lost {during}: {error}"
            ),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
fn how_it_ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    let names = [
        (4, "illegal instruction"),
        (6, "abort"),
        (7, "bus error"),
        (9, "kill"),
        (11, "segmentation fault"),
    ];
    match status.signal() {
        None => format!("ended with {status}"),
        Some(signal) => {
            let name = names
                .iter()
                .find(|(number, _)| *number == signal)
                .map_or("signal", |(_, name)| name);
            format!("crashed ({name}, signal {signal})")
        }
    }
}

#[cfg(not(unix))]
fn how_it_ended(status: ExitStatus) -> String {
    format!("ended with {status}")
}

/// Asks a library what it is, in a child process.
///
/// # Errors
/// When the library is refused or crashes.
fn describe(command: &WorkerCommand, library: &Path) -> Result<MethodDescription> {
    let job = Job::Describe {
        library: library.to_owned(),
    };
    let mut worker = Worker::start(command, &job, library)?;
    let mut ignore = |_| {};
    match worker.next(&mut ignore) {
        Some(WorkerEvent::Described(description)) => Ok(description),
        Some(WorkerEvent::Failed { message, .. }) => Err(BenchError::Method(message)),
        Some(_) | None => Err(BenchError::Method(worker.obituary("while it was loaded"))),
    }
}

/// Finds a method on the search path and asks its library what it is, in a child process.
///
/// # Errors
/// When it is not found, refused, crashes, or calls itself something else.
pub fn find_method(
    command: &WorkerCommand,
    path: &MethodPath,
    method: &str,
) -> Result<(PathBuf, MethodDescription)> {
    let library = path.find(method)?;
    let description = describe(command, &library)?;
    MethodPath::check_id(method, &library, &description)?;
    Ok((library, description))
}

/// Runs `job` in a child process and turns its result into the model directory `output`, which must not be occupied.
/// `job.output` is set here; until the run is whole, everything lies in `output` with `.partial` appended.
///
/// # Errors
/// When the output is occupied, the request is refused, or the method fails; a failed run leaves its log behind.
pub fn run(
    command: &WorkerCommand,
    mut job: UnlearnJob,
    output: &Path,
    observer: &mut Observer,
) -> Result<UnlearnSummary> {
    let staging = Staging::begin(output)?;
    staging.path().clone_into(&mut job.output);
    let library = job.library.clone();
    let followed = Worker::start(command, &Job::Unlearn(Box::new(job)), &library)
        .and_then(|worker| follow(worker, staging.path(), observer));
    match followed {
        Ok(steps) => {
            staging.publish()?;
            Ok(UnlearnSummary::of(&steps))
        }
        Err(error) => {
            // An empty log is no loss.
            if !matches!(error, BenchError::MethodFailed { kept: Some(_), .. }) {
                staging.discard();
            }
            Err(error)
        }
    }
}

/// Reads the child's events to the end, writing each step to the log as it comes.
fn follow(mut worker: Worker, staging: &Path, observer: &mut Observer) -> Result<Vec<StepRecord>> {
    let path = staging.join(LOG);
    let mut log = File::create(&path).map_err(io(&path))?;
    let mut steps: Vec<StepRecord> = Vec::new();
    loop {
        let kept = (!steps.is_empty()).then(|| path.clone());
        match worker.next(observer) {
            Some(WorkerEvent::Step(step)) => {
                writeln!(log, "{}", serde_json::json!(step)).map_err(io(&path))?;
                observer(Event::StageAdvanced {
                    work_done: None,
                    done: step.step,
                    remark: format!("loss {:.3}", step.loss),
                });
                steps.push(step);
            }
            Some(WorkerEvent::Message { text }) => {
                observer(Event::Message(format!("{}: {text}", worker.name())));
            }
            Some(WorkerEvent::Started | WorkerEvent::Described(_)) => {}
            Some(WorkerEvent::Finished) => return Ok(steps),
            Some(WorkerEvent::Failed {
                message,
                refused: true,
            }) => return Err(BenchError::Method(message)),
            Some(WorkerEvent::Failed { message, .. }) => {
                return Err(BenchError::MethodFailed { message, kept });
            }
            None => {
                return Err(BenchError::MethodFailed {
                    message: worker.obituary(&format!("in step {}", steps.len() + 1)),
                    kept,
                });
            }
        }
    }
}
