//! Relearning for a terminal: what comes back, how fast, to whom, and what needs no training. Computes no score.

use std::fmt::Write;

use harness_bench::relearn::{
    Bound, Budget, CONSECUTIVE, CurveVerdict, QuestionKind, UntrainedAttackKind, Verdict, Yardstick,
};

use crate::table::{Align, Table};

/// Bars of increasing height.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Bars of a curve.
const CURVE_WIDTH: usize = 16;
const ABSENT: &str = "–";
/// Place of nine tenths among the thresholds.
const MOST: usize = 1;

/// All models of a campaign as they stand beside each other.
#[derive(Clone, Copy, Debug)]
pub struct RecoveryStandings<'a> {
    /// The models, anchors first.
    pub verdicts: &'a [Verdict],
    /// The model before unlearning.
    pub original: Option<&'a Verdict>,
    /// The model that never knew, with what it is called.
    pub never_knew: Option<(&'a Verdict, &'a str)>,
}

/// A table for each kind of question, one of attackers, one of attacks without training.
pub fn recovery_tables(standings: RecoveryStandings) -> String {
    let headline = standings.verdicts.first().map(|verdict| verdict.headline);
    let mut kinds = [QuestionKind::Paraphrased, QuestionKind::HeldOut];
    kinds.sort_by_key(|&kind| Some(kind) != headline);
    let mut text = String::new();
    for kind in kinds {
        let has_curve = |verdict: &&Verdict| verdict.best_curve(kind, Yardstick::Loss).is_some();
        if standings.verdicts.iter().any(|verdict| has_curve(&verdict)) {
            text += &curves(standings, kind);
            text.push('\n');
        }
    }
    text += &attackers(standings.verdicts);
    if standings
        .verdicts
        .iter()
        .any(|verdict| verdict.untrained.len() > 1)
    {
        text.push('\n');
        text += &untrained(standings.verdicts);
    }
    text
}

fn curves(standings: RecoveryStandings, kind: QuestionKind) -> String {
    let zero = standings.never_knew.map_or_else(
        || "what each model knew when it was unlearned, for want of an oracle".to_owned(),
        |(_, name)| format!("what the {name} knows"),
    );
    let mut text = format!(
        "Recovery ρ on {} questions, best attacker: 0 is {zero}, 1 what the original knows; samples until ρ ≥ .5, .9, 1 in {CONSECUTIVE} evaluations\n",
        kind.name()
    );
    let ratio = standings
        .never_knew
        .map_or(String::new(), |(_, name)| format!("T.9 ÷ {name}"));
    let mut table = Table::new(&[
        ("Model", Align::Left),
        ("ρ before", Align::Right),
        ("first step", Align::Right),
        ("T.5", Align::Right),
        ("T.9", Align::Right),
        ("T1", Align::Right),
        (&ratio, Align::Right),
        ("AURC", Align::Right),
        ("Resistance", Align::Right),
        ("T by train loss", Align::Right),
        ("ρ over log samples", Align::Left),
    ]);
    for verdict in standings.verdicts {
        let Some(curve) = verdict.best_curve(kind, Yardstick::Loss) else {
            table.push(vec![verdict.name.clone()]);
            continue;
        };
        let [half, most, all] = curve.times;
        table.push(vec![
            verdict.name.clone(),
            number(curve.start()),
            format!("{:+.3}", curve.first_jump()),
            samples(half),
            samples(most),
            samples(all),
            ratio_cell(standings, verdict, kind),
            number(curve.area),
            resistance(standings, verdict, kind).map_or(ABSENT.into(), number),
            by_running_loss(verdict),
            sparkline(&samples_and_recovery(curve)),
        ]);
    }
    text += &table.plain();
    text
}

fn ratio_cell(standings: RecoveryStandings, verdict: &Verdict, kind: QuestionKind) -> String {
    let Some((never_knew, _)) = standings.never_knew else {
        return String::new();
    };
    match verdict.ratio(never_knew, kind, MOST) {
        None => ABSENT.into(),
        // A multiple of nothing needs no bound.
        Some((0.0, _)) => "0×".into(),
        Some((ratio, bound)) => {
            let sign = match bound {
                Bound::None => "",
                Bound::AtLeast => "≥ ",
                Bound::AtMost => "≤ ",
            };
            format!("{sign}{ratio:.2}×")
        }
    }
}

fn resistance(standings: RecoveryStandings, verdict: &Verdict, kind: QuestionKind) -> Option<f64> {
    verdict.resistance(standings.never_knew?.0, standings.original?, kind)
}

/// The fastest attacker on the forget set by the seed project's rule.
fn by_running_loss(verdict: &Verdict) -> String {
    let stopped = verdict.attackers.iter().filter_map(|a| a.by_running_loss);
    let fastest = stopped.min_by_key(|&(samples, reached)| (!reached, samples));
    fastest.map_or(ABSENT.into(), |(samples, reached)| bound(samples, reached))
}

fn attackers(verdicts: &[Verdict]) -> String {
    let mut table = Table::new(&[
        ("Model", Align::Left),
        ("Best attacker", Align::Left),
        ("T.9 steps", Align::Right),
        ("tokens", Align::Right),
        ("FLOPs", Align::Right),
        ("seconds", Align::Right),
        ("T.9 best … worst", Align::Right),
        ("ρ control", Align::Right),
        ("T.9 forget ÷ control", Align::Right),
        ("", Align::Left),
    ]);
    for verdict in verdicts {
        let mut cells = vec![verdict.name.clone()];
        let best = verdict.best_attacker();
        cells.push(best.map_or("none".into(), |best| best.attacker.describe()));
        match verdict.best_curve(verdict.headline, Yardstick::Loss) {
            Some(curve) => cells.extend(costs(curve.times[MOST])),
            None => cells.extend([ABSENT; 4].map(str::to_owned)),
        }
        cells.push(spread(verdict));
        cells.extend(control(verdict));
        table.push(cells);
    }
    table.plain()
}

