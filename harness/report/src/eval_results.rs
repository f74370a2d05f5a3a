//! The results of an evaluation as lm-eval writes them to `results_<time>.json` (lm-eval 0.4.13's keys).

use std::path::PathBuf;

use harness_bench::{Evaluation, GroupResult, sha256_hex};
use harness_task::{AggregatedMetric, TaskNode, TaskSpec};
use serde_json::{Map, Value, json};

use crate::group_sections::{add_groups, group_subtasks};
use crate::samples::document_hashes;

/// Facts about the model that was scored.
#[derive(Clone, Debug)]
pub struct ModelFacts {
    /// Its directory, file or hub id.
    pub directory: PathBuf,
    /// The state of the hub's model that was asked for.
    pub revision: Option<String>,
    /// The adapter on it.
    pub adapter: Option<PathBuf>,
    /// Where it computed: `cpu` or `cuda:N`.
    pub device: String,
    /// Number of weights.
    pub parameters: usize,
    /// Longest input, in tokens.
    pub max_length: usize,
    /// Arguments that decide which tokens a text becomes, as far as the user said so.
    pub of_tokens: Map<String, Value>,
    /// Text and id of the special tokens.
    pub bos: Option<(String, u32)>,
    /// Text and id of the special tokens.
    pub eos: Option<(String, u32)>,
}

/// One task's evaluation.
#[derive(Clone, Debug)]
pub struct ScoredTask {
    /// The task as it was read.
    pub spec: TaskSpec,
    /// Few-shot examples a document.
    pub num_fewshot: usize,
    /// Documents with responses and metrics, and the aggregate.
    pub evaluation: Evaluation,
    /// SHA-256 of the concatenated document, prompt and target hashes.
    hash: String,
}

impl ScoredTask {
    /// A task with its evaluation.
    pub fn new(spec: TaskSpec, num_fewshot: usize, evaluation: Evaluation) -> Self {
        let hashes: String = evaluation
            .samples
            .iter()
            .flat_map(document_hashes)
            .collect();
        Self {
            spec,
            num_fewshot,
            evaluation,
            hash: sha256_hex(hashes.as_bytes()),
        }
    }
}

/// How documents became prompts, as far as the user said so.
#[derive(Clone, Debug)]
pub struct Prompting {
    /// `--num_fewshot` as given.
    pub num_fewshot: Option<usize>,
    /// Seeds of Python, `NumPy`, torch and the few-shot sampler; the last two have an effect here: texts drawn, examples drawn.
    pub seeds: [Option<u64>; 4],
    /// Settings of generation over those of the tasks.
    pub generation_kwargs: Map<String, Value>,
    /// Text before every task's description.
    pub system_instruction: Option<String>,
    /// The template that made conversations of the prompts.
    pub chat_template: Option<String>,
    /// Whether few-shot examples were turns of their own, in conversations.
    pub fewshot_as_multiturn: bool,
}

/// A whole `eval` run.
#[derive(Clone, Debug)]
pub struct EvalRun {
    /// What was scored.
    pub model: ModelFacts,
    /// How documents became prompts.
    pub prompting: Prompting,
    /// What was asked for: tasks, and groups with what is below them.
    pub tree: Vec<TaskNode>,
    /// The tasks scored so far, in the order asked for.
    pub tasks: Vec<ScoredTask>,
    /// The groups whose tasks are all scored.
    pub groups: Vec<GroupResult>,
    /// `--batch_size` as given.
    pub batch_size: String,
    /// `--use_cache` as given.
    pub use_cache: Option<PathBuf>,
    /// `--limit` as given.
    pub limit: Option<f64>,
    /// Start, in seconds since 1970.
    pub started_unix_seconds: f64,
    /// Wall time.
    pub seconds: f64,
}

/// The results file's contents.
pub fn results_json(run: &EvalRun) -> Value {
    let by_task = |value: &dyn Fn(&ScoredTask) -> Value| -> Value {
        run.tasks
            .iter()
            .map(|task| (task.spec.task.clone(), value(task)))
            .collect::<Map<_, _>>()
            .into()
    };
    let mut results = json!({
        "results": by_task(&metrics),
        "group_subtasks": group_subtasks(&run.tree),
        "configs": by_task(&|task| config(task)),
        "versions": by_task(&|task| version(task)),
        "n-shot": by_task(&|task| task.num_fewshot.into()),
        "higher_is_better": by_task(&higher_is_better),
        "n-samples": by_task(&|task| {
            let result = &task.evaluation.result;
            json!({ "original": result.original_documents, "effective": result.effective_documents })
        }),
        "config": run_config(run),
        "git_hash": null,
        "date": run.started_unix_seconds,
        "harness_version": env!("CARGO_PKG_VERSION"),
    });
    if let Value::Object(results) = &mut results {
        results.extend(model_facts(&run.model));
        results.insert(
            "task_hashes".into(),
            by_task(&|task| task.hash.clone().into()),
        );
        results.extend(prompting(&run.prompting));
        results.insert(
            "total_evaluation_time_seconds".into(),
            run.seconds.to_string().into(),
        );
    }
    add_groups(run, &mut results);
    let missing = unfinished(run);
    if !missing.is_empty() {
        results["unfinished_tasks"] = json!(missing);
    }
    results
}

/// Tasks that were asked for and have no scores yet.
fn unfinished(run: &EvalRun) -> Vec<&str> {
    let mut missing: Vec<&str> = Vec::new();
    for node in &run.tree {
        let leaves = match node {
            TaskNode::Task(name) => vec![name.as_str()],
            TaskNode::Group(group) => group.leaves(),
        };
        let scored = |name: &&str| run.tasks.iter().any(|task| task.spec.task == **name);
        missing.extend(leaves.into_iter().filter(|name| !scored(name)));
    }
    missing
}

