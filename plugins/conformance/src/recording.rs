//! A recorded folder: reference and start model, batches, numbers. It refuses families that the decoder does not compute.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor, Var};
use harness_bench::unlearn::{ModelStep, SpawnedModels};
use harness_host::{MethodInstance, Role, StepLoss};
use harness_model::train::AnswerBatch;
use harness_model::{Decoder, DecoderSpec, Weights, read_spec};
use serde_json::Value;

use crate::{Recordings, text};

/// One folder.
pub(crate) struct Recording {
    pub(crate) name: &'static str,
    pub(crate) numbers: Value,
    spec: DecoderSpec,
    reference: Decoder,
    start: Weights,
    batches: HashMap<String, Tensor>,
    tensors: HashMap<String, Tensor>,
}

/// A model that starts where the recording did.
pub(crate) struct Started {
    pub(crate) decoder: Decoder,
    pub(crate) variables: BTreeMap<String, Var>,
}

/// Weights of a file that lies beside no config.json.
fn weights(file: &Path, config: &Path, spec: &DecoderSpec) -> Result<Weights, String> {
    let directory = tempfile::tempdir().map_err(text)?;
    let into = |name: &str| directory.path().join(name);
    let copy = |from: &Path, name: &str| {
        let copied = std::fs::copy(from, into(name));
        copied.map_err(|error| format!("{}: {error}", from.display()))
    };
    copy(&config.join("config.json"), "config.json")?;
    copy(file, "model.safetensors")?;
    Weights::read(directory.path(), spec, &Device::Cpu).map_err(text)
}

impl Recording {
    pub(crate) fn open(
        name: &'static str,
        family: &str,
        recordings: &Recordings,
    ) -> Result<Self, String> {
        let (folder, config) = (recordings.golden.join(name), recordings.models.join(family));
        let spec = read_spec(&config).map_err(text)?;
        let own_reference = folder.join("reference_model.safetensors");
        let reference = if own_reference.is_file() {
            weights(&own_reference, &config, &spec)?
        } else {
            Weights::read(&config, &spec, &Device::Cpu).map_err(text)?
        };
        let index = folder.join("index.json");
        let index =
            std::fs::read(&index).map_err(|error| format!("{}: {error}", index.display()))?;
        let tensors = |file: &str| {
            candle_core::safetensors::load(folder.join(file), &Device::Cpu).map_err(text)
        };
        Ok(Self {
            name,
            numbers: serde_json::from_slice(&index).map_err(text)?,
            reference: Decoder::new(spec.clone(), &reference).map_err(text)?,
            start: weights(&folder.join("start_model.safetensors"), &config, &spec)?,
            batches: tensors("batches.safetensors")?,
            tensors: tensors("tensors.safetensors")?,
            spec,
        })
    }

    /// The gradients or weights that were recorded whole, by weight: tensors called `prefix` and the weight's name.
    pub(crate) fn whole<'a>(&'a self, prefix: &str) -> Vec<(&'a str, &'a Tensor)> {
        let names = self.numbers["full_grad_params"].as_array();
        let names = names.into_iter().flatten().filter_map(Value::as_str);
        names
            .filter_map(|name| Some((name, self.tensors.get(&format!("{prefix}.{name}"))?)))
            .collect()
    }

    /// Whether the tokenizer's padding is token 1, which LLMU's code takes for granted.
    pub(crate) fn pads_with_one(&self) -> bool {
        self.numbers["pad_token_id"] == 1
    }

    pub(crate) fn start(&self) -> Result<Started, String> {
        let (weights, variables) = self.start.trainable().map_err(text)?;
        Ok(Started {
            decoder: Decoder::new(self.spec.clone(), &weights).map_err(text)?,
            variables,
        })
    }

    fn rows(&self, name: &str) -> Result<Vec<Vec<i64>>, String> {
        let tensor = self
            .batches
            .get(name)
            .ok_or_else(|| format!("no batch {name}"))?;
        tensor.to_vec2().map_err(text)
    }

    /// A role's batch, padded and masked as it was recorded.
    fn batch(&self, name: &str) -> Result<AnswerBatch, String> {
        let part = |part: &str| self.rows(&format!("{name}.{part}"));
        let (ids, masks, labels) = (part("input_ids")?, part("attention_mask")?, part("labels")?);
        let starts = self.batches.get(&format!("{name}.start_locs"));
        let starts = starts
            .map(Tensor::to_vec1::<i64>)
            .transpose()
            .map_err(text)?;
        let mut batch = AnswerBatch::default();
        for (row, ((ids, mask), labels)) in ids.iter().zip(&masks).zip(&labels).enumerate() {
            let tokens: Vec<u32> = ids.iter().map(|&id| id as u32).collect();
            let seen: Vec<bool> = mask.iter().map(|&seen| seen == 1).collect();
            // A label counts from the position after the start on.
            let start = starts.as_ref().map_or(-1, |starts| starts[row]);
            let is_label = |place: usize, label: i64| label >= 0 && place as i64 > start;
            let labels: Vec<Option<u32>> = labels
                .iter()
                .enumerate()
                .map(|(place, &label)| is_label(place, label).then_some(label as u32))
                .collect();
            batch.push_masked(&tokens, &labels, &seen);
        }
        Ok(batch)
    }

    /// The method's loss on the batches that `roles` names, random numbers being the recorded tensor `random` if there is one.
    pub(crate) fn loss(
        &self,
        started: &Started,
        instance: &MethodInstance,
        roles: &[(Role, String)],
        random: &str,
    ) -> Result<StepLoss, String> {
        let named = |(role, name): &(Role, String)| Ok((*role, self.batch(name)?));
        let batches = roles.iter().map(named).collect::<Result<_, String>>()?;
        let step = ModelStep {
            policy: &started.decoder,
            reference: Some(&self.reference),
            spawned: SpawnedModels::default(),
            batches,
            remembered: None,
            progress: [0.0; 3],
            seed: 0,
            random: self.batches.get(random).cloned(),
            passes: RefCell::default(),
        };
        instance.loss(&step).map_err(text)
    }
}
