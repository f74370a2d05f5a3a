//! Split expressions, `train[:10%]+test[5:]`, with the meaning that Hugging Face's `datasets` gives them
//! (`ReadInstruction`); refuses what that library refuses.

use std::ops::Range;

use crate::DataError;

/// One term of an expression: a split, and which of its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Term {
    /// Name of the split.
    pub(crate) split: String,
    slice: Slice,
}

/// Rows of a split, before its length is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Slice {
    from: Option<i64>,
    to: Option<i64>,
    unit: Unit,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Unit {
    #[default]
    Rows,
    /// Percent of the rows, to the nearest row, halves to even.
    Percent,
    /// Percent where one percent is a whole number of rows; the remainder is never read.
    WholePercent,
}

/// Reads an expression into its terms. A name without brackets is one term, whatever it is made of.
///
/// # Errors
/// On anything that is no expression, with what is wrong about it.
pub(crate) fn parse(expression: &str) -> Result<Vec<Term>, DataError> {
    let bad = |reason: String| DataError::BadSplit {
        expression: expression.to_owned(),
        reason,
    };
    expression
        .split('+')
        .map(|term| Term::parse(term.trim()).map_err(bad))
        .collect()
}

impl Term {
    fn parse(text: &str) -> Result<Self, String> {
        let name_end = text.find(['[', '(']).unwrap_or(text.len());
        let (split, rest) = text.split_at(name_end);
        if split.is_empty() || split.contains([']', ')', '%', ':']) {
            return Err(format!("`{text}` does not begin with the name of a split"));
        }
        let (bounds, rounding) = match rest.split_once('(') {
            Some((bounds, rounding)) => {
                let inner = rounding
                    .strip_suffix(')')
                    .ok_or("the bracket `(` is not closed")?;
                (bounds, Some(inner))
            }
            None => (rest, None),
        };
        Ok(Self {
            split: split.to_owned(),
            slice: Slice::parse(bounds, rounding)?,
        })
    }

    /// The rows as a range, where that needs no count of the split's rows; its end may lie beyond them.
    pub(crate) fn range_without_count(&self) -> Option<Range<usize>> {
        let Slice { from, to, unit } = self.slice;
        let from = from.unwrap_or(0);
        let known = from >= 0 && (from == 0 || unit == Unit::Rows);
        match to {
            None if known => Some(from as usize..usize::MAX),
            Some(to) if known && to >= 0 && unit == Unit::Rows => Some(from as usize..to as usize),
            _ => None,
        }
    }

    /// The rows as a range within `count` rows, which may be empty.
    ///
    /// # Errors
    /// With `pct1_dropremainder` on fewer than 100 rows, which would always read nothing.
    pub(crate) fn range(&self, count: usize) -> Result<Range<usize>, DataError> {
        let Slice { from, to, unit } = self.slice;
        if unit == Unit::WholePercent && count < 100 {
            return Err(DataError::BadSplit {
                expression: self.split.clone(),
                reason: format!(
                    "pct1_dropremainder needs 100 rows or more, and there are {count}; use (closest)"
                ),
            });
        }
        let count = count as i64;
        let bound = |bound: Option<i64>, absent: i64| {
            let rows = bound.map_or(absent, |bound| unit.rows(bound, count));
            let from_the_start = if rows < 0 {
                (count + rows).max(0)
            } else {
                rows
            };
            from_the_start.min(count) as usize
        };
        let start = bound(from, 0);
        Ok(start..bound(to, count).max(start))
    }
}

impl Unit {
    fn rows(self, bound: i64, count: i64) -> i64 {
        match self {
            Self::Rows => bound,
            Self::Percent => (bound as f64 * count as f64 / 100.0).round_ties_even() as i64,
            Self::WholePercent => bound * (count / 100),
        }
    }
}

