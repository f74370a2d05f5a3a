//! What an experiment asks for: which model forgets what, by which methods, and how the outcome is judged. Refuses numbers that
//! make no sense.

use std::collections::BTreeMap;
use std::path::PathBuf;

use harness_task::Limit;
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::anchors::FinetuneSpec;
use super::numbers::{Multiples, OneOrMany, Written, multiples, number, numbers};
use super::ranking::Demands;
use super::relearn_spec::RelearnSpec;
use crate::error::{BenchError, Result};

/// The group of tasks that stands for utility where nothing else is said.
pub const LEADERBOARD: &str = "openllm";

/// What an experiment asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentSpec {
    /// Name for people; the file's name if absent.
    #[serde(default)]
    pub name: String,
    /// The original: a directory, a GGUF file or a hub id. Paths are taken from the file's folder. Absent: `finetune` makes it.
    #[serde(default)]
    pub model: Option<PathBuf>,
    /// A model that never saw the forget set.
    #[serde(default)]
    pub oracle: Option<PathBuf>,
    /// Another such model of a different seed.
    #[serde(default)]
    pub oracle_twin: Option<PathBuf>,
    /// How the anchors that are not given are made.
    #[serde(default)]
    pub finetune: Option<FinetuneSpec>,
    /// Task whose answers are to be forgotten.
    pub forget: String,
    /// Task that asks for the same facts in other words.
    #[serde(default)]
    pub paraphrased: Option<String>,
    /// Task like the forget set that no model has seen: what membership attacks tell it from.
    #[serde(default)]
    pub holdout: Option<String>,
    /// Task whose truth ratios are compared with the oracle's: TOFU's forget quality; the forget task itself, if absent and it has them.
    #[serde(default)]
    pub truth_ratio: Option<String>,
    /// Task with choices about what is to be forgotten, such as `wmdp_bio`.
    #[serde(default)]
    pub forget_choice: Option<String>,
    /// Task with text that has nothing to do with the forget set: how far models move from the original there.
    #[serde(default)]
    pub neutral: Option<String>,
    /// Task whose answers are to be kept.
    #[serde(default)]
    pub retain: Option<String>,
    /// Tasks that measure what must stay useful; the six of the Open LLM Leaderboard if absent.
    #[serde(default = "leaderboard")]
    pub utility: Vec<String>,
    /// Documents to use of each.
    #[serde(default)]
    pub limits: Limits,
    /// The methods.
    pub methods: Vec<MethodSpec>,
    /// Seeds of unlearning; three or more give intervals over runs.
    #[serde(default = "one_seed")]
    pub seeds: Vec<u64>,
    /// How the methods are trained where they say nothing else.
    #[serde(default)]
    pub unlearn: UnlearnSpec,
    /// Who attacks; `max_steps: 0` attacks nothing.
    #[serde(default)]
    pub relearn: RelearnSpec,
    /// Bits to which the weights are rounded for scoring.
    #[serde(default = "four_and_eight")]
    pub rounding: Vec<u32>,
    /// Rows of random weights: how many times as much as the methods changed in the mean. `true` is 1, `false` none.
    #[serde(default = "as_much", deserialize_with = "multiples")]
    #[schemars(with = "Multiples")]
    pub noise: Vec<f64>,
    /// Questions whose answers the report shows side by side.
    #[serde(default = "some_questions")]
    pub questions: usize,
    /// What methods must keep to be ranked.
    #[serde(default)]
    pub ranking: Demands,
    /// Questions whose answers are judged for fluency and refusals, from the first on; as many as are shown if absent or less.
    #[serde(default)]
    pub fluency: Option<usize>,
    /// Whether membership is also attacked by gradient norms, which takes a backward pass a document.
    #[serde(default)]
    pub gradient_norms: bool,
}

