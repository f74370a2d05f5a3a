//! Aligned text tables: for terminals, and in Markdown as lm-eval prints them. Knows no numbers, only cells.

/// Where a column's cells stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Markdown wants three dashes under every header.
const LEAST_MARKDOWN_WIDTH: usize = 3;
/// Rules go no further than this: long texts in the last column do.
const LONGEST_RULE: usize = 130;

/// Cells under headers.
#[derive(Clone, Debug, Default)]
pub struct Table {
    headers: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub fn new(headers: &[(&str, Align)]) -> Self {
        Self {
            headers: headers
                .iter()
                .map(|&(name, align)| (name.to_owned(), align))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; absent cells are empty.
    pub fn push(&mut self, mut cells: Vec<String>) {
        cells.resize(self.headers.len(), String::new());
        self.rows.push(cells);
    }

    /// What each column needs, and at least `least`.
    fn widths(&self, least: usize) -> Vec<usize> {
        let column = |i: usize| {
            let cells = self.rows.iter().map(|row| width(&row[i]));
            cells
                .chain([width(&self.headers[i].0), least])
                .max()
                .unwrap_or(0)
        };
        (0..self.headers.len()).map(column).collect()
    }

    /// Pipes and dashes, headers centred: the form of lm-eval's tables.
    pub fn markdown(&self) -> String {
        let widths = self.widths(LEAST_MARKDOWN_WIDTH);
        let line = |cells: Vec<String>| format!("|{}|\n", cells.join("|"));
        let columns = || self.headers.iter().zip(&widths);
        let header = columns()
            .map(|((name, _), &width)| centred(name, width))
            .collect();
        let rule = columns().map(|((_, align), &width)| match align {
            Align::Left => "-".repeat(width),
            Align::Right => format!("{}:", "-".repeat(width.saturating_sub(1))),
        });
        let mut text = line(header) + &line(rule.collect());
        for row in &self.rows {
            let cells = row
                .iter()
                .zip(columns())
                .map(|(cell, ((_, align), &width))| padded(cell, width, *align));
            text.push_str(&line(cells.collect()));
        }
        text
    }

    /// Two spaces between columns and a rule under the headers: for terminals.
    pub fn plain(&self) -> String {
        let widths = self.widths(0);
        let align = |i: usize| self.headers[i].1;
        let line = |cells: Vec<&str>| {
            let padded: Vec<String> = cells
                .iter()
                .enumerate()
                .map(|(i, cell)| padded(cell, widths[i], align(i)))
                .collect();
            format!("{}\n", padded.join("  ").trim_end())
        };
        let total = widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1);
        let mut text = line(self.headers.iter().map(|(name, _)| name.as_str()).collect());
        text.push_str(&"─".repeat(total.min(LONGEST_RULE)));
        text.push('\n');
        for row in &self.rows {
            text.push_str(&line(row.iter().map(String::as_str).collect()));
        }
        text
    }
}

/// Columns that a text takes on a terminal; every character used here takes one.
fn width(text: &str) -> usize {
    text.chars().count()
}

fn padded(text: &str, to: usize, align: Align) -> String {
    let gap = " ".repeat(to.saturating_sub(width(text)));
    match align {
        Align::Left => format!("{text}{gap}"),
        Align::Right => format!("{gap}{text}"),
    }
}

fn centred(text: &str, to: usize) -> String {
    let gap = to.saturating_sub(width(text));
    format!("{}{text}{}", " ".repeat(gap / 2), " ".repeat(gap - gap / 2))
}

#[cfg(test)]
mod tests {
    use super::{Align, Table};

    fn table() -> Table {
        let mut table = Table::new(&[("Tasks", Align::Left), ("Value", Align::Right)]);
        table.push(vec!["arc_easy".into(), "0.5167".into()]);
        table.push(vec!["±".into()]);
        table
    }

    #[test]
    fn markdown_has_the_form_of_lm_evals_tables() {
        let want = "| Tasks  |Value |\n|--------|-----:|\n|arc_easy|0.5167|\n|±       |      |\n";
        assert_eq!(table().markdown(), want);
    }

    #[test]
    fn plain_aligns_by_characters() {
        let want = "Tasks      Value\n────────────────\narc_easy  0.5167\n±\n";
        assert_eq!(table().plain(), want);
    }
}
