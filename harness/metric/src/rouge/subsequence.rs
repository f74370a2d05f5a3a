//! Longest common subsequences of tokens, and their union over several lines; of several equally long ones, the one that
//! rouge-score's way back through the table meets.

use std::collections::{BTreeMap, BTreeSet};

/// Positions in `target` of a longest subsequence that `prediction` has too, in ascending order.
pub(super) fn common_subsequence(target: &[String], prediction: &[String]) -> Vec<usize> {
    let lengths = lengths(target, prediction);
    let (mut row, mut column) = (target.len(), prediction.len());
    let mut positions = Vec::new();
    while row > 0 && column > 0 {
        if target[row - 1] == prediction[column - 1] {
            (row, column) = (row - 1, column - 1);
            positions.push(row);
        } else if lengths[row][column - 1] > lengths[row - 1][column] {
            column -= 1;
        } else {
            row -= 1;
        }
    }
    positions.reverse();
    positions
}

/// Lengths of the longest common subsequences of all beginnings: `[target + 1, prediction + 1]`.
fn lengths(target: &[String], prediction: &[String]) -> Vec<Vec<u32>> {
    let mut lengths = vec![vec![0; prediction.len() + 1]; target.len() + 1];
    for (row, token) in target.iter().enumerate() {
        for (column, other) in prediction.iter().enumerate() {
            lengths[row + 1][column + 1] = if token == other {
                lengths[row][column] + 1
            } else {
                lengths[row][column + 1].max(lengths[row + 1][column])
            };
        }
    }
    lengths
}

/// Tokens of the target's lines that lie on a common subsequence with some line of the prediction. No token counts more
/// often than either text has it.
pub(super) fn union_hits(target: &[Vec<String>], prediction: &[Vec<String>]) -> usize {
    let mut left_in_target = occurrences(target);
    let mut left_in_prediction = occurrences(prediction);
    let mut hits = 0;
    for line in target {
        let union: BTreeSet<usize> = prediction
            .iter()
            .flat_map(|other| common_subsequence(line, other))
            .collect();
        for position in union {
            let token = line[position].as_str();
            let left = (
                left_in_target.get_mut(token),
                left_in_prediction.get_mut(token),
            );
            if let (Some(target @ 1..), Some(prediction @ 1..)) = left {
                *target -= 1;
                *prediction -= 1;
                hits += 1;
            }
        }
    }
    hits
}

fn occurrences(lines: &[Vec<String>]) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for token in lines.iter().flatten() {
        *counts.entry(token.as_str()).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn lin_2004_example_of_the_union() {
        // Section 3.2: w1 w2 w3 w4 w5 against two sentences shares w1 w2 with one and w1 w3 w5 with the other: 4 of 5.
        let target = [tokens("w1 w2 w3 w4 w5")];
        let prediction = [tokens("w1 w2 w6 w7 w8"), tokens("w1 w3 w8 w9 w5")];
        assert_eq!(union_hits(&target, &prediction), 4);
    }

    #[test]
    fn positions_ascend() {
        assert_eq!(
            common_subsequence(&tokens("a b c"), &tokens("a x c")),
            [0, 2]
        );
        assert!(common_subsequence(&[], &tokens("a")).is_empty());
    }
}
