//! A campaign: every attacker on every model, judged between oracle and original, with records that a later run takes over.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use harness_bench::Event;
use harness_bench::relearn::{
    AllAnchors, AttackData, AttackedModel, Campaign, EvaluationGrid, HELD_OUT_SHARE, Materials,
    ModelAttacks, QuestionKind, Split, UntrainedAttackName, Verdict,
};
use harness_report::{RecoveryStandings, attacks_parquet, recovery_tables};
use harness_task::TaskLibrary;
use serde_json::json;

use super::super::unlearn::positive;
use super::attackers::Grid;
use super::{Attacked, NamedModel, Relearn, locate};
use crate::output;
use crate::progress::Terminal;

/// Bits that the rounding attack rounds weights to.
const ROUNDING_BITS: [u32; 2] = [8, 4];
/// Evaluations at regular distances, besides those after 1, 2, 4, 8 … steps.
const REGULAR_EVALUATIONS: usize = 8;

#[derive(Args)]
#[command(next_help_heading = "Campaign")]
pub(super) struct CampaignOptions {
    /// Attackers: one for each --lr and seed, a few learning rates, or many of everything
    #[arg(long, value_name = "one|few|many")]
    grid: Option<Grid>,
    /// A model that never saw the forget set: recovery 0, and what times are compared with
    #[arg(long, value_name = "DIR|GGUF|ORG/NAME", conflicts_with = "base")]
    oracle: Option<PathBuf>,
    /// The pre-trained model, for want of an oracle
    #[arg(long, value_name = "DIR|GGUF|ORG/NAME")]
    base: Option<PathBuf>,
    /// Task that asks the forgotten facts in other words; no attacker sees it
    #[arg(long, value_name = "TASK")]
    paraphrased: Option<String>,
    /// Share of forget documents that no attacker sees; 0 with --paraphrased alone [default: 0.25]
    #[arg(long, value_name = "SHARE")]
    held_out: Option<f64>,
    /// Task near to what was forgotten, such as the retain set: attackers train on it too, and it shows damage
    #[arg(long, value_name = "TASK")]
    related: Option<String>,
    /// Task far from it, to train on too
    #[arg(long, value_name = "TASK")]
    unrelated: Option<String>,
    /// Attacks without training: rounding of weights to 8 and 4 bits, few-shot with answered forget questions before each
    #[arg(long, value_name = "rounding|few-shot,…", num_args = 1.., value_delimiter = ',')]
    attacks: Vec<UntrainedAttackName>,
    /// Examples before each question of the few-shot attack
    #[arg(long, value_name = "N", default_value_t = 4)]
    shots: usize,
}

impl CampaignOptions {
    pub(super) fn is_asked_for(&self) -> bool {
        let tasks = [&self.paraphrased, &self.related, &self.unrelated];
        self.grid.is_some()
            || self.oracle.is_some()
            || self.base.is_some()
            || self.held_out.is_some()
            || !self.attacks.is_empty()
            || tasks.into_iter().any(Option::is_some)
    }

    pub(super) fn check(&self) -> Result<()> {
        positive("--shots", self.shots as f64)
    }

    /// What stands for a model that never knew, with what it is called.
    fn never_knew(&self) -> Option<(&PathBuf, &'static str)> {
        let oracle = self.oracle.as_ref().map(|path| (path, "oracle"));
        oracle.or(self.base.as_ref().map(|path| (path, "base")))
    }
}

impl Relearn {
    pub(super) fn materials(
        &self,
        library: &TaskLibrary,
        forget: Vec<harness_bench::TextPair>,
    ) -> Result<Materials> {
        let options = &self.campaign;
        let answers = |task: &String| self.tasks_and_data.answers(library, task, None);
        let named = |task: &Option<String>| -> Result<_> {
            let pairs = task.as_ref().map(|task| Ok((task.clone(), answers(task)?)));
            pairs.transpose()
        };
        let share = options.held_out.unwrap_or(HELD_OUT_SHARE);
        let related = options
            .related
            .as_ref()
            .map(|task| anyhow::Ok(Split::new(task, answers(task)?, HELD_OUT_SHARE)?));
        let materials = Materials {
            forget: Split::new(&self.forget, forget, share)?,
            paraphrased: named(&options.paraphrased)?,
            related: related.transpose()?,
            unrelated: named(&options.unrelated)?,
        };
        let batch_size = self
            .attackers
            .first(materials.forget.trained.len())
            .batch_size;
        materials.check(&data(&materials), batch_size)?;
        Ok(materials)
    }

