//! Low-rank adaptation (Hu et al. 2021): y = W·x + s·B·A·x with W frozen, made, trained, merged. Files are PEFT's, in `peft`.
//!
//! Adapters sit on the projections inside decoder layers; embeddings, positions and heads are refused.

mod adapter;
mod dropout;
mod peft;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};
use harness_metric::PythonRandom;
use serde::{Deserialize, Serialize};

pub(crate) use adapter::Adapter;
use dropout::Dropout;

use crate::error::{ModelError, Result};
use crate::spec::{DecoderSpec, LinearPart};
use crate::weights::Weights;

/// Stands for every projection inside the layers.
const ALL_LINEAR: &str = "all-linear";

/// What an adapter looks like; PEFT's names are in brackets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// Rows of A and columns of B (`r`).
    pub rank: usize,
    /// The product B·A is scaled by alpha / rank (`lora_alpha`).
    pub alpha: f64,
    /// Scale by alpha / √rank instead (`use_rslora`; Kalajdzievski 2023).
    pub rank_stabilized: bool,
    /// Share of A's inputs that are zeroed in training (`lora_dropout`).
    pub dropout: f64,
    /// Projections to adapt, each by its whole name or by the end of it after a dot, such as `q_proj` or `mlp.down_proj`;
    /// `all-linear` alone means every projection inside the layers (`target_modules`).
    pub targets: Vec<String>,
    /// Where the frozen model is, noted for whoever loads the adapter (`base_model_name_or_path`).
    pub base_model: Option<String>,
}

impl Default for LoraConfig {
    /// Rank 8, alpha 16, no dropout, on every projection inside the layers.
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            rank_stabilized: false,
            dropout: 0.0,
            targets: vec![ALL_LINEAR.to_owned()],
            base_model: None,
        }
    }
}

impl LoraConfig {
    fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha
            / if self.rank_stabilized {
                rank.sqrt()
            } else {
                rank
            }
    }

    fn check(&self) -> Result<()> {
        let problem = if self.rank == 0 {
            "the rank is 0, but must be at least 1".to_owned()
        } else if !self.alpha.is_finite() {
            format!("alpha is {}, but must be a number", self.alpha)
        } else if !(0.0..1.0).contains(&self.dropout) {
            format!(
                "dropout is {}, but must be at least 0 and below 1",
                self.dropout
            )
        } else {
            return Ok(());
        };
        Err(ModelError::BadInput(format!("LoRA: {problem}")))
    }
}

/// An adapter for a whole model: A and B of every adapted projection. Cheap to clone; clones share tensors.
#[derive(Clone, Debug)]
pub struct Lora {
    config: LoraConfig,
    /// By the name that transformers has for the projection, such as `model.layers.0.self_attn.q_proj`.
    adapters: BTreeMap<String, Adapter>,
}

impl Lora {
    /// A new adapter for a model of that description, which it leaves as it is: B is zero, A uniform in ±1/√inputs (what
    /// PEFT's Kaiming initialisation with a = √5 comes to), the same for the same seed everywhere.
    ///
    /// # Errors
    /// When the configuration makes no sense or a target fits no projection.
    pub fn new(spec: &DecoderSpec, config: LoraConfig, seed: u64, device: &Device) -> Result<Self> {
        config.check()?;
        let projections = projections(spec);
        let config = LoraConfig {
            targets: expand(config.targets, &projections)?,
            ..config
        };
        let mut random = PythonRandom::new(seed);
        let mut adapters = BTreeMap::new();
        for (name, part) in targeted(&config.targets, projections)? {
            let bound = 1.0 / (part.inputs as f64).sqrt();
            let draws = (0..config.rank * part.inputs)
                .map(|_| ((2.0 * random.random() - 1.0) * bound) as f32)
                .collect();
            let down = Tensor::from_vec(draws, (config.rank, part.inputs), device)?;
            let up = Tensor::zeros((part.outputs, config.rank), DType::F32, device)?;
            adapters.insert(name, Adapter::new(part, down, up, config.scale()));
        }
        Ok(Self { config, adapters })
    }

