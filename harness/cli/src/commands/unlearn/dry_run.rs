//! `harness unlearn --dry-run`: the plan of a run, with its memory and its time. It writes nothing and computes nothing but the speed
//! of the machine.

use std::time::{Duration, Instant};

use anyhow::Result;
use candle_core::{Device, Tensor};
use harness_bench::TrainingMemory;
use harness_bench::unlearn::{
    OptimizerOptions, SequentialParts, TrainedParameters, TrainingOptions, UnlearnJob, UnlearnPlan,
};
use harness_engine::free_memory_bytes;
use harness_host::{MethodDescription, Need};
use harness_report::{Align, Table};
use indicatif::HumanDuration;

use crate::commands::model::{grouped, size};

/// What of the speed of a large matrix product training reaches.
const SHARE_OF_SPEED: f64 = 0.5;

/// The plan as a table.
pub(super) fn table(job: &UnlearnJob, method: &MethodDescription, output: &str) -> Result<Table> {
    let plan = UnlearnPlan::of(job, method)?;
    let mut table = Table::new(&[("Plan", Align::Left), ("Nothing is run", Align::Left)]);
    let mut row = |name: &str, value: String| table.push(vec![name.to_owned(), value]);
    row("Model", job.model.display().to_string());
    row(
        "Method",
        format!("{} {}: {}", method.id, method.version, options(job, method)),
    );
    row("Needs", needs(method));
    for role in &plan.roles {
        let text = format!(
            "{}: {} documents, {} tokens, the longest {}",
            role.task,
            grouped(role.documents),
            grouped(role.tokens),
            grouped(role.longest)
        );
        row(&format!("Role {}", role.role), text);
    }
    row("Steps", steps(job));
    row("Rate", rate(&job.training));
    let trained = grouped(plan.trained_parameters);
    let all = grouped(plan.parameters);
    row(
        "Trained",
        format!("{}: {trained}; the model has {all}", chosen(&job.training)),
    );
    row("Memory", memory(&plan.memory));
    row("Work", work(&plan, job)?);
    row("Output", output.to_owned());
    Ok(table)
}

fn options(job: &UnlearnJob, method: &MethodDescription) -> String {
    let value = |option: &harness_host::OptionDescription| {
        let value = job.options.get(&option.name).unwrap_or(&option.default);
        format!("{}={value}", option.name)
    };
    let options: Vec<String> = method.options.iter().map(value).collect();
    if options.is_empty() {
        "no options".to_owned()
    } else {
        options.join(" ")
    }
}

fn needs(method: &MethodDescription) -> String {
    let needs = method.needs.iter().map(|need| match need {
        Need::Retain => "retain documents",
        Need::Alternate => "other answers",
        Need::Normal => "general documents",
        Need::Mismatch => "answers of other prompts",
        Need::Reference => "the frozen original",
        Need::EveryPosition => "every position",
    });
    let needs: Vec<&str> = std::iter::once("forget documents").chain(needs).collect();
    needs.join(", ")
}

fn steps(job: &UnlearnJob) -> String {
    let training = &job.training;
    let documents = training.documents_a_step();
    let epochs = (training.steps * documents) as f64 / job.forget.len().max(1) as f64;
    let batches = match training.gradient_accumulation {
        1 => format!("of {documents} forget documents"),
        batches => format!(
            "of {batches} batches of {} forget documents",
            training.batch_size
        ),
    };
    let passes = match training.sequential {
        Some(SequentialParts { parts, epochs }) if parts > 1 => {
            format!(
                "{epochs} times through each of {parts} parts of the forget set, one after the other"
            )
        }
        _ => format!("{epochs:.2} times through the forget set"),
    };
    format!("{} {batches}: {passes}", grouped(training.steps))
}

fn rate(training: &TrainingOptions) -> String {
    let optimizer = match training.optimizer {
        OptimizerOptions::AdamW {
            weight_decay: decay,
            ..
        } => format!("AdamW with weight decay {decay}"),
        OptimizerOptions::Sgd => "gradient descent".to_owned(),
    };
    let (peak, kind, warmup) = (
        training.learning_rate,
        training.schedule,
        training.warmup_steps,
    );
    format!("{optimizer}, peak {peak:e}, {kind}, {warmup} steps of warm-up")
}

fn chosen(training: &TrainingOptions) -> String {
    match &training.parameters {
        TrainedParameters::All => "every weight".to_owned(),
        TrainedParameters::Matching(pattern) => format!("weights called {pattern}"),
        TrainedParameters::Adapter { lora, .. } => format!("an adapter of rank {}", lora.rank),
    }
}

fn memory(memory: &TrainingMemory) -> String {
    let free = free_memory_bytes().map_or_else(String::new, |free| {
        format!("; free are {}", size(free as usize))
    });
    format!(
        "about {}: weights {}, original {}, gradients {}, moments {}, activations {}{free}",
        size(memory.total_bytes()),
        size(memory.weights_bytes),
        size(memory.original_bytes),
        size(memory.gradients_bytes),
        size(memory.moments_bytes),
        size(memory.activations_bytes),
    )
}

fn work(plan: &UnlearnPlan, job: &UnlearnJob) -> Result<String> {
    let steps = job.training.steps as f64;
    let (own, original) = (
        plan.flops_a_step * steps,
        plan.original_flops_a_step * steps,
    );
    let device = job.device.open()?;
    let seconds = own / (SHARE_OF_SPEED * flops_a_second(&device)?);
    let time = Duration::try_from_secs_f64(seconds.ceil()).unwrap_or(Duration::MAX);
    let original = if original > 0.0 {
        format!(", at most {original:.2e} more of the original")
    } else {
        String::new()
    };
    Ok(format!(
        "{:.0} tokens a step, {own:.2e} floating-point operations in all{original}; about {} here",
        plan.tokens_a_step,
        HumanDuration(time)
    ))
}

/// The speed of a matrix product, measured for a fraction of a second.
fn flops_a_second(device: &Device) -> Result<f64> {
    const SIZE: usize = 1024;
    let matrix = Tensor::ones((SIZE, SIZE), candle_core::DType::F32, device)?;
    let (start, mut products) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_millis(200) {
        matrix.matmul(&matrix)?;
        device.synchronize()?;
        products += 1;
    }
    let operations = 2.0 * (SIZE as f64).powi(3) * f64::from(products);
    Ok(operations / start.elapsed().as_secs_f64())
}
