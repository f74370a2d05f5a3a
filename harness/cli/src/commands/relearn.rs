//! `harness relearn`: how quickly does the knowledge come back?

use std::path::{Path, PathBuf};

use anyhow::Result;
use candle_core::Device;
use clap::Args;
use harness_bench::relearn::{RelearnCurve, WINDOW, relearn};
use harness_bench::{AnswerSet, Event, FineTuning, RunDirectory, TextPair};
use harness_engine::Scorer;
use harness_model::Model;
use harness_report::{Attack, RelearnRow, relearn_table};
use serde_json::json;

use super::unlearn::positive;
use crate::model_source::ModelSource;
use crate::options::{TaskOptions, device, limit};
use crate::progress::Terminal;
use crate::{exit, output};

/// Attack unlearned models: fine-tune on the forget set until the original's loss is reached
///
/// The rule: stop when the mean of the last ten (or fewer) training-batch losses is at most the original model's mean
/// loss on the forget set. The original goes through the same as the floor. "≥" marks models that did not get there.
#[derive(Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(crate) struct Relearn {
    /// The model before unlearning: a directory, a GGUF file or a hub id
    #[arg(long, value_name = "DIR|GGUF|ORG/NAME")]
    original: PathBuf,
    /// Unlearned models, likewise
    #[arg(long, value_name = "DIR|GGUF|ORG/NAME", required = true, num_args = 1..)]
    unlearned: Vec<PathBuf>,
    /// Task whose answers were forgotten
    #[arg(long, value_name = "TASK")]
    forget: String,
    /// Documents a step
    #[arg(long, value_name = "N", default_value_t = 3)]
    batch_size: usize,
    /// Learning rate of AdamW, constant
    #[arg(
        long,
        value_name = "X",
        default_value_t = 1e-5,
        allow_negative_numbers = true
    )]
    lr: f64,
    /// Steps after which the attacker gives up
    #[arg(long, value_name = "N", default_value_t = 200)]
    max_steps: usize,
    /// Keep only each layer's input for the gradients and run the layers again: less memory, about a third more time
    #[arg(long)]
    activation_checkpoints: bool,
    /// Forget documents to use: a count, or below 1 a share
    #[arg(long, value_name = "N")]
    limit: Option<f64>,
    /// Seed of the order of documents
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Folder for relearn.json
    #[arg(long, value_name = "DIR")]
    output_path: Option<PathBuf>,
    /// Where to compute
    #[arg(long, value_name = "cpu|cuda[:N]", default_value = "cpu")]
    device: String,
    #[command(flatten)]
    tasks_and_data: TaskOptions,
}

const EXAMPLES: &str = "Examples:
  harness relearn --original DIR --unlearned OUT --forget tofu_forget01 --data-dir DATA --output-path RUN
  harness relearn --original DIR --unlearned OUT1 OUT2 --forget tofu_forget01 --lr 2e-5 --max-steps 400 --data-dir DATA";

impl Relearn {
    pub(crate) fn run(self) -> Result<()> {
        let device = device(&self.device)?.open()?;
        positive("--batch-size", self.batch_size as f64)?;
        positive("--max-steps", self.max_steps as f64)?;
        positive("--lr", self.lr)?;
        if let Some(output) = &self.output_path {
            RunDirectory::open(output)?;
        }
        let library = self.tasks_and_data.library()?;
        let pairs = self
            .tasks_and_data
            .answers(&library, &self.forget, limit(self.limit)?)?;
        let mut terminal = Terminal::default();
        let mut locate = |source: &PathBuf| {
            let path = ModelSource::new(source).locate(&mut terminal)?;
            Model::check(&path)?;
            anyhow::Ok(path)
        };
        let original = locate(&self.original)?;
        let unlearned = self
            .unlearned
            .iter()
            .map(|source| Ok((source.display().to_string(), locate(source)?)))
            .collect::<Result<Vec<_>>>()?;
        let target = self.target_loss(&original, &device, &pairs, &mut terminal)?;
        let models = [("original".to_owned(), original)]
            .into_iter()
            .chain(unlearned);
        let mut rows = Vec::new();
        for (name, path) in models {
            rows.push(self.attack(name, &path, &device, &pairs, target, &mut terminal)?);
            self.write(target, &rows)?;
        }
        output::print(&relearn_table(&rows))?;
        match rows.iter().find_map(RelearnRow::failure) {
            Some(failure) => Err(anyhow::anyhow!(failure)),
            None => Ok(()),
        }
    }

