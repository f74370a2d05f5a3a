//! `harness eval`: score a model on tasks, with lm-eval's flags, numbers and files.

mod accepted;
mod documents;
mod model;
mod model_args;
mod pairs;
mod prompts;
mod scoring;
mod several;
mod sizing;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::Args;
use harness_bench::Event;
use harness_engine::{AnswerCache, ModelIdentity, Scorer};
use harness_model::Model;
use harness_python::{PythonHooks, PythonSettings};
use harness_report::{
    EvalFiles, EvalRun, ModelFacts, Prompting, SamplesFormat, eval_table, prepare_output,
    results_json,
};
use harness_task::{
    Aggregation, Hooks, Metric, MetricFunction, MetricSpec, Selection, Task, TaskNode, TaskSpec,
};
use serde_json::{Map, Value, json};

use crate::exit::Refused;
use crate::options::{TaskOptions, seconds, truth};
use crate::output;
use crate::progress::Terminal;

use documents::Documents;
use model::WantedModel;
pub(super) use prompts::PromptOptions;
use scoring::Scoring;

/// Score a model on tasks
#[derive(Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(crate) struct Eval {
    /// YAML file with options of this command, by their names; the command line goes before it
    #[arg(long, short = 'C', value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    model: model::ModelOptions,
    /// Tasks, groups, tags, patterns or YAML files, separated by commas or spaces
    #[arg(long, short = 't', value_name = "TASKS", required = true, num_args = 1.., value_delimiter = ',')]
    tasks: Vec<String>,
    #[command(flatten)]
    prompts: prompts::PromptOptions,
    #[command(flatten)]
    documents: documents::DocumentOptions,
    /// Folder for the results, or a .json file
    #[arg(long, short = 'o', value_name = "PATH")]
    output_path: Option<PathBuf>,
    /// Also write every document with its prompts, responses and scores (needs --output-path)
    #[arg(long, short = 's', value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", value_parser = truth)]
    log_samples: Option<bool>,
    /// Form of the samples: lm-eval's lines of JSON, a Parquet table with typed columns, or both; turns --log-samples on
    #[arg(long, value_name = "jsonl|parquet|both", value_parser = samples_format)]
    samples_format: Option<SamplesFormat>,
    /// Ask and write the samples, but score nothing (needs --output-path)
    #[arg(long, short = 'x', value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", value_parser = truth)]
    predict_only: Option<bool>,
    /// Show the prompt of each task's first document
    #[arg(long, short = 'w', value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", value_parser = truth)]
    write_out: Option<bool>,
    #[command(flatten)]
    sizing: sizing::SizingOptions,
    /// Before scoring, look whether the data and prompts of all tasks are sound
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", value_parser = truth)]
    check_integrity: Option<bool>,
    /// Show the settings of every task after its scores
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", value_parser = truth)]
    show_config: Option<bool>,
    /// Keep answers in PREFIX.db, and take from there what was answered before
    #[arg(long, short = 'c', value_name = "PREFIX")]
    use_cache: Option<PathBuf>,
    /// A map in JSON that is added to every task's metadata
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// Run the Python functions of tasks
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", value_parser = truth)]
    trust_remote_code: Option<bool>,
    /// Seconds that one call of a Python function may take
    #[arg(long, value_name = "N", default_value = "300", value_parser = seconds)]
    hook_timeout_s: Duration,
    #[command(flatten)]
    tasks_and_data: TaskOptions,
    #[command(flatten)]
    accepted: accepted::AcceptedOptions,
}

const EXAMPLES: &str = "Examples:
  harness eval --model DIR --tasks arc_easy --data-dir DATA
  harness eval --model DIR --tasks arc_challenge --num_fewshot 25 --limit 100 --data-dir DATA --output_path OUT --log_samples
  harness eval --model ORIGINAL OUT/checkpoints OUT --tasks arc_easy,winogrande --data-dir DATA --output_path RESULTS
  harness eval --model HuggingFaceTB/SmolLM2-135M --tasks arc_easy --data-dir DATA
  harness eval --model DIR --tasks gsm8k --apply_chat_template --gen_kwargs temperature=0 --data-dir DATA
  harness eval --model hf --model_args pretrained=DIR,dtype=float32 --tasks path/to/my_task.yaml";

