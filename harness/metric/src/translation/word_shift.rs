//! The search of translation edit rate for runs of words to move, with Tercom's bounds and its order among equals; gives
//! up early, as it does, where there are too many.

use super::edit_distance::{Edit, EditTable};

const LONGEST_SHIFT: usize = 10;
const FARTHEST_SHIFT: usize = 50;
const MOST_CANDIDATES: usize = 1000;

/// Where the words of the two texts stand against each other.
struct Alignment {
    /// For each word of the reference: one past the place in the prediction that it belongs to, so that 0 is the start.
    place: Vec<usize>,
    /// Whether each word of the reference is missing or replaced.
    reference_is_wrong: Vec<bool>,
    /// Whether each word of the prediction is superfluous or replaced.
    prediction_is_wrong: Vec<bool>,
}

impl Alignment {
    fn new(edits: &[Edit]) -> Self {
        let mut alignment = Self {
            place: Vec::new(),
            reference_is_wrong: Vec::new(),
            prediction_is_wrong: Vec::new(),
        };
        for &edit in edits {
            let is_wrong = edit != Edit::Keep;
            if edit != Edit::Insert {
                alignment.prediction_is_wrong.push(is_wrong);
            }
            if edit != Edit::Delete {
                alignment.place.push(alignment.prediction_is_wrong.len());
                alignment.reference_is_wrong.push(is_wrong);
            }
        }
        alignment
    }
}

/// Words that both texts have: where they start, and how many.
#[derive(Clone, Copy)]
struct Run {
    in_prediction: usize,
    in_reference: usize,
    length: usize,
}

/// A shift that was tried; the greatest is the best. Fields are in the order of their weight.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    gain: i64,
    length: usize,
    start: std::cmp::Reverse<usize>,
    target: std::cmp::Reverse<usize>,
    words: Vec<usize>,
}

/// Fewest edits from prediction to reference, where moving a run of words is one edit. Words are numbers in the order of
/// the alphabet.
pub(super) fn edits_with_shifts(reference: &[usize], prediction: &[usize]) -> usize {
    let mut words = prediction.to_vec();
    let mut shifts = 0;
    let mut tried = 0;
    loop {
        let table = EditTable::new(reference, &words);
        let best = best_shift(reference, &words, &table, &mut tried);
        match best {
            Some(best) if tried < MOST_CANDIDATES && best.gain > 0 => {
                shifts += 1;
                words = best.words;
            }
            _ => return shifts + table.distance() as usize,
        }
    }
}

fn best_shift(
    reference: &[usize],
    words: &[usize],
    table: &EditTable<'_>,
    tried: &mut usize,
) -> Option<Candidate> {
    let alignment = Alignment::new(&table.edits());
    let mut best = None;
    for run in common_runs(reference, words) {
        if !is_worth_moving(&alignment, run) {
            continue;
        }
        for target in targets(&alignment, run) {
            let shifted = shift(words, run, target);
            let candidate = Candidate {
                gain: i64::from(table.distance()) - i64::from(table.distance_of(&shifted)),
                length: run.length,
                start: std::cmp::Reverse(run.in_prediction),
                target: std::cmp::Reverse(target),
                words: shifted,
            };
            *tried += 1;
            best = best.max(Some(candidate));
        }
        if *tried >= MOST_CANDIDATES {
            break;
        }
    }
    best
}

/// Runs of words that both texts have, shorter ones first.
fn common_runs(reference: &[usize], prediction: &[usize]) -> Vec<Run> {
    let mut runs = Vec::new();
    for in_prediction in 0..prediction.len() {
        for in_reference in 0..reference.len() {
            if in_reference.abs_diff(in_prediction) > FARTHEST_SHIFT {
                continue;
            }
            let pairs = prediction[in_prediction..]
                .iter()
                .zip(&reference[in_reference..]);
            let longest = pairs
                .take(LONGEST_SHIFT)
                .take_while(|(here, there)| here == there)
                .count();
            runs.extend((1..=longest).map(|length| Run {
                in_prediction,
                in_reference,
                length,
            }));
        }
    }
    runs
}

/// Whether words are wrong on both sides, and the run is not to be moved into itself.
fn is_worth_moving(alignment: &Alignment, run: Run) -> bool {
    let here = run.in_prediction..run.in_prediction + run.length;
    let there = run.in_reference..run.in_reference + run.length;
    let place = alignment.place[run.in_reference];
    let is_within = place > here.start && place <= here.end;
    alignment.prediction_is_wrong[here].contains(&true)
        && alignment.reference_is_wrong[there].contains(&true)
        && !is_within
}

/// Places in the prediction to move a run to: before the word that its first word belongs to, and after each of the words
/// that its words belong to.
fn targets(alignment: &Alignment, run: Run) -> Vec<usize> {
    let before = match run.in_reference {
        0 => 0,
        start => alignment.place[start - 1],
    };
    let within = &alignment.place[run.in_reference..run.in_reference + run.length];
    let mut targets = vec![before];
    targets.extend(within);
    targets.dedup();
    targets
}

/// The words with a run moved to before the word that now stands at `target`.
fn shift(words: &[usize], run: Run, target: usize) -> Vec<usize> {
    let (start, end) = (run.in_prediction, run.in_prediction + run.length);
    let mut rest = [&words[..start], &words[end..]].concat();
    // Within the run, upstream counts on from its end.
    let target = if target <= start {
        target
    } else if target > end {
        target - run.length
    } else {
        target.min(rest.len())
    };
    rest.splice(target..target, words[start..end].iter().copied());
    rest
}