/// Documents to use: a count, or below 1 a share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Of the forget set.
    pub forget: Option<f64>,
    /// Of the retain set.
    pub retain: Option<f64>,
    /// Of the texts that no model has seen.
    pub holdout: Option<f64>,
    /// Of the neutral text.
    pub neutral: Option<f64>,
    /// Of each utility task.
    pub utility: Option<f64>,
}

/// A method with what is particular to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "MethodEntry")]
#[schemars(with = "MethodEntry")]
pub struct MethodSpec {
    /// Its id.
    pub method: String,
    /// Its row's name; the id if absent.
    pub name: Option<String>,
    /// Its options.
    pub set: BTreeMap<String, Value>,
    /// Learning rates instead of the experiment's.
    pub learning_rates: Vec<f64>,
    /// Optimiser steps instead of the experiment's.
    pub steps: Option<usize>,
}

/// A method as the YAML has it: its id alone, or a map.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum MethodEntry {
    Id(String),
    Full(FullMethod),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct FullMethod {
    method: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    set: BTreeMap<String, Value>,
    #[serde(default, deserialize_with = "numbers")]
    #[schemars(with = "OneOrMany")]
    learning_rates: Vec<f64>,
    #[serde(default)]
    steps: Option<usize>,
}

impl From<MethodEntry> for MethodSpec {
    fn from(entry: MethodEntry) -> Self {
        match entry {
            MethodEntry::Id(method) => Self::of(&method),
            MethodEntry::Full(full) => Self {
                method: full.method,
                name: full.name,
                set: full.set,
                learning_rates: full.learning_rates,
                steps: full.steps,
            },
        }
    }
}

impl MethodSpec {
    /// A method with the experiment's settings and its own defaults.
    pub fn of(method: &str) -> Self {
        Self {
            method: method.to_owned(),
            name: None,
            set: BTreeMap::new(),
            learning_rates: Vec::new(),
            steps: None,
        }
    }

    /// Its options as `--set` takes them.
    pub fn settings(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let pairs = self.set.iter();
        pairs
            .map(|(key, value)| format!("{key}={}", text(value)))
            .collect()
    }
}

/// How methods are trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UnlearnSpec {
    /// Optimiser steps.
    pub steps: usize,
    /// Forget documents a step, and as many retain documents.
    pub batch_size: usize,
    /// Peak learning rates; each is a row of its own.
    #[serde(deserialize_with = "numbers")]
    #[schemars(with = "OneOrMany")]
    pub learning_rates: Vec<f64>,
    /// Steps over which the rate rises.
    pub warmup_steps: usize,
    /// Decoupled weight decay of matrices.
    #[serde(deserialize_with = "number")]
    #[schemars(with = "Written")]
    pub weight_decay: f64,
    /// Joint L2 norm that gradients are clipped to; 0 clips nothing.
    #[serde(deserialize_with = "number")]
    #[schemars(with = "Written")]
    pub max_grad_norm: f64,
    /// Models of steps before the last that are measured on the forget set and the utility tasks: the method's trail.
    pub checkpoints: usize,
    /// Whether their weights are kept afterwards.
    pub keep_checkpoints: bool,
}

impl Default for UnlearnSpec {
    fn default() -> Self {
        Self {
            steps: 50,
            batch_size: 4,
            learning_rates: vec![1e-5],
            warmup_steps: 0,
            weight_decay: 0.01,
            max_grad_norm: 1.0,
            checkpoints: 0,
            keep_checkpoints: false,
        }
    }
}

fn leaderboard() -> Vec<String> {
    vec![LEADERBOARD.to_owned()]
}

fn one_seed() -> Vec<u64> {
    vec![0]
}

fn four_and_eight() -> Vec<u32> {
    vec![8, 4]
}

fn as_much() -> Vec<f64> {
    vec![1.0]
}

fn some_questions() -> usize {
    6
}

