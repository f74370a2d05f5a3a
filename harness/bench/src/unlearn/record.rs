//! `unlearn.json`: what a run was made of and what it cost, for tables and for those who repeat it. Everything but its `cost`
//! and `machine` is the same for the same request; it refuses a library that cannot be read for its hash.

use std::path::Path;

use harness_host::MethodDescription;
use harness_model::DeviceName;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use super::job::{StepRecord, UnlearnJob};
use super::options::TrainingOptions;
use crate::answers::TextPair;
use crate::error::{BenchError, Result, io};
use crate::run_directory::sha256_hex;

/// The record's name in the output directory.
pub(super) const RECORD: &str = "unlearn.json";

/// What an unlearning run amounted to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnlearnSummary {
    /// Optimiser steps.
    pub steps: usize,
    /// Tokens through the trained model.
    pub tokens: usize,
    /// Tokens through the frozen original.
    pub reference_tokens: usize,
    /// Floating-point operations of both, with the gradients.
    #[serde(default)]
    pub flops: f64,
    /// Wall time of the steps.
    pub seconds: f64,
    /// Loss of the first step.
    pub first_loss: f64,
    /// Loss of the last step.
    pub last_loss: f64,
    /// The most resident memory of the child.
    pub peak_memory_bytes: u64,
    /// Why the run ended before its last step, if it did.
    #[serde(default)]
    pub stopped: Option<String>,
}

impl UnlearnSummary {
    /// Of the whole run with this [identity](UnlearnJob::identity) that `directory` is the outcome of, if it is.
    pub fn of_finished(directory: &Path, identity: &str) -> Option<Self> {
        let text = std::fs::read(directory.join(RECORD)).ok()?;
        let record: FinishedRun = serde_json::from_slice(&text).ok()?;
        (record.identity == identity).then_some(Self {
            steps: record.outcome.steps,
            tokens: record.outcome.tokens,
            reference_tokens: record.outcome.reference_tokens,
            flops: record.outcome.flops,
            seconds: record.cost.seconds,
            first_loss: record.outcome.first_loss,
            last_loss: record.outcome.last_loss,
            peak_memory_bytes: record.cost.peak_memory_bytes,
            stopped: record.outcome.stopped,
        })
    }

    pub(super) fn of(steps: &[StepRecord], peak_memory_bytes: u64) -> Self {
        let loss = |step: Option<&StepRecord>| step.map_or(f64::NAN, |step| step.loss);
        Self {
            steps: steps.len(),
            tokens: steps.iter().map(|step| step.tokens).sum(),
            reference_tokens: steps.iter().map(|step| step.reference_tokens).sum(),
            // The sum of nothing is −0 otherwise.
            flops: steps.iter().map(|step| step.flops).sum::<f64>() + 0.0,
            seconds: steps.iter().map(|step| step.seconds).sum::<f64>() + 0.0,
            first_loss: loss(steps.first()),
            last_loss: loss(steps.last()),
            peak_memory_bytes,
            stopped: None,
        }
    }
}

/// The contents of `unlearn.json`.
#[derive(Serialize)]
pub(super) struct RunRecord<'a> {
    harness_version: &'static str,
    /// Hash of everything that the weights depend on.
    identity: &'a str,
    method: MethodRecord<'a>,
    model: &'a Path,
    device: DeviceName,
    data: Map<String, Value>,
    training: &'a TrainingOptions,
    outcome: Outcome,
    cost: Cost,
    machine: Machine,
}

#[derive(Serialize)]
struct MethodRecord<'a> {
    id: &'a str,
    version: &'a str,
    library: &'a Path,
    library_sha256: String,
    /// All of them, defaults filled in.
    options: Map<String, Value>,
}

/// Documents in a role.
#[derive(Serialize)]
struct DataRecord<'a> {
    task: &'a str,
    documents: usize,
    /// Of the prompts and answers as JSON.
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Outcome {
    steps: usize,
    /// Why there are fewer than were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stopped: Option<String>,
    first_loss: f64,
    last_loss: f64,
    forget_documents_seen: usize,
    tokens: usize,
    reference_tokens: usize,
    flops: f64,
}

