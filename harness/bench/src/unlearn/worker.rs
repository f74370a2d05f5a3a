//! The child's side: loads the library, trains, writes the weights, and says on standard output how it goes.

use std::io::{BufRead, Read, Write};

use harness_host::{LoadedMethod, MethodDescription, MethodInstance, Tier};

use super::job::{Job, StepRecord, UnlearnJob, WorkerEvent};
use super::own_run::OwnRun;
use super::saving::Saving;
use super::stop_rule::StopWatch;
use super::trainee::Trainee;
use super::training::Unlearning;
use super::{process, trainee};
use crate::error::{BenchError, Result};

/// Does the job that is the first line of `input`, and writes events to `output`, one a line. Failures are events, too. When
/// `input` ends, the parent is gone, and the process ends at once, whatever it is doing.
///
/// # Errors
/// When `output` cannot be written: the parent is gone.
pub fn serve(
    mut input: impl BufRead + Send + 'static,
    output: &mut dyn Write,
) -> std::io::Result<()> {
    let mut job = String::new();
    input.read_line(&mut job)?;
    std::thread::spawn(move || end_with(input));
    process::offer_to_the_system();
    let (message, refused) = match work(&job, output) {
        Ok(()) => return Ok(()),
        Err(Failure::ParentGone(error)) => return Err(error),
        Err(Failure::Refused(message)) => (message, true),
        Err(Failure::Failed(message)) => (message, false),
    };
    write_event(output, &WorkerEvent::Failed { message, refused })
}

/// Waits for the end of what the parent holds open, then ends this process. It is killed, because a method may be in the middle
/// of anything, and handlers at an orderly exit could wait for it.
fn end_with(mut parent: impl Read) {
    let _ = std::io::copy(&mut parent, &mut std::io::sink());
    process::kill_this_process();
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

/// Writes an event as a line of its own, even where a method has begun one.
fn write_event(output: &mut dyn Write, event: &WorkerEvent) -> std::io::Result<()> {
    let mut line = vec![b'\n'];
    serde_json::to_writer(&mut line, event)?;
    line.push(b'\n');
    output.write_all(&line)?;
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
    let prepared = prepare(job).map_err(refused)?;
    match prepared.work {
        Work::Steps(unlearning) => {
            let unlearning = take_steps(*unlearning, prepared.method, job, output)?;
            write_model(unlearning.trainee(), job, output)
        }
        Work::OwnLoop(run, instance) => {
            let started = WorkerEvent::Started {
                method: prepared.method,
            };
            write_event(output, &started)?;
            let trainee = train(*run, &instance, job, output)?;
            write_model(&trainee, job, output)
        }
    }
}

/// The loop of a method that is a loss.
fn take_steps(
    mut unlearning: Unlearning,
    method: MethodDescription,
    job: &UnlearnJob,
    output: &mut dyn Write,
) -> std::result::Result<Unlearning, Failure> {
    let mut saving = Saving::new(job, &method);
    let mut steps = saving.resume(&mut unlearning).map_err(refused)?;
    let mut watch = job.training.stop_when.clone().map(StopWatch::new);
    let mut reached = None;
    for step in &steps {
        reached = look(&mut watch, step)?;
    }
    write_event(output, &WorkerEvent::Started { method })?;
    while reached.is_none() && steps.len() < job.training.steps {
        let (step, messages) = unlearning
            .step(steps.len())
            .map_err(|error| failed(in_step(steps.len(), &error)))?;
        reached = look(&mut watch, &step)?;
        steps.push(step.clone());
        write_step(output, step, messages)?;
        if reached.is_none() && steps.len() < job.training.steps {
            saving.after_step(&steps, &unlearning).map_err(failed)?;
        }
    }
    if let Some(reason) = reached {
        write_event(output, &WorkerEvent::Stopped { reason })?;
    }
    Ok(unlearning)
}

/// Lets a method that owns its loop train. An interrupted run begins anew: where it was is known to the method alone.
fn train(
    run: OwnRun,
    instance: &MethodInstance,
    job: &UnlearnJob,
    output: &mut dyn Write,
) -> std::result::Result<Trainee, Failure> {
    let mut watch = job.training.stop_when.clone().map(StopWatch::new);
    let (mut finished, mut reached, mut ended) = (0, None, None);
    let trained = run.train(job, instance, |step, messages| {
        finished = step.step;
        let looked = look(&mut watch, &step);
        let told = looked.and_then(|reason| {
            reached = reached.take().or(reason);
            Ok(write_step(output, step, messages)?)
        });
        told.map_err(|failure| {
            ended = Some(failure);
            candle_core::Error::msg("the run has ended")
        })?;
        Ok(reached.is_none())
    });
    if let Some(failure) = ended {
        return Err(failure);
    }
    let (trainee, messages) = trained.map_err(|error| failed(in_step(finished, &error)))?;
    for text in messages {
        write_event(output, &WorkerEvent::Message { text })?;
    }
    if let Some(reason) = reached {
        write_event(output, &WorkerEvent::Stopped { reason })?;
    }
    Ok(trainee)
}

fn write_step(
    output: &mut dyn Write,
    step: StepRecord,
    messages: Vec<String>,
) -> std::io::Result<()> {
    for text in messages {
        write_event(output, &WorkerEvent::Message { text })?;
    }
    write_event(output, &WorkerEvent::Step(step))
}

fn write_model(
    trainee: &Trainee,
    job: &UnlearnJob,
    output: &mut dyn Write,
) -> std::result::Result<(), Failure> {
    write_event(output, &WorkerEvent::Writing)?;
    trainee.write(&job.output).map_err(failed)?;
    let peak_memory_bytes = process::peak_bytes_of_this_process();
    write_event(output, &WorkerEvent::Finished { peak_memory_bytes })?;
    Ok(())
}

/// Why the run is to end after `step`, if it is. A bound on what is not logged is seen at the first step, before it counts.
fn look(
    watch: &mut Option<StopWatch>,
    step: &StepRecord,
) -> std::result::Result<Option<String>, Failure> {
    match watch {
        None => Ok(None),
        Some(watch) => watch.look(step).map_err(refused),
    }
}

fn in_step(step: usize, error: &BenchError) -> String {
    format!("{error} (step {})", step + 1)
}

/// A run that can begin.
struct Prepared {
    method: MethodDescription,
    work: Work,
}

/// What is to be done, by the method's tier.
enum Work {
    Steps(Box<Unlearning>),
    OwnLoop(Box<OwnRun>, MethodInstance),
}

fn prepare(job: &UnlearnJob) -> Result<Prepared> {
    let method = LoadedMethod::open(&job.library)?;
    let instance = method.create(&job.options)?;
    let model = trainee::open(&job.model, &job.training.parameters, &job.device.open()?)?;
    let description = method.description();
    let needs = |need| description.needs(need);
    let work = match method.tier() {
        Tier::Loss => {
            let unlearning = Unlearning::new(job, model, instance, &needs)?;
            Work::Steps(Box::new(unlearning))
        }
        Tier::Trainer => {
            let run = OwnRun::new(job, model, &needs)?;
            Work::OwnLoop(Box::new(run), instance)
        }
    };
    Ok(Prepared {
        method: description.clone(),
        work,
    })
}