    fn target_loss(
        &self,
        original: &Path,
        device: &Device,
        pairs: &[TextPair],
        terminal: &mut Terminal,
    ) -> Result<f64> {
        let model = Model::open(original, device)?;
        let mut scorer = Scorer::new(model.decoder()?, model.tokenizer.clone());
        let set = AnswerSet::new(&self.forget, pairs, scorer.encoder())?;
        let (name, total) = ("score the original".into(), Some(pairs.len()));
        terminal.show(Event::StageStarted {
            name,
            total,
            unit: "documents",
        });
        let advance = &mut |progress: harness_engine::Progress| {
            terminal.show(Event::StageAdvanced {
                work_done: Some(progress.work_done),
                done: progress.done,
                remark: String::new(),
            });
        };
        let target = set.knowledge(&mut scorer, advance)?.loss;
        terminal.show(Event::StageFinished {
            remark: format!("loss {target:.3}"),
        });
        Ok(target)
    }

    /// A model that diverges under the attack is a row that says so; the others go on.
    fn attack(
        &self,
        model: String,
        directory: &Path,
        device: &Device,
        pairs: &[TextPair],
        target: f64,
        terminal: &mut Terminal,
    ) -> Result<RelearnRow> {
        terminal.show(Event::StageStarted {
            name: format!("relearn {model}"),
            total: Some(self.max_steps),
            unit: "steps",
        });
        let attack = match self.curve(directory, device, pairs, target, terminal) {
            Ok(curve) => Attack::Curve(curve),
            Err(error) if exit::is_refusal(&error) => return Err(error),
            Err(error) => Attack::Failed(error.to_string()),
        };
        terminal.show(Event::StageFinished {
            remark: match &attack {
                Attack::Curve(curve) => format!("{} samples", curve.samples_text()),
                Attack::Failed(_) => "failed".into(),
            },
        });
        Ok(RelearnRow { model, attack })
    }

    fn curve(
        &self,
        directory: &Path,
        device: &Device,
        pairs: &[TextPair],
        target: f64,
        terminal: &mut Terminal,
    ) -> Result<RelearnCurve> {
        let model = Model::open(directory, device)?;
        let encoder =
            harness_engine::Encoder::new(model.tokenizer.clone(), model.spec.max_positions);
        let set = AnswerSet::new(&self.forget, pairs, &encoder)?;
        let observer = &mut |event| terminal.show(event);
        Ok(relearn(
            &model.spec,
            &model.weights,
            &set,
            target,
            &self.attacker(),
            observer,
        )?)
    }

    fn attacker(&self) -> FineTuning {
        FineTuning {
            steps: self.max_steps,
            batch_size: self.batch_size,
            learning_rate: self.lr,
            activation_checkpoints: self.activation_checkpoints,
            seed: self.seed,
            ..FineTuning::default()
        }
    }

    /// Written after every model, so that a killed run keeps what is done.
    fn write(&self, target: f64, rows: &[RelearnRow]) -> Result<()> {
        let Some(output) = &self.output_path else {
            return Ok(());
        };
        let record = json!({
            "forget": self.forget,
            "rule": format!("mean of the last {WINDOW} training-batch losses at most target_loss"),
            "target_loss": target,
            "attacker": self.attacker(),
            "models": rows,
        });
        Ok(RunDirectory::open(output)?.write_json("relearn.json", &record)?)
    }
}