    /// What it looks like.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// The adapted projections in the order of their names.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.adapters.keys().map(String::as_str)
    }

    /// A copy whose A and B are variables, called `<projection>.lora_A.weight` and `….lora_B.weight`, with dropout at work:
    /// `seed` decides what is dropped, forward pass by forward pass.
    ///
    /// # Errors
    /// When the device has no room.
    pub fn trainable(&self, seed: u64) -> Result<(Self, BTreeMap<String, Var>)> {
        let dropout = Dropout::new(self.config.dropout, seed).map(Arc::new);
        let mut variables = BTreeMap::new();
        let mut adapters = BTreeMap::new();
        for (name, adapter) in &self.adapters {
            let down = Var::from_tensor(&adapter.down.copy()?)?;
            let up = Var::from_tensor(&adapter.up.copy()?)?;
            let trained = Adapter {
                down: down.as_tensor().clone(),
                up: up.as_tensor().clone(),
                dropout: dropout.clone(),
                ..adapter.clone()
            };
            adapters.insert(name.clone(), trained);
            variables.insert(peft::down_name(name), down);
            variables.insert(peft::up_name(name), up);
        }
        let config = self.config.clone();
        Ok((Self { config, adapters }, variables))
    }

    /// The same tensors without dropout, to score a model in training.
    #[must_use]
    pub fn without_dropout(&self) -> Self {
        let mut same = self.clone();
        for adapter in same.adapters.values_mut() {
            adapter.dropout = None;
        }
        same
    }

    /// The same adapter with other values, by the names that [`Self::trainable`] gives its tensors, as constants and without dropout.
    ///
    /// # Errors
    /// When a tensor has no value, or one of another shape.
    pub fn with_values(&self, values: &BTreeMap<String, Tensor>) -> Result<Self> {
        let mut changed = self.without_dropout();
        for (name, adapter) in &mut changed.adapters {
            for (tensor, part) in [
                (&mut adapter.down, peft::down_name(name)),
                (&mut adapter.up, peft::up_name(name)),
            ] {
                let value = values.get(&part);
                let Some(value) = value.filter(|value| value.shape() == tensor.shape()) else {
                    let problem = format!("no values of shape {:?} for {part}", tensor.shape());
                    return Err(ModelError::BadInput(problem));
                };
                *tensor = value.detach();
            }
        }
        Ok(changed)
    }

    /// Lets the masks of dropout go on from those of batch `batch`, whatever was drawn before.
    pub fn begin_batch(&self, batch: u64) {
        // All adapters share one stream.
        let adapter = self.adapters.values().next();
        if let Some(dropout) = adapter.and_then(|adapter| adapter.dropout.as_ref()) {
            dropout.begin_batch(batch);
        }
    }

    /// Weights with s·B·A added to the adapted ones: a plain model that computes what the adapted one does.
    ///
    /// # Errors
    /// When the adapter was made for another model, or matrices are compressed.
    pub fn merge(&self, weights: &Weights) -> Result<Weights> {
        weights.refuse_compressed("merge into the model that was compressed")?;
        let mut merged = weights.without_adapters();
        for adapter in self.adapters.values() {
            adapter.check_fits(weights)?;
            let name = adapter.weight_name();
            let sum = (weights.get(&name)? + adapter.weight_delta()?)?;
            merged.replace(&name, sum.detach());
        }
        Ok(merged)
    }

    /// The adapters by the names that the weights have for their projections, once they are known to fit.
    pub(crate) fn adapters_for(&self, weights: &Weights) -> Result<BTreeMap<String, Adapter>> {
        let checked = |adapter: &Adapter| {
            adapter.check_fits(weights)?;
            Ok((adapter.part.name.clone(), adapter.clone()))
        };
        self.adapters.values().map(checked).collect()
    }
}

/// The linear layers inside the decoder's layers, by the names that transformers has for them.
fn projections(spec: &DecoderSpec) -> BTreeMap<String, LinearPart> {
    let mut projections = BTreeMap::new();
    for index in 0..spec.layers.len() {
        for part in spec.layer_parts(index).linears() {
            let name = format!("{}{}", spec.names.left_out, part.name);
            projections.insert(name, part.clone());
        }
    }
    projections
}

fn last_parts(projections: &BTreeMap<String, LinearPart>) -> BTreeSet<&str> {
    let last_part = |name: &'_ String| name.rfind('.').map_or(0, |dot| dot + 1);
    projections
        .keys()
        .map(|name| &name[last_part(name)..])
        .collect()
}

/// Puts the last parts of all projections' names in place of `all-linear`.
fn expand(targets: Vec<String>, projections: &BTreeMap<String, LinearPart>) -> Result<Vec<String>> {
    match targets.as_slice() {
        [] => Err(ModelError::BadInput(format!(
            "LoRA: no target projections; {ALL_LINEAR} means all of them"
        ))),
        [all] if all == ALL_LINEAR => Ok(last_parts(projections)
            .into_iter()
            .map(str::to_owned)
            .collect()),
        _ => Ok(targets),
    }
}

/// The projections that the targets name, each at least one.
fn targeted(
    targets: &[String],
    mut projections: BTreeMap<String, LinearPart>,
) -> Result<BTreeMap<String, LinearPart>> {
    let fits = |name: &str, target: &str| {
        let before = name.strip_suffix(target);
        before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    for target in targets {
        if !projections.keys().any(|name| fits(name, target)) {
            let known = last_parts(&projections);
            let near = harness_spelling::hint(target, known.iter().copied());
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            return Err(ModelError::BadInput(format!(
                "LoRA: no projection is called {target}{near}; this model has {known}"
            )));
        }
    }
    projections.retain(|name, _| targets.iter().any(|target| fits(name, target)));
    Ok(projections)
}
