//! One attack on each model by the seed project's rule: until the training loss is the original's.

use std::path::Path;

use anyhow::Result;
use candle_core::Device;
use harness_bench::relearn::{RelearnCurve, WINDOW, relearn};
use harness_bench::{AnswerSet, Event, FineTuning, TextPair};
use harness_engine::Scorer;
use harness_model::Model;
use harness_report::{Attack, RelearnRow, relearn_table};
use serde_json::json;

use super::{Attacked, Relearn};
use crate::progress::Terminal;
use crate::{exit, output};

impl Relearn {
    pub(super) fn run_by_running_loss(
        &self,
        attacked: &Attacked,
        terminal: &mut Terminal,
    ) -> Result<()> {
        let device = attacked.device.open()?;
        let pairs = &attacked.forget;
        let target = self.target_loss(&attacked.original, &device, pairs, terminal)?;
        let original = ("original", attacked.original.as_path());
        let unlearned = attacked.unlearned.iter();
        let unlearned = unlearned.map(|model| (model.name.as_str(), model.path.as_path()));
        let mut rows = Vec::new();
        for (name, path) in std::iter::once(original).chain(unlearned) {
            rows.push(self.attack(name.to_owned(), path, &device, pairs, target, terminal)?);
            self.write(attacked, target, &rows)?;
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
            total: Some(self.attacker(pairs).steps),
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
            &self.attacker(pairs),
            observer,
        )?)
    }

    fn attacker(&self, pairs: &[TextPair]) -> FineTuning {
        self.attackers.first(pairs.len())
    }

    /// Written after every model, so that a killed run keeps what is done.
    fn write(&self, attacked: &Attacked, target: f64, rows: &[RelearnRow]) -> Result<()> {
        let Some(run) = &attacked.run else {
            return Ok(());
        };
        let record = json!({
            "forget": self.forget,
            "rule": format!("mean of the last {WINDOW} training-batch losses at most target_loss"),
            "target_loss": target,
            "attacker": self.attacker(&attacked.forget),
            "models": rows,
        });
        Ok(run.write_json("relearn.json", &record)?)
    }
}
