//! `harness relearn`: how quickly does the knowledge come back? One attack by the seed project's rule, or a campaign.

mod attackers;
mod campaign;
mod running_loss;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use harness_bench::{RunDirectory, TextPair};
use harness_model::{DeviceName, Model};

use crate::exit::Refused;
use crate::model_source::{ModelSource, checkpoints};
use crate::options::{TaskOptions, device, limit};
use crate::progress::Terminal;

/// Attack unlearned models: train them on what they forgot, and measure how soon they know it again
///
/// Alone, one attack by its training loss: stop when the mean of the last ten (or fewer) training-batch losses is at most the
/// original model's mean loss on the forget set. The original goes through the same as the floor.
///
/// With an option of the campaign: a grid of attackers on every model, judged by questions that they do not train on, between
/// an oracle that never knew (0) and the original (1). "≥" marks what was not reached.
#[derive(Args)]
#[command(after_help = EXAMPLES, allow_negative_numbers = true)]
pub(crate) struct Relearn {
    /// The model before unlearning: a directory, a GGUF file or a hub id
    #[arg(long, value_name = "DIR|GGUF|ORG/NAME")]
    original: PathBuf,
    /// Unlearned models, likewise, or folders of such directories
    #[arg(long, value_name = "DIR|GGUF|ORG/NAME", required = true, num_args = 1..)]
    unlearned: Vec<PathBuf>,
    /// Task whose answers were forgotten
    #[arg(long, value_name = "TASK")]
    forget: String,
    #[command(flatten)]
    attackers: attackers::AttackerOptions,
    #[command(flatten)]
    campaign: campaign::CampaignOptions,
    /// Forget documents to use: a count, or below 1 a share
    #[arg(long, value_name = "N")]
    limit: Option<f64>,
    /// Folder for relearn.json, and for a campaign's records, which a later run takes over
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
  harness relearn --original DIR --unlearned CHECKPOINTS --forget tofu_forget01 --lr 5e-3 --lora-rank 8 --epochs 10 --schedule linear --batch-size 4
  harness relearn --original DIR --oracle ORACLE --unlearned OUT1 OUT2 --forget tofu_forget01 --related tofu_retain99 --grid few --attacks rounding,few-shot --data-dir DATA --output-path RUN";

/// A model to attack.
struct NamedModel {
    name: String,
    path: PathBuf,
}

/// What both ways of attacking are about.
struct Attacked {
    device: DeviceName,
    forget: Vec<TextPair>,
    original: PathBuf,
    unlearned: Vec<NamedModel>,
    run: Option<RunDirectory>,
}

impl Relearn {
    pub(crate) fn run(self) -> Result<()> {
        let device = device(&self.device)?;
        device.open()?;
        self.attackers.check()?;
        self.campaign.check()?;
        let library = self.tasks_and_data.library()?;
        let forget = self
            .tasks_and_data
            .answers(&library, &self.forget, limit(self.limit)?)?;
        let is_campaign = self.campaign.is_asked_for() || self.attackers.are_several();
        let materials = is_campaign
            .then(|| self.materials(&library, forget.clone()))
            .transpose()?;
        let mut terminal = Terminal::default();
        let original = locate(&self.original, &mut terminal)?;
        let mut unlearned = Vec::new();
        for source in self.unlearned.iter().map(PathBuf::as_path) {
            for source in unlearned_models(source)? {
                let path = locate(&source, &mut terminal)?;
                let name = source.display().to_string();
                unlearned.push(NamedModel { name, path });
            }
        }
        let run = self.output_path.as_deref().map(RunDirectory::open);
        let attacked = Attacked {
            device,
            forget,
            original,
            unlearned,
            run: run.transpose()?,
        };
        match materials {
            Some(materials) => self.run_campaign(&attacked, &materials, &mut terminal),
            None => self.run_by_running_loss(&attacked, &mut terminal),
        }
    }
}

/// Where a model is, after everything but its weights was looked at.
fn locate(source: &Path, terminal: &mut Terminal) -> Result<PathBuf> {
    let path = ModelSource::new(source).locate(terminal)?;
    Model::check(&path)?;
    Ok(path)
}

/// The model itself, or those in a folder of model directories.
fn unlearned_models(source: &Path) -> Result<Vec<PathBuf>> {
    let found = checkpoints(source)?;
    if found.is_empty() {
        let message = format!(
            "--unlearned {}: neither a model directory nor a folder with such directories (none has a config.json)",
            source.display()
        );
        return Err(Refused(message).into());
    }
    Ok(found)
}