#[derive(Serialize, Deserialize)]
struct Cost {
    seconds: f64,
    peak_memory_bytes: u64,
}

#[derive(Serialize)]
struct Machine {
    operating_system: &'static str,
    architecture: &'static str,
    processor: String,
    cores: usize,
    memory_bytes: u64,
}

/// What is read of it again.
#[derive(Deserialize)]
struct FinishedRun {
    identity: String,
    outcome: Outcome,
    cost: Cost,
}

impl<'a> RunRecord<'a> {
    pub(super) fn of(
        job: &'a UnlearnJob,
        identity: &'a str,
        method: Option<&'a MethodDescription>,
        summary: &UnlearnSummary,
    ) -> Result<Self> {
        Ok(Self {
            harness_version: env!("CARGO_PKG_VERSION"),
            identity,
            method: MethodRecord::of(job, method)?,
            model: &job.model,
            device: job.device,
            data: data(job)?,
            training: &job.training,
            outcome: Outcome {
                steps: summary.steps,
                stopped: summary.stopped.clone(),
                first_loss: summary.first_loss,
                last_loss: summary.last_loss,
                forget_documents_seen: summary.steps * job.training.documents_a_step(),
                tokens: summary.tokens,
                reference_tokens: summary.reference_tokens,
                flops: summary.flops,
            },
            cost: Cost {
                seconds: summary.seconds,
                peak_memory_bytes: summary.peak_memory_bytes,
            },
            machine: Machine::this(),
        })
    }
}

impl<'a> MethodRecord<'a> {
    fn of(job: &'a UnlearnJob, method: Option<&'a MethodDescription>) -> Result<Self> {
        let library = std::fs::read(&job.library).map_err(io(&job.library))?;
        let defaults = method.into_iter().flat_map(|method| &method.options);
        let mut options: Map<String, Value> = defaults
            .map(|option| (option.name.clone(), option.default.clone()))
            .collect();
        options.extend(job.options.as_object().cloned().unwrap_or_default());
        Ok(Self {
            id: method.map_or("", |method| &method.id),
            version: method.map_or("", |method| &method.version),
            library: &job.library,
            library_sha256: sha256_hex(&library),
            options,
        })
    }
}

/// The documents of each role that has some.
fn data(job: &UnlearnJob) -> Result<Map<String, Value>> {
    let roles: [(&str, &str, &[TextPair]); 4] = [
        ("forget", &job.forget_task, &job.forget),
        ("retain", &job.retain_task, &job.retain),
        ("normal", &job.normal_task, &job.normal),
        ("alternate", &job.alternate_task, &job.alternate),
    ];
    let as_json = |(role, task, pairs): (&str, &str, &[TextPair])| {
        let record = DataRecord {
            task,
            documents: pairs.len(),
            sha256: sha256_hex(&serde_json::to_vec(pairs)?),
        };
        Ok((role.to_owned(), serde_json::to_value(record)?))
    };
    let known = roles.into_iter().filter(|(_, _, pairs)| !pairs.is_empty());
    let records: serde_json::Result<_> = known.map(as_json).collect();
    records.map_err(|error| BenchError::Request(error.to_string()))
}

impl Machine {
    fn this() -> Self {
        let wanted = RefreshKind::nothing()
            .with_memory(MemoryRefreshKind::nothing().with_ram())
            .with_cpu(CpuRefreshKind::nothing());
        let system = System::new_with_specifics(wanted);
        let system = system.as_ref().ok();
        let processor = system.and_then(|system| system.cpus().first());
        Self {
            operating_system: std::env::consts::OS,
            architecture: std::env::consts::ARCH,
            processor: processor.map_or_else(String::new, |cpu| cpu.brand().trim().to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: system.map_or(0, System::total_memory),
        }
    }
}
