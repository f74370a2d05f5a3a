//! Word edit distance within a band around the diagonal, as Tercom bounds it, with the operations that led there; moves no
//! words.

/// Columns on each side of the diagonal that are looked at.
const BAND: f64 = 25.0;

/// A cost above every real one that can still grow.
const UNREACHED: u32 = u32::MAX / 2;

/// One step from the prediction to the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    Keep,
    Substitute,
    /// A word of the reference is put in.
    Insert,
    /// A word of the prediction goes.
    Delete,
}

#[derive(Clone, Copy)]
struct Cell {
    cost: u32,
    edit: Edit,
}

const UNSEEN: Cell = Cell {
    cost: UNREACHED,
    edit: Edit::Substitute,
};

/// Costs of turning each beginning of `prediction` into each beginning of `reference`: `[prediction + 1, reference + 1]`.
/// Words are numbers.
pub(super) struct EditTable<'r> {
    reference: &'r [usize],
    prediction: Vec<usize>,
    rows: Vec<Vec<Cell>>,
}

impl<'r> EditTable<'r> {
    pub(super) fn new(reference: &'r [usize], prediction: &[usize]) -> Self {
        let first = (0..=reference.len()).map(|column| Cell {
            cost: column as u32,
            edit: Edit::Insert,
        });
        let mut rows = vec![first.collect()];
        rows.resize(prediction.len() + 1, vec![UNSEEN; reference.len() + 1]);
        let mut table = Self {
            reference,
            prediction: prediction.to_vec(),
            rows,
        };
        for row in 1..=prediction.len() {
            let (before, after) = table.rows.split_at_mut(row);
            fill_row(reference, prediction, row, &before[row - 1], &mut after[0]);
        }
        table
    }

    pub(super) fn distance(&self) -> u32 {
        last_cost(&self.rows[self.prediction.len()])
    }

    /// Distance of another order of the same words. Rows up to the first difference are those of this table.
    pub(super) fn distance_of(&self, reordered: &[usize]) -> u32 {
        let pairs = self.prediction.iter().zip(reordered);
        let same = pairs.take_while(|(here, there)| here == there).count();
        let mut previous = self.rows[same].clone();
        let mut current = previous.clone();
        for row in same + 1..=reordered.len() {
            fill_row(self.reference, reordered, row, &previous, &mut current);
            std::mem::swap(&mut previous, &mut current);
        }
        last_cost(&previous)
    }

    /// The edits, from the first word to the last.
    pub(super) fn edits(&self) -> Vec<Edit> {
        let (mut row, mut column) = (self.prediction.len(), self.reference.len());
        let mut edits = Vec::with_capacity(row + column);
        while row > 0 || column > 0 {
            let edit = self.rows[row][column].edit;
            edits.push(edit);
            row -= usize::from(row > 0 && edit != Edit::Insert);
            column -= usize::from(column > 0 && edit != Edit::Delete);
        }
        edits.reverse();
        edits
    }
}

fn last_cost(row: &[Cell]) -> u32 {
    row.last().map_or(0, |cell| cell.cost)
}

/// Fills row `row` (from 1) out of the one before.
fn fill_row(
    reference: &[usize],
    prediction: &[usize],
    row: usize,
    previous: &[Cell],
    current: &mut [Cell],
) {
    let ratio = reference.len() as f64 / prediction.len() as f64;
    // Very unequal lengths need a wider band, or neighbouring rows would share no column.
    let band = if ratio / 2.0 > BAND {
        (ratio / 2.0 + BAND).ceil()
    } else {
        BAND
    };
    let diagonal = (row as f64 * ratio).floor();
    let first = (diagonal - band).max(0.0) as usize;
    let end = if row == prediction.len() {
        reference.len() + 1
    } else {
        ((diagonal + band) as usize).min(reference.len() + 1)
    };
    current.fill(UNSEEN);
    let word = prediction[row - 1];
    for column in first..end {
        let mut cell = UNSEEN;
        // The first of equals wins.
        let mut offer = |cost: u32, edit: Edit| {
            if cost < cell.cost {
                cell = Cell { cost, edit };
            }
        };
        if column > 0 {
            let above = previous[column - 1].cost;
            if reference[column - 1] == word {
                offer(above, Edit::Keep);
            } else {
                offer(above + 1, Edit::Substitute);
            }
        }
        offer(previous[column].cost + 1, Edit::Delete);
        if column > 0 {
            offer(current[column - 1].cost + 1, Edit::Insert);
        }
        current[column] = cell;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kitten_becomes_sitting() {
        let letters = |text: &str| text.bytes().map(usize::from).collect::<Vec<_>>();
        let (reference, prediction) = (letters("sitting"), letters("kitten"));
        let table = EditTable::new(&reference, &prediction);
        assert_eq!(table.distance(), 3);
        let kept = table
            .edits()
            .iter()
            .filter(|edit| **edit == Edit::Keep)
            .count();
        assert_eq!(kept, 4);
    }

    #[test]
    fn a_reordering_costs_the_same_either_way() {
        let reference = [1, 2, 3, 4, 5];
        let table = EditTable::new(&reference, &[1, 5, 2, 3, 4]);
        let other = [1, 2, 3, 5, 4];
        let anew = EditTable::new(&reference, &other).distance();
        assert_eq!(table.distance_of(&other), anew);
        assert_eq!(EditTable::new(&reference, &[]).distance(), 5);
    }
}
