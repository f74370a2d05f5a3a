//! The scorecard's columns about attacks: resistance, damage, what comes back without training, what finding costs beside hiding.
//! Formats numbers, computes none.

use harness_bench::experiment::{AttackStanding, Bounded, Row};

use crate::card_columns::{Cell, Column, Part, Prominence, rounded, standing};

fn attacks(row: &Row, cell: impl FnOnce(&AttackStanding) -> Cell) -> Cell {
    standing(row, |standing| {
        standing.attacks.as_ref().map_or_else(Cell::absent, cell)
    })
}

fn share(value: Option<f64>) -> Cell {
    value.map_or_else(Cell::absent, |value| Cell::number(value, rounded(value)))
}

fn bounded(number: Bounded) -> String {
    let bound = if number.is_reached { "" } else { "≥ " };
    format!("{bound}{:.0}", number.value)
}

/// The fastest and the slowest attacker's samples, where there are several.
pub(crate) fn spread(row: &Row) -> Option<String> {
    let attacks = row.standing.as_ref()?.attacks.as_ref()?;
    let failed = match attacks.failures {
        0 => String::new(),
        failures => format!(", {failures} failed"),
    };
    (attacks.attackers > 1).then(|| {
        let (fastest, slowest) = (bounded(attacks.fastest), bounded(attacks.slowest));
        format!("{fastest} … {slowest} of {}{failed}", attacks.attackers)
    })
}

pub(crate) const BEST: Column = Column {
    name: "Best attacker",
    meaning: "who brings nine tenths back first: what it trains on, learning rate, rank of adapters, seed",
    part: Part::Relearning,
    prominence: Prominence::Detail,
    cell: |row| attacks(row, |attacks| Cell::text(attacks.best.join("; "))),
};

pub(crate) const BEFORE: Column = Column {
    name: "ρ before",
    meaning: "share of what lies between the oracle's and the original's loss that is there before any attack, on the questions of relearning",
    part: Part::Relearning,
    prominence: Prominence::Detail,
    cell: |row| attacks(row, |attacks| share(attacks.before)),
};

pub(crate) const FIRST_STEP: Column = Column {
    name: "First step",
    meaning: "what the best attacker's first step alone brings back: much was only hidden",
    part: Part::Relearning,
    prominence: Prominence::Detail,
    cell: |row| attacks(row, |attacks| share(attacks.first_step)),
};

pub(crate) const RESISTANCE: Column = Column {
    name: "Resistance",
    meaning: "by the areas under the ways back: 1 resists like the oracle, 0 like the original",
    part: Part::Relearning,
    prominence: Prominence::Overview,
    cell: |row| attacks(row, |attacks| share(attacks.resistance)),
};

pub(crate) const CONTROL: Column = Column {
    name: "T .9 ÷ control",
    meaning: "samples to bring back what was forgotten ÷ samples to repair what was not, by the same attacker; small print: how much of that was there. A damaged model is slow because it is broken",
    part: Part::Relearning,
    prominence: Prominence::Detail,
    cell: |row| {
        let relearning = row
            .standing
            .as_ref()
            .and_then(|one| one.relearning.as_ref());
        let forgotten = relearning.map(|times| times.nine_tenths);
        attacks(row, |attacks| {
            let Some(control) = attacks.control else {
                return Cell::absent();
            };
            let mut cell = match forgotten.zip(control.repair) {
                Some((forgotten, repair)) => {
                    let samples = Bounded {
                        value: forgotten.samples,
                        is_reached: forgotten.is_reached,
                    };
                    let text = format!("{} ÷ {}", bounded(samples), bounded(repair));
                    Cell {
                        key: (repair.value > 0.0).then(|| samples.value / repair.value),
                        ..Cell::text(text)
                    }
                }
                None => Cell::absent(),
            };
            if control.is_damaged {
                cell.text.push_str(" damaged");
            }
            cell.note = format!("ρ control {}", rounded(control.before));
            cell
        })
    },
};

pub(crate) const FEW_SHOT: Column = Column {
    name: "Few-shot ρ",
    meaning: "share of the knowledge that shows when other forget questions stand answered before each",
    part: Part::Relearning,
    prominence: Prominence::Detail,
    cell: |row| attacks(row, |attacks| share(attacks.few_shot)),
};

pub(crate) const ASYMMETRY: Column = Column {
    name: "Asymmetry",
    meaning: "floating-point operations to relearn nine tenths over those of unlearning: far below 1, finding is much cheaper than hiding",
    part: Part::Cost,
    prominence: Prominence::Detail,
    cell: |row| {
        row.asymmetry.map_or_else(Cell::absent, |share| {
            let bound = if share.is_reached { "" } else { "≥ " };
            Cell::number(share.value, format!("{bound}{:.2}×", share.value))
        })
    },
};