impl Slice {
    /// Reads `[from:to]`, where either may be absent or a percentage, and the rounding behind it.
    fn parse(bounds: &str, rounding: Option<&str>) -> Result<Self, String> {
        let mut percent = false;
        let (mut from, mut to) = (None, None);
        if !bounds.is_empty() {
            let inner = bounds
                .strip_prefix('[')
                .and_then(|inner| inner.strip_suffix(']'));
            let inner = inner.ok_or_else(|| format!("`{bounds}` is no `[from:to]`"))?;
            let (start, end) = inner
                .split_once(':')
                .ok_or_else(|| format!("`[{inner}]` has no colon; one row is `[3:4]`"))?;
            from = bound(start, &mut percent)?;
            to = bound(end, &mut percent)?;
        }
        let unit = match (rounding, percent) {
            (None, false) => Unit::Rows,
            (None | Some("closest"), true) => Unit::Percent,
            (Some("pct1_dropremainder"), true) => Unit::WholePercent,
            (Some(other), true) => {
                return Err(format!(
                    "there is no rounding `{other}`; there are `closest` and `pct1_dropremainder`"
                ));
            }
            (Some(_), false) => return Err("only percentages are rounded".to_owned()),
        };
        let beyond =
            |bound: Option<i64>| bound.filter(|bound| percent && bound.unsigned_abs() > 100);
        if let Some(bound) = beyond(from).or(beyond(to)) {
            return Err(format!("{bound}% is not between -100% and 100%"));
        }
        Ok(Self { from, to, unit })
    }
}

fn bound(text: &str, percent: &mut bool) -> Result<Option<i64>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.strip_suffix('%').inspect(|_| *percent = true);
    let number = digits.unwrap_or(text).replace('_', "").parse();
    number
        .map(Some)
        .map_err(|_| format!("`{text}` is no whole number of rows or percent"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::parse;

    /// What `datasets` 5.2.0 gives for these expressions and counts.
    #[test]
    fn bounds_are_those_of_the_library() {
        for (expression, count, from, to) in [
            ("train", 7, 0, 7),
            ("train[:10]", 7, 0, 7),
            ("train[2:5]", 7, 2, 5),
            ("train[-3:]", 7, 4, 7),
            ("train[:-3]", 7, 0, 4),
            ("train[-10:2]", 7, 0, 2),
            ("train[1_0:2_0]", 30, 10, 20),
            ("train[:10%]", 5, 0, 0),
            ("train[:10%]", 15, 0, 2),
            ("train[:50%]", 5, 0, 2),
            ("train[:50%]", 7, 0, 4),
            ("train[10%:50%]", 999, 100, 500),
            ("train[10%:50%](pct1_dropremainder)", 999, 90, 450),
            ("train[-10%:](closest)", 999, 899, 999),
            ("train[5:1]", 7, 5, 5),
        ] {
            let [term] = parse(expression).unwrap().try_into().unwrap();
            assert_eq!(term.split, "train");
            assert_eq!(
                term.range(count).unwrap(),
                from..to,
                "{expression} of {count}"
            );
            if let Some(range) = term.range_without_count() {
                let cut = range.start.min(count)..range.end.min(count).max(range.start.min(count));
                assert_eq!(cut, from..to, "{expression} of {count}");
            }
        }
        let splits: Vec<String> = (parse("train + test[:5] +a.b").unwrap().into_iter())
            .map(|term| term.split)
            .collect();
        assert_eq!(splits, ["train", "test", "a.b"]);
    }

    /// Two parts of a split that meet at a percentage are the whole split, whichever way they round.
    #[test]
    fn parts_that_meet_are_the_whole() {
        for count in [0, 1, 2, 3, 7, 50, 99, 100, 101, 250, 999, 1000, 14_042] {
            for percent in -100..=100 {
                let range = |expression: String| {
                    let [term] = parse(&expression).unwrap().try_into().unwrap();
                    term.range(count).unwrap()
                };
                let before = range(format!("train[:{percent}%]"));
                let after = range(format!("train[{percent}%:]"));
                let seen = (before.start, before.end, after.end);
                assert_eq!(seen, (0, after.start, count), "{percent}% of {count}");
            }
        }
    }

    #[test]
    fn bounds_out_of_reach_are_refused_or_cut() {
        for bound in [i64::MIN, -101, 101, i64::MAX] {
            for slice in [format!("{bound}%:"), format!(":{bound}%")] {
                let message = parse(&format!("test[{slice}]")).unwrap_err().to_string();
                assert!(
                    message.contains(&format!("{bound}% is not between")),
                    "{message}"
                );
            }
        }
        for (slice, rows) in [
            (format!("{}:", i64::MIN), 0..7),
            (format!(":{}", i64::MIN), 0..0),
            (format!("{}:", i64::MAX), 7..7),
            (format!(":{}", i64::MAX), 0..7),
        ] {
            let [term] = parse(&format!("test[{slice}]"))
                .unwrap()
                .try_into()
                .unwrap();
            assert_eq!(term.range(7).unwrap(), rows, "{slice}");
        }
        assert!(parse("test[:9223372036854775808]").is_err());
    }
}
