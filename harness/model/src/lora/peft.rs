//! Adapters as PEFT stores them: `adapter_config.json` beside `adapter_model.safetensors`. What PEFT can and we cannot
//! is refused by name.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Adapter, Lora, LoraConfig, projections};
use crate::error::{ModelError, Result, bad_file, first_line, io};
use crate::safetensors_file::{StoredTensor, read_safetensors, write_safetensors};
use crate::spec::{DecoderSpec, LinearPart};

const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";
const PREFIX: &str = "base_model.model.";
const DOWN: &str = ".lora_A.weight";
const UP: &str = ".lora_B.weight";

/// Settings that change nothing once A and B are there.
const WITHOUT_EFFECT: [&str; 17] = [
    "auto_mapping",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
    "fan_in_fan_out",
];

/// Ways to begin that leave the frozen weights alone; others (such as `pissa`, `olora` and `loftq`) change them.
const BEGINNINGS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// The parts of `adapter_config.json` that we know the meaning of.
#[derive(Deserialize, Serialize)]
struct AdapterConfig {
    peft_type: String,
    #[serde(rename = "r")]
    rank: usize,
    lora_alpha: Value,
    #[serde(default)]
    lora_dropout: f64,
    #[serde(default)]
    use_rslora: bool,
    target_modules: Value,
    #[serde(default)]
    base_model_name_or_path: Option<String>,
    #[serde(default = "none")]
    bias: String,
    #[serde(default)]
    init_lora_weights: Value,
    #[serde(flatten)]
    others: Map<String, Value>,
}

fn none() -> String {
    "none".to_owned()
}

/// The name of A's weight of a projection.
pub(super) fn down_name(projection: &str) -> String {
    format!("{projection}{DOWN}")
}

/// The name of B's weight of a projection.
pub(super) fn up_name(projection: &str) -> String {
    format!("{projection}{UP}")
}

impl Lora {
    /// Reads an adapter that PEFT or [`Self::write`] wrote for a model of that description; f16 and bf16 become f32.
    ///
    /// # Errors
    /// When a file is missing or damaged, was made for another model, or asks for more than low-rank pairs.
    pub fn read(directory: &Path, spec: &DecoderSpec, device: &Device) -> Result<Self> {
        let file = directory.join(CONFIG);
        if !file.is_file() {
            let way_out =
                "an adapter is a directory with adapter_config.json and adapter_model.safetensors";
            return Err(ModelError::MissingFile {
                path: file,
                way_out,
            });
        }
        let text = std::fs::read_to_string(&file).map_err(io(&file))?;
        let stored: AdapterConfig =
            serde_json::from_str(&text).map_err(|error| bad_file(&file, error))?;
        refuse_unsupported(&stored, &file)?;
        let mut config = LoraConfig {
            rank: stored.rank,
            alpha: stored.lora_alpha.as_f64().unwrap_or(f64::NAN),
            rank_stabilized: stored.use_rslora,
            dropout: stored.lora_dropout,
            targets: Vec::new(),
            base_model: stored.base_model_name_or_path.clone(),
        };
        config.check().map_err(|error| bad_file(&file, error))?;
        let adapters = read_adapters(&directory.join(TENSORS), &config, spec, device)?;
        config.targets = targets(&stored, &adapters);
        Ok(Self { config, adapters })
    }

    /// Writes the adapter into an existing directory, as PEFT reads it.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let config = &self.config;
        let stored = AdapterConfig {
            peft_type: "LORA".to_owned(),
            rank: config.rank,
            lora_alpha: whole_if_possible(config.alpha),
            lora_dropout: config.dropout,
            use_rslora: config.rank_stabilized,
            target_modules: config.targets.clone().into(),
            base_model_name_or_path: config.base_model.clone(),
            bias: none(),
            init_lora_weights: Value::Bool(true),
            others: Map::from_iter([
                ("task_type".to_owned(), "CAUSAL_LM".into()),
                ("inference_mode".to_owned(), true.into()),
            ]),
        };
        let file = directory.join(CONFIG);
        let text = serde_json::to_string_pretty(&stored).map_err(|error| bad_file(&file, error))?;
        std::fs::write(&file, text + "\n").map_err(io(&file))?;
        let mut tensors = BTreeMap::new();
        for (name, adapter) in &self.adapters {
            tensors.insert(format!("{PREFIX}{}", down_name(name)), &adapter.down);
            tensors.insert(format!("{PREFIX}{}", up_name(name)), &adapter.up);
        }
        let tensors = tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), StoredTensor::Tensor(tensor)));
        write_safetensors(tensors, &directory.join(TENSORS))
    }
}

