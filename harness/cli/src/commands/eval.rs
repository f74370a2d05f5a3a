//! `harness eval`: score a model on tasks, with lm-eval's flags, numbers and files.

use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use clap::Args;
use harness_bench::{Event, evaluate};
use harness_engine::{Progress, Scorer};
use harness_model::{DeviceName, Lora, Model};
use harness_report::{
    EvalRun, ModelFacts, ScoredTask, eval_table, prepare_output, write_eval_files,
};
use harness_task::{RequestOptions, Task, TaskSpec};

use crate::exit::Refused;
use crate::model_source::ModelSource;
use crate::options::{TaskOptions, device, limit};
use crate::output;
use crate::progress::Terminal;

/// Score a model on tasks
#[derive(Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(crate) struct Eval {
    /// Model directory in Hugging Face layout, GGUF file or hub id; or "hf" with --model-args pretrained=…, as lm-eval has it
    #[arg(long, short = 'M', value_name = "DIR|GGUF|ORG/NAME")]
    model: PathBuf,
    /// key=value pairs for --model hf: pretrained, revision, dtype
    #[arg(long, short = 'a', value_name = "ARGS")]
    model_args: Option<String>,
    /// `LoRA` adapter in PEFT's format to put on the model
    #[arg(long, value_name = "DIR")]
    peft: Option<PathBuf>,
    /// Keep the matrices of a GGUF file in their quantized blocks: less memory, more time, the same scores
    #[arg(long)]
    keep_quantized: bool,
    /// Tasks, groups, tags, patterns or YAML files, separated by commas or spaces
    #[arg(long, short = 't', value_name = "TASKS", required = true, num_args = 1.., value_delimiter = ',')]
    tasks: Vec<String>,
    /// Few-shot examples a document; the task's own number if absent
    #[arg(long, short = 'f', value_name = "N")]
    num_fewshot: Option<usize>,
    /// Documents a task: a count, or below 1 a share
    #[arg(long, short = 'L', value_name = "N")]
    limit: Option<f64>,
    /// Folder for the results, or a .json file
    #[arg(long, short = 'o', value_name = "PATH")]
    output_path: Option<PathBuf>,
    /// Also write every document with its prompts, responses and scores (needs --output-path)
    #[arg(long, short = 's', requires = "output_path")]
    log_samples: bool,
    /// One seed, or python,numpy,torch,fewshot; the last one draws the few-shot examples
    #[arg(long, value_name = "SEED", default_value = "0,1234,1234,1234")]
    seed: String,
    /// Sequences that go through the model at a time: a number, or auto, which goes by tokens
    #[arg(long, short = 'b', value_name = "N", default_value = "auto")]
    batch_size: String,
    /// Where to compute
    #[arg(long, value_name = "cpu|cuda[:N]", default_value = "cpu")]
    device: String,
    #[command(flatten)]
    tasks_and_data: TaskOptions,
}

const EXAMPLES: &str = "Examples:
  harness eval --model DIR --tasks arc_easy --data-dir DATA
  harness eval --model DIR --tasks arc_challenge --num_fewshot 25 --limit 100 --data-dir DATA --output_path OUT --log_samples
  harness eval --model HuggingFaceTB/SmolLM2-135M --tasks arc_easy --data-dir DATA
  harness eval --model hf --model_args pretrained=DIR,dtype=float32 --tasks path/to/my_task.yaml";

impl Eval {
    pub(crate) fn run(self) -> Result<()> {
        let options = RequestOptions {
            num_fewshot: self.num_fewshot,
            limit: limit(self.limit)?,
            fewshot_seed: self.fewshot_seed()?,
            ..RequestOptions::default()
        };
        self.batch_sequences()?;
        let device_name = device(&self.device)?;
        let device = device_name.open()?;
        let source = self.model_source()?;
        // Everything that can be wrong with the request is looked at before the model's weights are.
        let data = self.tasks_and_data.source()?;
        let specs = self.tasks_and_data.library()?.resolve(&self.tasks)?;
        let tasks = specs
            .into_iter()
            .map(|spec| Task::load(spec, &data))
            .collect::<Result<Vec<_>, _>>()?;
        if let Some(output) = &self.output_path {
            prepare_output(output)?;
        }
        let mut terminal = Terminal::default();
        let open = if self.keep_quantized {
            Model::open_quantized
        } else {
            Model::open
        };
        let mut model = open(&source.locate(&mut terminal)?, &device)?;
        if let Some(adapter) = &self.peft {
            let lora = Lora::read(adapter, &model.spec, &device)?;
            model.weights = model.weights.with_adapters(&lora)?;
        }
        let facts = facts(&model, &source, self.peft.clone(), device_name);
        let run = self.score(&model, facts, &tasks, &options, &mut terminal)?;
        let mut text = eval_table(&run);
        if let Some(output) = &self.output_path {
            let files = write_eval_files(&run, output, self.log_samples)?;
            text += "\n";
            text += &files.results.display().to_string();
            text += "\n";
        }
        output::print(&text)
    }

