//! The child's side: loads the library, trains, writes the weights, and says on standard output how it goes.

use std::io::Write;
use std::path::Path;

use harness_host::LoadedMethod;
use harness_model::{Model, write_model_files};

use super::job::{Job, UnlearnJob, WorkerEvent};
use super::training::Unlearning;
use crate::error::{BenchError, Result};

/// Does the job that `input` holds as JSON and writes events to `output`, one a line. Failures are events, too.
///
/// # Errors
/// When `output` cannot be written: the parent is gone.
pub fn serve(input: &str, output: &mut dyn Write) -> std::io::Result<()> {
    let (message, refused) = match work(input, output) {
        Ok(()) => return Ok(()),
        Err(Failure::ParentGone(error)) => return Err(error),
        Err(Failure::Refused(message)) => (message, true),
        Err(Failure::Failed(message)) => (message, false),
    };
    write_event(output, &WorkerEvent::Failed { message, refused })
}

enum Failure {
    /// Nobody reads any more.
    ParentGone(std::io::Error),
    /// Nothing was started.
    Refused(String),
    /// It started, and then could not go on.
    Failed(String),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::ParentGone(error)
    }
}

fn refused(error: impl std::fmt::Display) -> Failure {
    Failure::Refused(error.to_string())
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}

fn write_event(output: &mut dyn Write, event: &WorkerEvent) -> std::io::Result<()> {
    serde_json::to_writer(&mut *output, event)?;
    output.write_all(b"\n")?;
    output.flush()
}

fn work(input: &str, output: &mut dyn Write) -> std::result::Result<(), Failure> {
    match serde_json::from_str(input).map_err(refused)? {
        Job::Describe { library } => {
            let method = LoadedMethod::open(&library).map_err(refused)?;
            Ok(write_event(
                output,
                &WorkerEvent::Described(method.description().clone()),
            )?)
        }
        Job::Unlearn(job) => unlearn(&job, output),
    }
}

fn unlearn(job: &UnlearnJob, output: &mut dyn Write) -> std::result::Result<(), Failure> {
    let mut unlearning = prepare(job).map_err(refused)?;
    write_event(output, &WorkerEvent::Started)?;
    for step in 0..job.training.steps {
        let (record, messages) = unlearning
            .step(step)
            .map_err(|error| failed(in_step(step, &error)))?;
        for text in messages {
            write_event(output, &WorkerEvent::Message { text })?;
        }
        write_event(output, &WorkerEvent::Step(record))?;
    }
    write(job, &unlearning).map_err(failed)?;
    Ok(write_event(output, &WorkerEvent::Finished)?)
}

fn in_step(step: usize, error: &BenchError) -> String {
    format!("{error} (step {})", step + 1)
}

fn prepare(job: &UnlearnJob) -> Result<Unlearning> {
    let method = LoadedMethod::open(&job.library)?;
    let instance = method.create(&job.options)?;
    let model = Model::open(&job.model, &job.device.open()?)?;
    Unlearning::new(job, model, instance, &|need| {
        method.description().needs(need)
    })
}

fn write(job: &UnlearnJob, unlearning: &Unlearning) -> Result<()> {
    let (output, like): (&Path, &Path) = (&job.output, &job.model);
    Ok(write_model_files(output, like, unlearning.weights())?)
}
