//! The table of a relearning run: how far each model is from knowing again, beside the original's own floor.

use harness_bench::relearn::RelearnCurve;
use serde::Serialize;

use crate::table::{Align, Table};

/// One model's attack.
#[derive(Clone, Debug, Serialize)]
pub struct RelearnRow {
    /// The model.
    pub model: String,
    /// Its way back, or why there is none.
    #[serde(flatten)]
    pub attack: Attack,
}

impl RelearnRow {
    /// What went wrong, with the model's name.
    pub fn failure(&self) -> Option<String> {
        match &self.attack {
            Attack::Curve(_) => None,
            Attack::Failed(reason) => Some(format!("{}: {reason}", self.model)),
        }
    }
}

/// How an attack ended.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// With a curve, whether or not the target was reached.
    Curve(RelearnCurve),
    /// Without one.
    Failed(String),
}

/// The original first, then the others. "≥" marks models that did not get there.
pub fn relearn_table(rows: &[RelearnRow]) -> String {
    let mut table = Table::new(&[
        ("Model", Align::Left),
        ("Steps", Align::Right),
        ("Samples", Align::Right),
        ("Tokens", Align::Right),
        ("Seconds", Align::Right),
        ("First loss", Align::Right),
        ("Running loss", Align::Right),
        ("Target", Align::Right),
        ("", Align::Left),
    ]);
    for row in rows {
        let mut cells = vec![row.model.clone()];
        cells.extend(match &row.attack {
            Attack::Curve(curve) => curve_cells(curve),
            Attack::Failed(_) => ["–", "–", "–", "–", "–", "–", "–", "failed"]
                .map(str::to_owned)
                .to_vec(),
        });
        table.push(cells);
    }
    table.plain()
}

fn curve_cells(curve: &RelearnCurve) -> Vec<String> {
    let bound = |count: usize| {
        if curve.reached {
            count.to_string()
        } else {
            format!("≥ {count}")
        }
    };
    let first = curve.losses.first();
    vec![
        bound(curve.steps),
        bound(curve.samples),
        bound(curve.tokens),
        format!("{:.1}", curve.seconds),
        first.map_or(String::new(), |loss| format!("{loss:.3}")),
        format!("{:.3}", curve.running_loss()),
        format!("{:.3}", curve.target_loss),
        if curve.reached { "" } else { "not reached" }.into(),
    ]
}