/// PEFT writes whole numbers as integers.
fn whole_if_possible(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        Value::from(number as i64)
    } else {
        Value::from(number)
    }
}

/// The targets as listed; where patterns or layer numbers chose among the projections, the names of those chosen.
fn targets(stored: &AdapterConfig, adapters: &BTreeMap<String, Adapter>) -> Vec<String> {
    let narrowed = ["layers_to_transform", "exclude_modules"];
    let narrowed = narrowed
        .iter()
        .any(|&name| stored.others.get(name).is_some_and(is_set));
    let mut targets: Vec<String> = match &stored.target_modules {
        Value::Array(names) if !narrowed => names
            .iter()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect(),
        _ => adapters.keys().cloned().collect(),
    };
    targets.sort_unstable();
    targets
}

/// Whether a setting says anything: null, false and what is empty do not.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        _ => true,
    }
}

fn refuse_unsupported(config: &AdapterConfig, file: &Path) -> Result<()> {
    let refuse = |name: &str, value: &dyn std::fmt::Display| {
        Err(ModelError::Unsupported {
            path: file.to_owned(),
            setting: format!("{name} = {value}"),
            detail: "; only plain LoRA on projections is".to_owned(),
        })
    };
    if config.peft_type != "LORA" {
        return refuse("peft_type", &config.peft_type);
    }
    if config.bias != "none" {
        return refuse("bias", &config.bias);
    }
    let known = match &config.init_lora_weights {
        Value::Null | Value::Bool(_) => true,
        other => other.as_str().is_some_and(|way| BEGINNINGS.contains(&way)),
    };
    if !known {
        return refuse("init_lora_weights", &config.init_lora_weights);
    }
    let strange = config
        .others
        .iter()
        .find(|(name, value)| !WITHOUT_EFFECT.contains(&name.as_str()) && is_set(value));
    strange.map_or(Ok(()), |(name, value)| refuse(name, value))
}

/// The pairs of A and B in a file of tensors, by projection.
fn read_adapters(
    file: &Path,
    config: &LoraConfig,
    spec: &DecoderSpec,
    device: &Device,
) -> Result<BTreeMap<String, Adapter>> {
    if !file.is_file() {
        let way_out = "older adapters have adapter_model.bin: load and save them once with PEFT";
        return Err(ModelError::MissingFile {
            path: file.to_owned(),
            way_out,
        });
    }
    let mut tensors = read_safetensors(file, device)?;
    let strip = |name: &String| Some(name.strip_prefix(PREFIX)?.strip_suffix(DOWN)?.to_owned());
    let adapted: Vec<String> = tensors.keys().filter_map(strip).collect();
    let mut projections = projections(spec);
    let mut adapters = BTreeMap::new();
    for name in adapted {
        let mut take = |part: String| tensors.remove(&format!("{PREFIX}{part}"));
        let (Some(down), Some(up)) = (take(down_name(&name)), take(up_name(&name))) else {
            return Err(bad_file(file, format!("{name} has lora_A but no lora_B")));
        };
        let Some(part) = projections.remove(&name) else {
            let near = harness_spelling::hint(&name, projections.keys().map(String::as_str));
            let problem = format!("{name} is no projection inside this model's layers{near}");
            return Err(bad_file(file, problem));
        };
        let adapter = checked(part, down, up, config)
            .map_err(|problem| bad_file(file, format!("{name}: {problem}")))?;
        adapters.insert(name, adapter);
    }
    match tensors.keys().next() {
        Some(rest) => {
            let problem = format!("{rest} is neither lora_A nor lora_B of a projection");
            Err(bad_file(file, problem))
        }
        None if adapters.is_empty() => Err(bad_file(file, "there is no adapter in it")),
        None => Ok(adapters),
    }
}

/// A and B as f32, if their shapes fit the projection.
fn checked(
    part: LinearPart,
    down: Tensor,
    up: Tensor,
    config: &LoraConfig,
) -> std::result::Result<Adapter, String> {
    let wanted = ([config.rank, part.inputs], [part.outputs, config.rank]);
    if (down.dims(), up.dims()) != (&wanted.0[..], &wanted.1[..]) {
        let found = (down.dims(), up.dims());
        return Err(format!(
            "lora_A and lora_B have shapes {found:?}; this model and rank {} ask for {wanted:?}",
            config.rank
        ));
    }
    let float = |tensor: Tensor| {
        tensor
            .to_dtype(DType::F32)
            .map_err(|error| first_line(&error))
    };
    Ok(Adapter::new(part, float(down)?, float(up)?, config.scale()))
}
