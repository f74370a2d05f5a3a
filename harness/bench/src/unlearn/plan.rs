//! What an unlearning run would do and take, before anything is run: documents and tokens by role, trained parameters, memory and
//! floating-point operations. Reads a model's config and tokenizer, and refuses to touch its weights.

use std::collections::BTreeSet;

use candle_core::Device;
use harness_engine::Encoder;
use harness_host::{MethodDescription, Need, Role};
use harness_model::{DecoderSpec, Lora, Model, ModelDescription};
use serde::Serialize;

use super::job::UnlearnJob;
use super::options::{OptimizerOptions, TrainedParameters, TrainingOptions};
use super::role_data::RoleData;
use super::trainee::matching;
use crate::error::Result;

/// Weights, gradients and moments are f32.
const F32_BYTES: usize = size_of::<f32>();
/// Steps whose batches are looked at; later ones are much the same.
const STEPS_LOOKED_AT: usize = 200;
/// A process with a tokenizer and nothing else.
const PROCESS_BYTES: usize = 60 << 20;

/// A run that has not begun.
#[derive(Clone, Debug, Serialize)]
pub struct UnlearnPlan {
    /// The documents of each role that the method wants.
    pub roles: Vec<RolePlan>,
    /// Tokens that go through the trained model in a step, on average.
    pub tokens_a_step: f64,
    /// Weights of the model.
    pub parameters: usize,
    /// Weights that steps change: the model's or an adapter's.
    pub trained_parameters: usize,
    /// What the child will hold.
    pub memory: TrainingMemory,
    /// Floating-point operations of a step, without the frozen original's.
    pub flops_a_step: f64,
    /// The same of the frozen original, where every document of a step goes through it; what it said is remembered where it can be.
    pub original_flops_a_step: f64,
}

/// The documents of a role.
#[derive(Clone, Debug, Serialize)]
pub struct RolePlan {
    /// The role's name.
    pub role: &'static str,
    /// The task that they come from.
    pub task: String,
    /// How many there are.
    pub documents: usize,
    /// Tokens of all of them.
    pub tokens: usize,
    /// Tokens of the longest.
    pub longest: usize,
}

/// Bytes of memory at the peak, by what takes them.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(clippy::struct_field_names, reason = "the names carry their unit")]
pub struct TrainingMemory {
    /// The model in training.
    pub weights_bytes: usize,
    /// A frozen copy of what is trained.
    pub original_bytes: usize,
    /// Gradients.
    pub gradients_bytes: usize,
    /// The optimiser's moments.
    pub moments_bytes: usize,
    /// What the largest step keeps for its gradients, or what writing the model takes, whichever is more.
    pub activations_bytes: usize,
}

impl TrainingMemory {
    /// All of it, with the process's own.
    pub fn total_bytes(&self) -> usize {
        PROCESS_BYTES
            + self.weights_bytes
            + self.original_bytes
            + self.gradients_bytes
            + self.moments_bytes
            + self.activations_bytes
    }
}

/// The batches of the first steps.
#[derive(Default)]
struct StepsAhead {
    steps: usize,
    tokens: usize,
    /// Of one batch: they are computed one after the other.
    largest_batch: usize,
    /// Tokens, each times half the length of its sequence: what it attends to on average.
    attended: f64,
}

impl UnlearnPlan {
    /// Looks ahead at what `job` would do with `method`.
    ///
    /// # Errors
    /// Where the run itself would be refused: documents that do not fit, batches that a set cannot fill, parameters that are not
    /// there.
    pub fn of(job: &UnlearnJob, method: &MethodDescription) -> Result<Self> {
        let model = Model::describe(&job.model)?;
        let encoder = Encoder::new(model.tokenizer.clone(), model.spec.max_positions);
        let mut data = RoleData::new(job, &encoder, &|need| method.needs(need))?;
        let roles = roles(&data);
        let ahead = StepsAhead::look(&mut data, &job.training)?;
        let trained_parameters = trained_parameters(&model.spec, &job.training)?;
        let compares = method.needs(Need::Reference);
        let tokens_a_step = ahead.tokens as f64 / ahead.steps as f64;
        let context = ahead.attended / (ahead.tokens as f64).max(1.0);
        let forward = model.spec.forward_flops(context) * tokens_a_step;
        let memory = memory(&model, &job.training, trained_parameters, compares, &ahead);
        Ok(Self {
            roles,
            tokens_a_step,
            parameters: model.spec.parameters(),
            trained_parameters,
            memory,
            flops_a_step: forward * passes_a_trained_token(&job.training),
            original_flops_a_step: if compares { forward } else { 0.0 },
        })
    }
}