impl ExperimentSpec {
    /// JSON Schema of the file, for editors; `extends` and the default values included.
    pub fn schema() -> Schema {
        let mut schema = schemars::schema_for!(Self);
        let extends = schemars::json_schema!({
            "type": "string",
            "description": "Another experiment, whose keys count where this one is silent.",
        });
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("extends".to_owned(), extends.to_value());
        }
        // An extended file may have them.
        schema.remove("required");
        schema
    }

    /// An experiment with nothing but what it needs.
    pub fn new(model: PathBuf, forget: String, methods: Vec<MethodSpec>) -> Self {
        Self {
            name: "bench".into(),
            model: Some(model),
            oracle: None,
            oracle_twin: None,
            finetune: None,
            forget,
            paraphrased: None,
            holdout: None,
            truth_ratio: None,
            forget_choice: None,
            neutral: None,
            retain: None,
            utility: Vec::new(),
            limits: Limits::default(),
            methods,
            seeds: one_seed(),
            unlearn: UnlearnSpec::default(),
            relearn: RelearnSpec::default(),
            rounding: four_and_eight(),
            noise: as_much(),
            ranking: Demands::default(),
            questions: some_questions(),
            fluency: None,
            gradient_norms: false,
        }
    }

    /// The models that it names, each a path or a hub id.
    pub fn models_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let given = [&mut self.model, &mut self.oracle, &mut self.oracle_twin];
        let base = self.finetune.as_mut().map(|own| &mut own.base);
        given.into_iter().flatten().chain(base)
    }

    /// Refuses what makes no sense; `from` says where it was written.
    ///
    /// # Errors
    /// On numbers out of bounds and empty lists.
    pub fn check(&self, from: &str) -> Result<()> {
        let refuse = |problem: &str| Err(BenchError::Request(format!("{from}: {problem}")));
        let rates = (self
            .methods
            .iter()
            .flat_map(|method| &method.learning_rates))
        .chain(&self.unlearn.learning_rates)
        .chain(&self.relearn.learning_rates);
        if self.model.is_none() && self.finetune.is_none() {
            return refuse(
                "name the original, `model: DIR`, or a base to make it of, `finetune: {base: DIR}`",
            );
        }
        if let Some(problem) = self.finetune.as_ref().and_then(FinetuneSpec::problem) {
            return refuse(problem);
        }
        if self.finetune.is_some() && self.retain.is_none() {
            return refuse(
                "`finetune` makes oracles of what is to be kept: name it, `retain: TASK`",
            );
        }
        if self.methods.is_empty() {
            return refuse("`methods` is empty: name at least one");
        }
        if self.seeds.is_empty() || self.unlearn.learning_rates.is_empty() {
            return refuse("`seeds` and `unlearn: learning_rates` need at least one number each");
        }
        if rates
            .into_iter()
            .any(|rate| !(rate.is_finite() && *rate > 0.0))
        {
            return refuse("learning rates must be positive");
        }
        if (self.noise.iter()).any(|times| !(times.is_finite() && *times > 0.0)) {
            return refuse("`noise` takes true, false, or positive numbers");
        }
        let Limits {
            forget,
            retain,
            holdout,
            neutral,
            utility,
        } = self.limits;
        let limits = [forget, retain, holdout, neutral, utility];
        if (limits.into_iter().flatten()).any(|limit| Limit::from_number(limit).is_none()) {
            return refuse("`limits` takes counts of documents, or shares between 0 and 1");
        }
        if let Some(name) = self.files_named_twice() {
            return refuse(&format!(
                "two models would be called `{name}`; give a method a `name` of its own, and no seed twice"
            ));
        }
        if !self.ranking.are_sound() {
            return refuse("the bounds of `ranking` must not be negative");
        }
        if self.unlearn.steps == 0 || self.unlearn.batch_size == 0 {
            return refuse("`steps` and `batch_size` must be positive");
        }
        if let Some(problem) = self.relearn.problem(self.retain.as_ref()) {
            return refuse(problem);
        }
        if let Some(bits) = self.rounding.iter().find(|bits| ![4, 8].contains(*bits)) {
            return refuse(&format!("`rounding` takes 4 and 8 bits, not {bits}"));
        }
        Ok(())
    }
}
