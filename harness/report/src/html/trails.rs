//! The way of each method through forgetting and utility, step by step: as trails on a map that is drawn elsewhere, and over its
//! steps. Draws what checkpoints showed and guesses nothing between them.

use harness_bench::experiment::{Row, Scorecard, SubjectKind, TrailStep};

use super::chart::{Axis, Chart};
use super::figures::Panel;

/// Shades from the first step to the last: classes of the style sheet.
const SHADES: usize = 4;

/// Steps with F and U, from the original on to where the row is; `None` without checkpoints
/// between, or without utility.
fn way(row: &Row) -> Option<Vec<(f64, f64, f64)>> {
    let standing = row.standing.as_ref()?;
    let last = (
        row.cost?.steps,
        row.forgetting()?.value,
        standing.utility?.value,
    );
    if row.kind != SubjectKind::Method || row.trail.is_empty() {
        return None;
    }
    let known = |point: &TrailStep| Some((point.step, point.forgetting, point.utility?));
    let between: Vec<_> = row.trail.iter().map(known).collect::<Option<_>>()?;
    let all = std::iter::once((0, 0.0, 1.0)).chain(between).chain([last]);
    Some(all.map(|(step, f, u)| (step as f64, f, u)).collect())
}

/// Draws the trails of all rows, the later the darker.
pub(super) fn draw(chart: &mut Chart, card: &Scorecard) {
    for row in &card.rows {
        let Some(way) = way(row) else { continue };
        for (place, pair) in way.windows(2).enumerate() {
            let shade = (place + 1) * SHADES / (way.len() - 1);
            let [(_, from_f, from_u), (step, to_f, to_u)] = pair else {
                continue;
            };
            let class = format!("trail shade-{}", shade.max(1));
            let title = format!("{}, step {step}: F {to_f:.3}, U {to_u:.3}", row.name);
            chart.line(&class, &[(*from_f, *from_u), (*to_f, *to_u)], &title);
        }
    }
}

/// One panel a method: F and U over its steps.
pub(super) fn dynamics(card: &Scorecard) -> Vec<Panel> {
    let panel = |row: &Row| {
        let way = way(row)?;
        let values = || way.iter().flat_map(|(_, f, u)| [*f, *u]);
        let low = values().fold(0.0, f64::min).max(-0.5) - 0.05;
        let high = values().fold(1.0, f64::max).min(1.5) + 0.05;
        let steps = way.last().map_or(1.0, |point| point.0);
        let axis = |name, range| Axis {
            name,
            range,
            is_logarithmic: false,
        };
        let mut chart = Chart::new(
            360.0,
            220.0,
            axis("Step", (0.0, steps)),
            axis("F and U", (low, high)),
        );
        let line = |of: fn(&(f64, f64, f64)) -> f64| -> Vec<(f64, f64)> {
            way.iter().map(|point| (point.0, of(point))).collect()
        };
        chart.line("curve own", &line(|point| point.1), "F");
        chart.line("curve oracle", &line(|point| point.2), "U");
        Some(Panel {
            name: row.name.clone(),
            svg: chart.finish(
                &format!("Forgetting and utility of {} over its steps", row.name),
                "F rises from 0 as the method forgets, U falls from 1 as it harms; a point for each checkpoint.",
            ),
        })
    };
    card.rows.iter().filter_map(panel).collect()
}