fn costs(budget: Budget) -> [String; 4] {
    let spend = budget.spend;
    [
        bound(spend.steps, budget.is_reached),
        bound(spend.tokens, budget.is_reached),
        format!("{:.2e}", spend.flops),
        format!("{:.1}", spend.seconds),
    ]
}

fn spread(verdict: &Verdict) -> String {
    let Some((fastest, slowest)) = verdict.spread(MOST) else {
        return ABSENT.into();
    };
    let failed = verdict.attackers.iter().filter(|a| a.failure.is_some());
    let mut text = format!(
        "{} … {} of {}",
        samples(fastest),
        samples(slowest),
        verdict.attackers.len()
    );
    match failed.count() {
        0 => {}
        // Writing to a string cannot fail.
        failed => _ = write!(text, ", {failed} diverged"),
    }
    text
}

fn control(verdict: &Verdict) -> [String; 3] {
    let Some(control) = &verdict.control else {
        return [ABSENT.into(), ABSENT.into(), String::new()];
    };
    let forget = verdict.best_curve(verdict.headline, Yardstick::Loss);
    let ratio = forget
        .zip(control.repair)
        .map_or(ABSENT.into(), |(forget, repair)| {
            let (forget, repair) = (samples(forget.times[MOST]), samples(repair));
            format!("{forget} ÷ {repair}")
        });
    let remark = if control.is_damaged { "damaged" } else { "" };
    [number(control.start), ratio, remark.into()]
}

fn untrained(verdicts: &[Verdict]) -> String {
    let mut text = "Recovery without training, by loss / extraction strength, between anchors under the same attack\n".to_owned();
    let columns: Vec<_> = verdicts.iter().flat_map(|verdict| &verdict.untrained).fold(
        Vec::new(),
        |mut columns, attack| {
            let column = (attack.kind, attack.questions);
            if !columns.contains(&column) {
                columns.push(column);
            }
            columns
        },
    );
    let names: Vec<String> = columns
        .iter()
        .map(|(kind, questions)| {
            let attack = kind.map_or("as it is".into(), UntrainedAttackKind::name);
            format!("{attack}, {}", questions.name())
        })
        .collect();
    let mut headers = vec![("Model", Align::Left)];
    headers.extend(names.iter().map(|name| (name.as_str(), Align::Right)));
    let mut table = Table::new(&headers);
    for verdict in verdicts {
        let mut cells = vec![verdict.name.clone()];
        for column in &columns {
            let found = verdict
                .untrained
                .iter()
                .find(|a| (a.kind, a.questions) == *column);
            let share = |share: Option<f64>| share.map_or(ABSENT.into(), number);
            cells.push(found.map_or(ABSENT.into(), |attack| {
                format!(
                    "{} / {}",
                    share(attack.by_loss),
                    share(attack.by_extraction_strength)
                )
            }));
        }
        table.push(cells);
    }
    text += &table.plain();
    text
}

/// Zero has no sign here.
fn number(value: f64) -> String {
    format!("{:.3}", value + 0.0)
}

fn samples(budget: Budget) -> String {
    bound(budget.spend.samples, budget.is_reached)
}

fn bound(count: usize, is_reached: bool) -> String {
    format!("{}{count}", if is_reached { "" } else { "≥ " })
}

fn samples_and_recovery(curve: &CurveVerdict) -> Vec<(usize, f64)> {
    let points = curve.points.iter();
    points
        .map(|point| (point.spend.samples, point.recovery))
        .collect()
}

/// The curve from its first trained sample to its last, on straight lines over the logarithm.
fn sparkline(points: &[(usize, f64)]) -> String {
    let trained: Vec<(f64, f64)> = points
        .iter()
        .filter(|point| point.0 > 0)
        .map(|&(samples, rho)| ((samples as f64).ln(), rho))
        .collect();
    let (Some(&(from, first)), Some(&(to, last))) = (trained.first(), trained.last()) else {
        return String::new();
    };
    let bar = |place: usize| {
        let x = from + (to - from) * place as f64 / (CURVE_WIDTH - 1) as f64;
        let pair = trained
            .windows(2)
            .find(|pair| x >= pair[0].0 && x < pair[1].0);
        let rho = match pair {
            Some(pair) => {
                let share = (x - pair[0].0) / (pair[1].0 - pair[0].0);
                pair[0].1 + share * (pair[1].1 - pair[0].1)
            }
            None if place == 0 => first,
            None => last,
        };
        let height = (rho.clamp(0.0, 1.0) * (BARS.len() - 1) as f64).round();
        BARS[height as usize]
    };
    (0..CURVE_WIDTH).map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::sparkline;

    #[test]
    fn a_curve_in_bars() {
        assert_eq!(sparkline(&[(0, 1.0)]), "");
        assert_eq!(sparkline(&[(0, 0.0), (4, 0.5)]), "▅".repeat(16));
        let rising = sparkline(&[(0, 0.9), (1, 0.0), (256, 1.0)]);
        assert_eq!(rising, "▁▁▂▂▃▃▄▄▅▅▆▆▇▇██");
    }
}