impl StepsAhead {
    fn look(data: &mut RoleData, training: &TrainingOptions) -> Result<Self> {
        let mut ahead = Self {
            steps: training.steps.clamp(1, STEPS_LOOKED_AT),
            ..Self::default()
        };
        for _ in 0..ahead.steps * training.gradient_accumulation {
            data.advance()?;
            let mut batch_tokens = 0;
            for batch in data.batches().values() {
                batch_tokens += batch.tokens();
                let lengths = batch.packed().tree_lengths();
                let attended = lengths.iter().map(|&length| (length * length) as f64 / 2.0);
                ahead.attended += attended.sum::<f64>();
            }
            ahead.tokens += batch_tokens;
            ahead.largest_batch = ahead.largest_batch.max(batch_tokens);
        }
        Ok(ahead)
    }
}

fn roles(data: &RoleData) -> Vec<RolePlan> {
    let plan = |(role, set): (Role, &crate::AnswerSet)| {
        let lengths = set
            .pairs
            .iter()
            .map(|pair| pair.prompt.len() + pair.answer.len());
        RolePlan {
            role: role.name(),
            task: set.name.clone(),
            documents: set.pairs.len(),
            tokens: lengths.clone().sum(),
            longest: lengths.max().unwrap_or(0),
        }
    };
    data.sets().map(plan).collect()
}

fn trained_parameters(spec: &DecoderSpec, training: &TrainingOptions) -> Result<usize> {
    let elements = |shape: &[usize]| shape.iter().product::<usize>();
    Ok(match &training.parameters {
        TrainedParameters::All => spec.parameters(),
        TrainedParameters::Matching(pattern) => {
            let shapes = spec.weight_shapes();
            let names: Vec<&str> = shapes.keys().map(String::as_str).collect();
            let chosen: BTreeSet<String> = matching(pattern, &names)?;
            chosen.iter().map(|name| elements(&shapes[name])).sum()
        }
        TrainedParameters::Adapter { lora, .. } => {
            let adapter = Lora::new(spec, lora.clone(), 0, &Device::Cpu)?;
            let (_, variables) = adapter.trainable(0)?;
            let shapes = variables.values().map(|variable| elements(variable.dims()));
            shapes.sum()
        }
    })
}

/// What a token through the model in training costs, in forward passes: gradients of activations are one more, gradients of
/// weights another, where weights are trained; running layers again is one more.
fn passes_a_trained_token(training: &TrainingOptions) -> f64 {
    let adapter = matches!(training.parameters, TrainedParameters::Adapter { .. });
    let again = f64::from(u8::from(training.activation_checkpoints));
    if adapter { 2.0 + again } else { 3.0 + again }
}

fn memory(
    model: &ModelDescription,
    training: &TrainingOptions,
    trained_parameters: usize,
    compares: bool,
    ahead: &StepsAhead,
) -> TrainingMemory {
    let spec = &model.spec;
    let whole = spec.parameters() * F32_BYTES;
    let trained = trained_parameters * F32_BYTES;
    let adapter = matches!(training.parameters, TrainedParameters::Adapter { .. });
    let quantized = matches!(
        training.parameters,
        TrainedParameters::Adapter {
            quantized: true,
            ..
        }
    );
    let layer = spec.layer_training_floats() * F32_BYTES;
    let kept = if training.activation_checkpoints {
        spec.layers.len() * spec.width * F32_BYTES + layer
    } else {
        spec.layers.len() * layer
    };
    TrainingMemory {
        weights_bytes: match model.quantized_bytes {
            Some(bytes) if quantized => bytes,
            // Other models are read whole before their matrices are put into blocks.
            _ => whole,
        },
        original_bytes: if compares && !adapter { trained } else { 0 },
        gradients_bytes: trained,
        moments_bytes: match training.optimizer {
            OptimizerOptions::AdamW { .. } => 2 * trained,
            OptimizerOptions::Sgd => 0,
        },
        activations_bytes: (kept * ahead.largest_batch).max(whole),
    }
}