/// What every model is asked, and what is written of its answers.
struct Asked {
    samples: Option<SamplesFormat>,
    documents: Documents,
    tree: Vec<TaskNode>,
    tasks: Vec<Task>,
}

impl Eval {
    pub(crate) fn run(self) -> Result<()> {
        let samples = self.samples()?;
        self.sizing.check()?;
        self.prompts.check()?;
        let models = self.model.wanted()?;
        let documents = self.documents.documents()?;
        // Everything that can be wrong with the request is looked at before the model's weights are.
        let Selection { tree, tasks } = self.tasks_and_data.library()?.select(&self.tasks)?;
        documents.check(&tasks)?;
        let tasks = self.load(tasks)?;
        if let Some(output) = &self.output_path {
            prepare_output(output)?;
        }
        let mut terminal = Terminal::default();
        let groups = tree.iter().flat_map(TaskNode::groups);
        let warnings = groups.flat_map(|group| group.warnings.clone());
        for remark in self.accepted.remarks().into_iter().chain(warnings) {
            terminal.show(Event::Message(remark));
        }
        let asked = Asked {
            samples,
            documents,
            tree,
            tasks,
        };
        let [model] = models.as_slice() else {
            return self.score_several(&models, &asked, &mut terminal);
        };
        let (run, results) = self.score(model, &asked, &mut terminal)?;
        let mut text = eval_table(&run);
        if self.show_config == Some(true) {
            text = format!("{text}\n{:#}\n", results_json(&run)["configs"]);
        }
        if let Some(results) = results {
            text = format!("{text}\n{}\n", results.display());
        }
        output::print(&text)
    }

    /// Scores one model on all that is asked; also gives the file with its results, where one is written.
    fn score(
        &self,
        wanted: &WantedModel,
        asked: &Asked,
        terminal: &mut Terminal,
    ) -> Result<(EvalRun, Option<PathBuf>)> {
        let model = wanted.open(terminal)?;
        let (options, prompting) = self.prompts.request_options(
            Some(&model.tokenizer),
            &wanted.arguments().template_variables,
        )?;
        let mut run = self.record(wanted.facts(&model), prompting, asked.tree.clone())?;
        let files = self.output_path.as_deref();
        let files = files.map(|output| EvalFiles::new(output, &run));
        let mut scoring = Scoring {
            documents: &asked.documents,
            options: &options,
            files: files.as_ref(),
            samples: asked.samples,
            write_out: self.write_out == Some(true),
            // Python functions may draw from one stream of random numbers.
            prepares_ahead: self.trust_remote_code != Some(true),
            cache: self.cache(|| wanted.identity(&model.source))?,
            scorer: self.scorer(&model, &run)?,
            terminal,
        };
        if self.check_integrity == Some(true) {
            scoring.check_integrity(&asked.tasks)?;
        }
        scoring.add_all(&asked.tasks, &mut run)?;
        Ok((run, files.map(|files| files.results)))
    }

    /// A run of which nothing is scored yet.
    fn record(
        &self,
        model: ModelFacts,
        prompting: Prompting,
        tree: Vec<TaskNode>,
    ) -> Result<EvalRun> {
        Ok(EvalRun {
            model,
            prompting,
            tree,
            tasks: Vec::new(),
            groups: Vec::new(),
            batch_size: self.sizing.batch_size.clone(),
            use_cache: self.use_cache.clone(),
            limit: self.documents.limit,
            started_unix_seconds: SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64(),
            seconds: 0.0,
        })
    }