/// Texts with their SHA-256, which tell conversations apart.
fn prompting(prompting: &Prompting) -> Map<String, Value> {
    let mut section = Map::new();
    let texts = [
        ("system_instruction", &prompting.system_instruction),
        ("chat_template", &prompting.chat_template),
    ];
    for (name, text) in texts {
        let hash = text.as_ref().map(|text| sha256_hex(text.as_bytes()));
        section.insert(name.to_owned(), json!(text));
        section.insert(format!("{name}_sha"), json!(hash));
    }
    let multiturn = prompting.chat_template.is_some() && prompting.fewshot_as_multiturn;
    section.insert("fewshot_as_multiturn".to_owned(), multiturn.into());
    section
}

fn metrics(task: &ScoredTask) -> Value {
    let result = &task.evaluation.result;
    let mut values = Map::new();
    values.insert("name".into(), result.task.clone().into());
    values.insert("alias".into(), result.alias.clone().into());
    values.insert("sample_len".into(), result.effective_documents.into());
    add_scores(&mut values, &result.metrics);
    values.into()
}

/// Values and standard errors under lm-eval's keys, `METRIC,FILTER` and `METRIC_stderr,FILTER`.
pub(crate) fn add_scores(values: &mut Map<String, Value>, metrics: &[AggregatedMetric]) {
    for metric in metrics {
        let stderr = metric.stderr.map_or("N/A".into(), Value::from);
        values.insert(
            format!("{},{}", metric.name, metric.filter),
            metric.value.into(),
        );
        values.insert(format!("{}_stderr,{}", metric.name, metric.filter), stderr);
    }
}

fn config(task: &ScoredTask) -> Value {
    let mut config = json!(task.spec);
    config["num_fewshot"] = task.num_fewshot.into();
    config
}

/// The task's version; lm-eval writes "Yaml" where there is none.
fn version(task: &ScoredTask) -> Value {
    task.evaluation
        .result
        .version
        .clone()
        .unwrap_or_else(|| "Yaml".into())
}

fn higher_is_better(task: &ScoredTask) -> Value {
    directions(&task.evaluation.result.metrics)
}

/// Whether more is better, by metric.
pub(crate) fn directions(metrics: &[AggregatedMetric]) -> Value {
    metrics
        .iter()
        .map(|metric| (metric.name.clone(), metric.higher_is_better.into()))
        .collect::<Map<_, _>>()
        .into()
}

fn run_config(run: &EvalRun) -> Value {
    let [python, numpy, torch, fewshot] = run.prompting.seeds;
    json!({
        "model": "hf",
        "model_args": Value::from(run.model.arguments()),
        "model_num_parameters": run.model.parameters,
        "model_dtype": "float32",
        "batch_size": run.batch_size,
        "device": run.model.device,
        "use_cache": run.use_cache,
        "limit": run.limit,
        "bootstrap_iters": 100_000,
        "gen_kwargs": run.prompting.generation_kwargs,
        "random_seed": python,
        "numpy_seed": numpy,
        "torch_seed": torch,
        "fewshot_seed": fewshot,
    })
}

impl ModelFacts {
    /// What lm-eval calls the model's arguments.
    pub(crate) fn arguments(&self) -> Map<String, Value> {
        let path = |path: &PathBuf| Value::from(path.display().to_string());
        let mut arguments = Map::new();
        arguments.insert("pretrained".into(), path(&self.directory));
        if let Some(revision) = &self.revision {
            arguments.insert("revision".into(), revision.clone().into());
        }
        if let Some(adapter) = &self.adapter {
            arguments.insert("peft".into(), path(adapter));
        }
        arguments.insert("dtype".into(), "float32".into());
        arguments.extend(self.of_tokens.clone());
        arguments
    }

    /// What the results go by: the adapter, if there is one, as in lm-eval.
    fn name(&self) -> String {
        let named = self.adapter.as_ref().unwrap_or(&self.directory);
        named.display().to_string()
    }
}

fn model_facts(model: &ModelFacts) -> Map<String, Value> {
    let token = |token: &Option<(String, u32)>| {
        token
            .as_ref()
            .map_or(Value::Null, |(text, id)| json!([text, id.to_string()]))
    };
    let mut facts = Map::new();
    facts.insert("tokenizer_bos_token".into(), token(&model.bos));
    facts.insert("tokenizer_eos_token".into(), token(&model.eos));
    facts.insert(
        "eot_token_id".into(),
        model
            .eos
            .as_ref()
            .map_or(Value::Null, |(_, id)| (*id).into()),
    );
    facts.insert("max_length".into(), model.max_length.into());
    facts.insert("model_source".into(), "hf".into());
    facts.insert("model_name".into(), model.name().into());
    facts.insert("model_name_sanitized".into(), sanitized_name(model).into());
    facts
}

/// The model's name as lm-eval names its folder: runs of characters that file systems refuse become two underscores.
pub(crate) fn sanitized_name(model: &ModelFacts) -> String {
    const REFUSED: &str = "\"<>:/|\\?*[]";
    let mut name = String::new();
    let mut in_run = false;
    for c in model.name().chars() {
        let refused = REFUSED.contains(c);
        match (refused, in_run) {
            (true, false) => name.push_str("__"),
            (true, true) => {}
            (false, _) => name.push(c),
        }
        in_run = refused;
    }
    name
}
