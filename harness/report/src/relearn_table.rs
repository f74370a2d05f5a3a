//! The table of a relearning run: how far each model is from knowing again, beside the original's own floor.

use harness_bench::relearn::RelearnCurve;
use serde::Serialize;

use crate::table::{Align, Table};

/// One model's attack.
#[derive(Clone, Debug, Serialize)]
pub struct RelearnRow {
    /// The model.
    pub model: String,
    /// Its way back.
    pub curve: RelearnCurve,
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
        ("Last loss", Align::Right),
        ("Target", Align::Right),
        ("", Align::Left),
    ]);
    for row in rows {
        let curve = &row.curve;
        let bound = |count: usize| {
            if curve.reached {
                count.to_string()
            } else {
                format!("≥ {count}")
            }
        };
        table.push(vec![
            row.model.clone(),
            bound(curve.steps),
            bound(curve.samples),
            bound(curve.tokens),
            format!("{:.1}", curve.seconds),
            curve
                .losses
                .first()
                .map_or(String::new(), |loss| format!("{loss:.3}")),
            format!("{:.3}", curve.running_loss()),
            format!("{:.3}", curve.target_loss),
            if curve.reached { "" } else { "not reached" }.into(),
        ]);
    }
    table.plain()
}