    fn score(
        &self,
        model: &Model,
        facts: ModelFacts,
        tasks: &[Task],
        options: &RequestOptions,
        terminal: &mut Terminal,
    ) -> Result<EvalRun> {
        let (start, started) = (
            Instant::now(),
            SystemTime::now().duration_since(UNIX_EPOCH)?,
        );
        let mut scorer = Scorer::new(model.decoder()?, model.tokenizer.clone())
            .with_batch_sequences(self.batch_sequences()?);
        let mut scored = Vec::new();
        for task in tasks {
            scored.push(score_task(task, &mut scorer, options, terminal)?);
        }
        let statistics = scorer.statistics();
        if statistics.truncated > 0 {
            let message = format!(
                "{} requests were longer than the model's context and lost the beginning of their prompts",
                statistics.truncated
            );
            terminal.show(Event::Message(message));
        }
        Ok(EvalRun {
            model: facts,
            tasks: scored,
            batch_size: self.batch_size.clone(),
            limit: self.limit,
            seeds: seeds(&self.seed)?,
            started_unix_seconds: started.as_secs_f64(),
            seconds: start.elapsed().as_secs_f64(),
        })
    }

    /// Results do not depend on it; it is there for those who must save memory.
    fn batch_sequences(&self) -> Result<usize> {
        match self.batch_size.as_str() {
            "auto" => Ok(usize::MAX),
            number => number
                .parse()
                .ok()
                .filter(|&sequences: &usize| sequences > 0)
                .ok_or_else(|| {
                    Refused(format!("--batch-size {number}: a positive number, or auto")).into()
                }),
        }
    }

    fn fewshot_seed(&self) -> Result<u64> {
        let unset = || {
            Refused(
                "--seed None: few-shot examples drawn without a seed could never be drawn again"
                    .into(),
            )
        };
        seeds(&self.seed)?[3].ok_or_else(|| unset().into())
    }

    fn model_source(&self) -> Result<ModelSource> {
        let source = match (self.model.to_str(), &self.model_args) {
            (Some("hf"), arguments) => {
                ModelSource::from_arguments(arguments.as_deref().unwrap_or_default())?
            }
            (_, None) => ModelSource::new(&self.model),
            (_, Some(_)) => return Err(Refused("--model-args goes with --model hf".into()).into()),
        };
        if self.keep_quantized && !source.name().is_file() {
            let name = source.name().display();
            let problem = format!("--keep-quantized goes with a GGUF file, and {name} is none");
            return Err(Refused(problem).into());
        }
        Ok(source)
    }
}

fn score_task(
    task: &Task,
    scorer: &mut Scorer,
    options: &RequestOptions,
    terminal: &mut Terminal,
) -> Result<ScoredTask> {
    let spec: &TaskSpec = task.spec();
    let mut started = false;
    let mut progress = |progress: Progress| {
        if !started {
            let (name, total) = (spec.task.clone(), Some(progress.total));
            terminal.show(Event::StageStarted {
                name,
                total,
                unit: "requests",
            });
            started = true;
        }
        terminal.show(Event::StageAdvanced {
            done: progress.done,
            remark: String::new(),
        });
    };
    let evaluation = evaluate(task, scorer, options, &mut progress)?;
    terminal.show(Event::StageFinished {
        remark: format!("{} documents", evaluation.result.effective_documents),
    });
    Ok(ScoredTask {
        spec: spec.clone(),
        num_fewshot: spec.effective_num_fewshot(options.num_fewshot),
        evaluation,
    })
}

fn facts(
    model: &Model,
    source: &ModelSource,
    adapter: Option<PathBuf>,
    device: DeviceName,
) -> ModelFacts {
    let special = |id: Option<u32>| id.and_then(|id| Some((model.tokenizer.token(id)?, id)));
    ModelFacts {
        directory: source.name().to_owned(),
        revision: source.revision().map(str::to_owned),
        adapter,
        device: device.to_string(),
        parameters: model.spec.parameters(),
        max_length: model.spec.max_positions,
        bos: special(model.tokenizer.bos()),
        eos: special(model.tokenizer.eos()),
    }
}

/// One seed for all four, or three or four of them; "None" leaves one unset.
fn seeds(text: &str) -> Result<[Option<u64>; 4]> {
    let wrong = || {
        Refused(format!(
            "--seed {text}: one whole number, or python,numpy,torch,fewshot"
        ))
    };
    let parse = |part: &str| match part.trim() {
        "None" => Ok(None),
        number => number.parse().map(Some).map_err(|_| wrong()),
    };
    let parts = text
        .split(',')
        .map(parse)
        .collect::<Result<Vec<Option<u64>>, Refused>>()?;
    match parts.as_slice() {
        [all] => Ok([*all; 4]),
        [python, numpy, torch] => Ok([*python, *numpy, *torch, Some(1234)]),
        [python, numpy, torch, fewshot] => Ok([*python, *numpy, *torch, *fewshot]),
        _ => Err(wrong().into()),
    }
}
