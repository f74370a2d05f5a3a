//! What an unlearning run would do and take, before anything is run: documents and tokens by role, trained parameters, memory and
//! floating-point operations. Reads a model's config and tokenizer, and refuses to touch its weights.

use std::collections::{BTreeMap, BTreeSet};

use harness_engine::Encoder;
use harness_host::{MethodDescription, Need, Role};
use harness_model::train::Positions;
use harness_model::{DecoderSpec, Model, ModelDescription, PassFlops};
use serde::Serialize;

use super::job::UnlearnJob;
use super::options::{OptimizerOptions, TrainedParameters, TrainingOptions};
use super::role_data::RoleData;
use super::trainee::matching;
use crate::error::Result;
use crate::training_memory::{TrainingDemand, TrainingMemory, adapter_elements};

/// Steps whose batches are looked at; later ones are much the same.
const STEPS_LOOKED_AT: usize = 200;

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

/// The batches of the first steps.
#[derive(Default)]
struct StepsAhead {
    steps: usize,
    tokens: usize,
    /// Of one batch: they are computed one after the other.
    largest_batch: usize,
    /// Floating-point operations of the model in training and of the original, if every document goes through it.
    flops: [f64; 2],
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
        let trained = trained_elements(&model.spec, &job.training)?;
        let trained_parameters = trained.values().sum();
        let recomputes = job.training.activation_checkpoints;
        let costs = [
            PassFlops::new(&model.spec, &trained, recomputes),
            PassFlops::frozen(&model.spec),
        ];
        let ahead = StepsAhead::look(&mut data, &job.training, &costs, model.spec.layers.len())?;
        let compares = method.needs(Need::Reference);
        let steps = ahead.steps as f64;
        let [trained_flops, original_flops] = ahead.flops.map(|flops| flops / steps);
        let memory = memory(&model, &job.training, trained_parameters, compares, &ahead);
        Ok(Self {
            roles,
            tokens_a_step: ahead.tokens as f64 / steps,
            parameters: model.spec.parameters(),
            trained_parameters,
            memory,
            flops_a_step: trained_flops,
            original_flops_a_step: if compares { original_flops } else { 0.0 },
        })
    }
}

impl StepsAhead {
    fn look(
        data: &mut RoleData,
        training: &TrainingOptions,
        [trained, original]: &[PassFlops; 2],
        layers: usize,
    ) -> Result<Self> {
        let mut ahead = Self {
            steps: training.steps.clamp(1, STEPS_LOOKED_AT),
            ..Self::default()
        };
        for _ in 0..ahead.steps * training.gradient_accumulation {
            data.advance()?;
            let mut batch_tokens = 0;
            for batch in data.batches().values() {
                batch_tokens += batch.tokens();
                let rows = batch.rows(Positions::Answer).len();
                ahead.flops[0] += trained.forward(batch.packed())
                    + trained.backward(batch.packed(), layers)
                    + trained.head_forward(rows)
                    + trained.head_backward(rows);
                ahead.flops[1] += original.forward(batch.packed()) + original.head_forward(rows);
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

/// The number of elements of everything that steps change.
fn trained_elements(
    spec: &DecoderSpec,
    training: &TrainingOptions,
) -> Result<BTreeMap<String, usize>> {
    let shapes = spec.weight_shapes().into_iter();
    let mut elements: BTreeMap<String, usize> = shapes
        .map(|(name, shape)| (name, shape.iter().product()))
        .collect();
    match &training.parameters {
        TrainedParameters::All => {}
        TrainedParameters::Matching(pattern) => {
            let names: Vec<&str> = elements.keys().map(String::as_str).collect();
            let chosen: BTreeSet<String> = matching(pattern, &names)?;
            elements.retain(|name, _| chosen.contains(name));
        }
        TrainedParameters::Adapter { lora, .. } => return adapter_elements(spec, lora.clone()),
    }
    Ok(elements)
}

fn memory(
    model: &ModelDescription,
    training: &TrainingOptions,
    trained_parameters: usize,
    compares: bool,
    ahead: &StepsAhead,
) -> TrainingMemory {
    let (adapter, quantized) = match training.parameters {
        TrainedParameters::Adapter { quantized, .. } => (true, quantized),
        TrainedParameters::All | TrainedParameters::Matching(_) => (false, false),
    };
    TrainingMemory::of(&TrainingDemand {
        spec: &model.spec,
        // Other models are read whole before their matrices are put into blocks.
        quantized_bytes: model.quantized_bytes.filter(|_| quantized),
        trained_parameters,
        keeps_original: compares && !adapter,
        moments: match training.optimizer {
            OptimizerOptions::AdamW { .. } => 2,
            OptimizerOptions::Sgd => 0,
        },
        activation_checkpoints: training.activation_checkpoints,
        batch_tokens: ahead.largest_batch,
    })
}
