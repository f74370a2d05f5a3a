//! The parent's side: starts the child, keeps the log, and turns whatever becomes of the child into an answer or an error.

use std::path::{Path, PathBuf};

use harness_host::{MethodDescription, MethodPath};
use harness_model::Staging;

use super::child::{ChildProcess, Phase, WorkerCommand};
use super::job::{Job, UnlearnJob, WorkerEvent};
use super::record::{RECORD, RunRecord, UnlearnSummary};
use super::run_state::RunState;
use super::step_log::StepLog;
use crate::error::{BenchError, Result};
use crate::event::{Event, Observer};
use crate::run_directory::write_json;

/// Asks a library what it is, in a child process.
///
/// # Errors
/// When the library is refused, crashes or does not answer.
fn describe(command: &WorkerCommand, library: &Path) -> Result<MethodDescription> {
    let job = Job::Describe {
        library: library.to_owned(),
    };
    let mut child = ChildProcess::start(command, &job, library)?;
    // What it prints meanwhile is for those who run it.
    let mut ignore = |_| {};
    let phase = Phase {
        during: "while it was loaded".into(),
        patience: command.limits.describe,
        option: None,
    };
    match child.next(&phase, &mut ignore) {
        Ok(WorkerEvent::Described(description)) => Ok(description),
        Ok(WorkerEvent::Failed { message, .. }) | Err(message) => Err(BenchError::Method(message)),
        Ok(_) => {
            let library = library.display();
            let message = format!("method library {library}: the child did not describe it");
            Err(BenchError::Method(message))
        }
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
/// `job.output` is set here; until the run is whole, everything lies in `output` with `.partial` appended. Where an interrupted
/// run of the same job lies there, it is gone on with.
///
/// # Errors
/// When the output is occupied, the request is refused, or the method fails; a failed run leaves its log behind.
pub fn run(
    command: &WorkerCommand,
    mut job: UnlearnJob,
    output: &Path,
    observer: &mut Observer,
) -> Result<UnlearnSummary> {
    let identity = job.identity()?;
    let (staging, is_new) = stage(output, &identity)?;
    staging.path().clone_into(&mut job.output);
    let mut course = match Course::new(staging.path(), &identity) {
        Ok(course) => course,
        Err(error) => {
            if is_new {
                staging.discard();
            }
            return Err(error);
        }
    };
    if let Some(step) = course.log.steps().last() {
        let (left, step) = (staging.path().display(), step.step);
        let message = format!("{left}: goes on after step {step} of the run that was interrupted");
        observer(Event::Message(message));
    }
    let finished = course
        .follow(command, &job, observer)
        .and_then(|()| course.record(&job, &identity));
    match finished {
        Ok(summary) => {
            staging.publish()?;
            RunState::of(output).remove();
            Ok(summary)
        }
        // An empty log is no loss.
        Err(error) if course.log.steps().is_empty() => {
            staging.discard();
            Err(error)
        }
        Err(error) => Err(BenchError::MethodFailed {
            message: error.to_string(),
            kept: Some(course.log.path().to_owned()),
        }),
    }
}

/// Whether an interrupted run with this [identity](UnlearnJob::identity) lies where `output` was to be, so that [`run`] goes on
/// with it.
pub fn is_interrupted(output: &Path, identity: &str) -> bool {
    RunState::of(&Staging::path_of(output)).belongs_to(identity)
}

/// The directory to work in, and whether it is new.
fn stage(output: &Path, identity: &str) -> Result<(Staging, bool)> {
    if is_interrupted(output, identity)
        && let Some(staging) = Staging::left_behind(output)?
    {
        return Ok((staging, false));
    }
    Ok((Staging::begin(output)?, true))
}

/// How far a run has come.
struct Course {
    staging: PathBuf,
    log: StepLog,
    stage: Stage,
    /// Why it ended before its last step.
    stopped: Option<String>,
    method: Option<MethodDescription>,
    peak_memory_bytes: u64,
}

/// What the child is about.
enum Stage {
    Loading,
    Steps,
    Writing,
}

impl Course {
    fn new(staging: &Path, identity: &str) -> Result<Self> {
        let state = RunState::of(staging);
        let progress = state.progress()?.unwrap_or_default();
        let log = StepLog::open(staging, &progress.steps)?;
        state.claim(identity)?;
        Ok(Self {
            staging: staging.to_owned(),
            log,
            stage: Stage::Loading,
            stopped: None,
            method: None,
            peak_memory_bytes: 0,
        })
    }

    fn during(&self) -> String {
        match self.stage {
            Stage::Loading => "while library and model were loaded".into(),
            Stage::Steps => format!("in step {}", self.log.steps().len() + 1),
            Stage::Writing => "while the model was written".into(),
        }
    }

    /// Hears the child's events to the end, writing each step to the log as it comes.
    fn follow(
        &mut self,
        command: &WorkerCommand,
        job: &UnlearnJob,
        observer: &mut Observer,
    ) -> Result<()> {
        let sent = Job::Unlearn(Box::new(job.clone()));
        let mut child = ChildProcess::start(command, &sent, &job.library)?;
        loop {
            let phase = Phase {
                during: self.during(),
                patience: command.limits.step,
                option: Some("--step-timeout"),
            };
            let heard = child.next(&phase, observer);
            self.peak_memory_bytes = self.peak_memory_bytes.max(child.peak_memory_bytes());
            match heard.map_err(failed)? {
                WorkerEvent::Finished { peak_memory_bytes } => {
                    self.peak_memory_bytes = self.peak_memory_bytes.max(peak_memory_bytes);
                    if let Err(message) = child.finish("after the model was written", observer) {
                        observer(Event::Message(format!("{message}; the model is whole")));
                    }
                    return Ok(());
                }
                event => self.hear(event, &child.name(), observer)?,
            }
        }
    }

    fn hear(&mut self, event: WorkerEvent, library: &str, observer: &mut Observer) -> Result<()> {
        match event {
            WorkerEvent::Step(step) => {
                self.log.add(&step)?;
                observer(Event::StageAdvanced {
                    work_done: None,
                    done: step.step,
                    remark: format!("loss {:.3}", step.loss),
                });
                observer(Event::Step(step));
                Ok(())
            }
            WorkerEvent::Message { text } => {
                observer(Event::Message(format!("{library}: {text}")));
                Ok(())
            }
            WorkerEvent::Started { method } => {
                self.method = Some(method);
                self.stage = Stage::Steps;
                Ok(())
            }
            WorkerEvent::Stopped { reason } => {
                self.stopped = Some(reason);
                Ok(())
            }
            WorkerEvent::Writing => {
                self.stage = Stage::Writing;
                Ok(())
            }
            WorkerEvent::Failed {
                message,
                refused: true,
            } => Err(BenchError::Method(message)),
            WorkerEvent::Failed { message, .. } => Err(failed(message)),
            // Nobody asked for a description, and an end is heard elsewhere.
            WorkerEvent::Described(_) | WorkerEvent::Finished { .. } => Ok(()),
        }
    }

    /// Writes what the run was and what it cost beside its log.
    fn record(&self, job: &UnlearnJob, identity: &str) -> Result<UnlearnSummary> {
        let summary = UnlearnSummary {
            stopped: self.stopped.clone(),
            ..UnlearnSummary::of(self.log.steps(), self.peak_memory_bytes)
        };
        let record = RunRecord::of(job, identity, self.method.as_ref(), &summary)?;
        write_json(&self.staging.join(RECORD), &record)?;
        Ok(summary)
    }
}

fn failed(message: String) -> BenchError {
    BenchError::MethodFailed {
        message,
        kept: None,
    }
}
