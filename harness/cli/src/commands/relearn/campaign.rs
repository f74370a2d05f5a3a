//! A campaign: every attacker on every model, judged between oracle and original, with records that a later run takes over.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use harness_bench::Event;
use harness_bench::relearn::{
    AllAnchors, AttackData, Campaign, EvaluationGrid, Materials, ModelAttacks, QuestionKind, Split,
    UntrainedAttackKind, Verdict, judge,
};
use harness_report::{RecoveryStandings, recovery_parquet, recovery_tables};
use harness_task::TaskLibrary;
use serde_json::json;

use super::super::unlearn::positive;
use super::attackers::Grid;
use super::{Attacked, NamedModel, Relearn, locate};
use crate::exit::Refused;
use crate::output;
use crate::progress::Terminal;

/// Share of the forget documents that no attacker sees, where nothing else is said.
const HELD_OUT_SHARE: f64 = 0.25;
/// Evaluations at regular distances, besides those after 1, 2, 4, 8 … steps.
const REGULAR_EVALUATIONS: usize = 8;

/// An attack that trains nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum UntrainedAttackName {
    /// Weights rounded to 8 and to 4 bits
    #[value(alias = "quantization")]
    Rounding,
    /// Answered forget questions before each question
    FewShot,
}

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
    /// Attacks without training
    #[arg(long, value_name = "NAME,…", num_args = 1.., value_delimiter = ',')]
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
        positive("--shots", self.shots as f64)?;
        if self.attacks.contains(&UntrainedAttackName::FewShot) && self.held_out == Some(0.0) {
            let message =
                "--attacks few-shot asks held-out questions, and --held-out 0 leaves none";
            return Err(Refused(message.into()).into());
        }
        Ok(())
    }

    fn untrained(&self) -> Vec<UntrainedAttackKind> {
        let mut kinds = Vec::new();
        for attack in &self.attacks {
            kinds.extend(match attack {
                UntrainedAttackName::Rounding => {
                    vec![
                        UntrainedAttackKind::Rounding(8),
                        UntrainedAttackKind::Rounding(4),
                    ]
                }
                UntrainedAttackName::FewShot => vec![UntrainedAttackKind::FewShot(self.shots)],
            });
        }
        kinds.sort();
        kinds.dedup();
        kinds
    }

    /// What stands for a model that never knew, with what it is called.
    fn never_knew(&self) -> Option<(&PathBuf, &'static str)> {
        let oracle = self.oracle.as_ref().map(|path| (path, "oracle"));
        oracle.or(self.base.as_ref().map(|path| (path, "base")))
    }
}

/// A model with everything that was tried on it.
struct Measured {
    name: String,
    attacks: ModelAttacks,
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
        materials.check()?;
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
        let before = before(
            &campaign,
            &models,
            never_knew.map(|(_, name)| name),
            terminal,
        )?;
        let mut measured: Vec<Measured> = Vec::new();
        let mut verdicts: Vec<Verdict> = Vec::new();
        // Of itself alone, the original has nothing to win back.
        let attacked_from = usize::from(never_knew.is_none());
        for (place, (name, path)) in models.iter().enumerate().skip(attacked_from) {
            let observer = &mut |event: Event| terminal.show(event);
            let mut subject = campaign.subject(name, path)?;
            let attacks = ModelAttacks {
                attacks: subject.attacks(observer)?,
                ..before[place].clone()
            };
            let anchors = match never_knew {
                Some(_) => AllAnchors::new(&before[1], &before[0]),
                None => AllAnchors::from_itself(&attacks, &before[0]),
            };
            let verdict = judge(name, &attacks, &anchors, materials.headline())?;
            let best = verdict.best_attacker().map(|best| best.attacker);
            let repair = match (best, &materials.related) {
                (Some(best), Some(_)) => Some(subject.control(&best, observer)?),
                _ => None,
            };
            verdicts.push(verdict.with_control(&attacks.before, repair.as_ref(), &anchors)?);
            let name = name.clone();
            measured.push(Measured { name, attacks });
            self.write_campaign(attacked, &campaign, &measured, &verdicts)?;
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
        let mut data = vec![AttackData::Forget];
        data.extend(materials.related.as_ref().map(|_| AttackData::Related));
        data.extend(materials.unrelated.as_ref().map(|_| AttackData::Unrelated));
        let documents = materials.forget.trained.len();
        let attackers = self.attackers.grid(grid, data, documents)?;
        let every = attackers.tuning.steps.div_ceil(REGULAR_EVALUATIONS);
        let batch = attackers.tuning.batch_size;
        if batch > documents {
            let message = format!(
                "--batch-size {batch}: {documents} documents of {} are left to train on",
                self.forget
            );
            return Err(Refused(message).into());
        }
        Ok(Campaign {
            materials,
            attackers: attackers.all(),
            grid: EvaluationGrid { every },
            untrained: self.campaign.untrained(),
            device: attacked.device,
            run: attacked.run.as_ref(),
        })
    }

    /// Written after every model, so that a killed run keeps what is done.
    fn write_campaign(
        &self,
        attacked: &Attacked,
        campaign: &Campaign,
        measured: &[Measured],
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
        let named: Vec<_> = measured
            .iter()
            .map(|measured| (measured.name.clone(), &measured.attacks))
            .collect();
        run.write("relearn.parquet", &recovery_parquet(&named)?)?;
        Ok(())
    }
}

/// What every model knows before any training, and under attacks without; refuses anchors that leave no scale before anything
/// is trained.
fn before(
    campaign: &Campaign,
    models: &[(String, PathBuf)],
    never_knew: Option<&str>,
    terminal: &mut Terminal,
) -> Result<Vec<ModelAttacks>> {
    let mut all = Vec::new();
    for (place, (name, path)) in models.iter().enumerate() {
        let observer = &mut |event: Event| terminal.show(event);
        let mut subject = campaign.subject(name, path)?;
        all.push(ModelAttacks {
            before: subject.before(observer)?,
            untrained: subject.untrained(observer)?,
            attacks: Vec::new(),
        });
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