    fn scorer(&self, model: &Model, run: &EvalRun) -> Result<Scorer> {
        let scorer = Scorer::new(model.decoder()?, model.tokenizer.clone())
            .with_max_length(run.model.max_length);
        let scorer = self.sizing.apply(scorer)?;
        Ok(match run.prompting.seeds {
            [_, _, Some(seed), _] => scorer.with_sampling_seed(seed),
            _ => scorer,
        })
    }

    fn load(&self, specs: Vec<TaskSpec>) -> Result<Vec<Task>> {
        let data = self.tasks_and_data.source()?;
        let python = PythonSettings {
            time_limit: self.hook_timeout_s,
            ..PythonSettings::from_environment()
        };
        let hooks = hooks(self.trust_remote_code == Some(true), python);
        let metadata = self.metadata()?;
        let load = |mut spec: TaskSpec| {
            spec.metadata.extend(metadata.clone());
            if self.predict_only == Some(true) {
                spec.metric_list = vec![bypass()];
                spec.process_results = None;
            }
            Ok(Task::load_with_hooks(spec, &data, hooks.clone())?)
        };
        specs.into_iter().map(load).collect()
    }

    fn cache(&self, identity: impl Fn() -> Result<ModelIdentity>) -> Result<Option<AnswerCache>> {
        let open = |prefix: &PathBuf| -> Result<AnswerCache> {
            // Beside what lm-eval keeps under the same prefix, and never in its place.
            let mut file = prefix.as_os_str().to_owned();
            file.push(".db");
            Ok(AnswerCache::open(file.as_ref(), identity()?)?)
        };
        self.use_cache.as_ref().map(open).transpose()
    }

    fn metadata(&self) -> Result<Map<String, Value>> {
        let Some(text) = &self.metadata else {
            return Ok(Map::new());
        };
        let wrong = |error| {
            Refused(format!(
                "--metadata {text}: {error}; wanted is a map in JSON"
            ))
        };
        Ok(serde_json::from_str(text).map_err(wrong)?)
    }

    /// The form of the samples, where they are written: predictions are there for nothing else.
    fn samples(&self) -> Result<Option<SamplesFormat>> {
        let asked = [
            ("--predict-only", self.predict_only == Some(true)),
            ("--log-samples", self.log_samples == Some(true)),
            (
                "--samples-format",
                self.samples_format.is_some() && self.log_samples != Some(false),
            ),
        ];
        match asked.into_iter().find(|(_, asked)| *asked) {
            Some((flag, _)) if self.output_path.is_none() => {
                let problem = format!("{flag} writes files: say where with --output-path");
                Err(Refused(problem).into())
            }
            found => Ok(found.map(|_| self.samples_format.unwrap_or(SamplesFormat::Jsonl))),
        }
    }
}

/// The bridge to the Python functions of tasks, for those who trust them. Without one, a task that needs it says so when it
/// is loaded.
pub(super) fn hooks(trusted: bool, settings: PythonSettings) -> Option<Arc<dyn Hooks>> {
    let bridge = || Arc::new(PythonHooks::new(settings));
    trusted.then(|| bridge() as Arc<dyn Hooks>)
}

fn samples_format(name: &str) -> Result<SamplesFormat, String> {
    match name {
        "jsonl" => Ok(SamplesFormat::Jsonl),
        "parquet" => Ok(SamplesFormat::Parquet),
        "both" => Ok(SamplesFormat::Both),
        _ => Err("jsonl, parquet or both".to_owned()),
    }
}

/// The metric of predictions that nobody scores, as lm-eval names it.
fn bypass() -> MetricSpec {
    let given = json!({ "metric": "bypass", "aggregation": "bypass" });
    MetricSpec {
        name: "bypass".to_owned(),
        function: MetricFunction::Known(Metric::Bypass),
        aggregation: Aggregation::Bypass,
        higher_is_better: true,
        options: Map::new(),
        given: given.as_object().cloned().unwrap_or_default(),
    }
}