    pub(super) fn run_campaign(
        &self,
        attacked: &Attacked,
        materials: &Materials,
        terminal: &mut Terminal,
    ) -> Result<()> {
        let campaign = self.planned(attacked, materials)?;
        let mut models = vec![("original".to_owned(), attacked.original.clone())];
        let never_knew = self.campaign.never_knew();
        if let Some((source, name)) = never_knew {
            models.push((name.to_owned(), locate(source, terminal)?));
        }
        let named = |model: &NamedModel| (model.name.clone(), model.path.clone());
        models.extend(attacked.unlearned.iter().map(named));
        let before_training = before_training(
            &campaign,
            &models,
            never_knew.map(|(_, name)| name),
            terminal,
        )?;
        let mut attacked_models: Vec<AttackedModel> = Vec::new();
        let mut verdicts: Vec<Verdict> = Vec::new();
        // Of itself alone, the original has nothing to win back.
        let attacked_from = usize::from(never_knew.is_none());
        for (place, (name, path)) in models.iter().enumerate().skip(attacked_from) {
            let observer = &mut |event: Event| terminal.show(event);
            let mut subject = campaign.subject(name, path)?;
            let before = &before_training;
            let anchors = match never_knew {
                Some(_) => AllAnchors::new(&before[1], &before[0]),
                None => AllAnchors::from_itself(&before[place], &before[0]),
            };
            let (attacks, verdict) = subject.attacked(before[place].clone(), &anchors, observer)?;
            verdicts.push(verdict);
            attacked_models.push(AttackedModel {
                model: name.clone(),
                seed: None,
                attacks,
            });
            self.write_campaign(attacked, &campaign, &attacked_models, &verdicts)?;
        }
        let standings = RecoveryStandings {
            verdicts: &verdicts,
            original: verdicts.first(),
            never_knew: never_knew.and_then(|(_, name)| Some((verdicts.get(1)?, name))),
        };
        output::print(&recovery_tables(standings))?;
        match verdicts.iter().find_map(all_failed) {
            None => Ok(()),
            Some(reason) => Err(anyhow::anyhow!(reason)),
        }
    }

    fn planned<'a>(
        &self,
        attacked: &'a Attacked,
        materials: &'a Materials,
    ) -> Result<Campaign<'a>> {
        let grid = self.campaign.grid.unwrap_or(Grid::One);
        let documents = materials.forget.trained.len();
        let attackers = self.attackers.grid(grid, data(materials), documents)?;
        let every = attackers.tuning.steps.div_ceil(REGULAR_EVALUATIONS);
        Ok(Campaign {
            materials,
            attackers: attackers.all(),
            grid: EvaluationGrid { every },
            untrained: UntrainedAttackName::kinds(
                &self.campaign.attacks,
                &ROUNDING_BITS,
                self.campaign.shots,
            ),
            control: materials.related.is_some(),
            device: attacked.device,
            run: attacked.run.as_ref(),
        })
    }

    /// Written after every model, so that a killed run keeps what is done.
    fn write_campaign(
        &self,
        attacked: &Attacked,
        campaign: &Campaign,
        measured: &[AttackedModel],
        verdicts: &[Verdict],
    ) -> Result<()> {
        let Some(run) = &attacked.run else {
            return Ok(());
        };
        let models: Vec<_> = (measured.iter().zip(verdicts))
            .map(|(measured, verdict)| json!({"verdict": verdict, "attacks": measured.attacks}))
            .collect();
        let record = json!({
            "forget": self.forget,
            "headline": campaign.materials.headline(),
            "documents": {
                "trained": campaign.materials.forget.trained.len(),
                "held_out": campaign.materials.forget.held_out.len(),
            },
            "recovery_0": self.campaign.never_knew().map_or("itself", |(_, name)| name),
            "models": models,
        });
        run.write_json("relearn.json", &record)?;
        run.write("relearn.parquet", &attacks_parquet(measured)?)?;
        Ok(())
    }
}

/// What attackers train on: whatever there is.
fn data(materials: &Materials) -> Vec<AttackData> {
    let mut data = vec![AttackData::Forget];
    data.extend(materials.related.as_ref().map(|_| AttackData::Related));
    data.extend(materials.unrelated.as_ref().map(|_| AttackData::Unrelated));
    data
}

/// What every model knows before any training, and under attacks without; refuses anchors that leave no scale before anything
/// is trained.
fn before_training(
    campaign: &Campaign,
    models: &[(String, PathBuf)],
    never_knew: Option<&str>,
    terminal: &mut Terminal,
) -> Result<Vec<ModelAttacks>> {
    let mut all = Vec::new();
    for (place, (name, path)) in models.iter().enumerate() {
        let observer = &mut |event: Event| terminal.show(event);
        let mut subject = campaign.subject(name, path)?;
        all.push(subject.before_training(observer)?);
        if let (1, Some(name)) = (place, never_knew) {
            let anchors = AllAnchors::new(&all[1], &all[0]);
            for kind in [QuestionKind::HeldOut, QuestionKind::Paraphrased] {
                if campaign.materials.questions(kind).is_some() {
                    anchors.plain.require_scale(kind, name)?;
                }
            }
        }
    }
    Ok(all)
}

/// A model on which no attacker came to an end.
fn all_failed(verdict: &Verdict) -> Option<String> {
    let mut failures = verdict
        .attackers
        .iter()
        .map(|attacker| attacker.failure.as_ref());
    let first = failures.next()??;
    failures
        .all(|failure| failure.is_some())
        .then(|| format!("{}: every attacker failed: {first}", verdict.name))
}
