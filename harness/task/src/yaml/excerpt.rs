//! The line of a file that an error is about, with a caret under the column; for people who read messages on a terminal.
//! Refuses nothing: where the file can no longer be read, there is no excerpt.

use super::Position;
use crate::TaskError;

/// Characters of a line that are shown; of longer ones, the part around the column.
const WIDTH: usize = 100;

impl TaskError {
    /// Where in a YAML file the error is, if it is in one.
    pub fn position(&self) -> Option<&Position> {
        match self {
            Self::Yaml { at, .. }
            | Self::UnknownKey { at, .. }
            | Self::Unsupported { at, .. }
            | Self::PythonHook { at, .. }
            | Self::Placed { at, .. }
            | Self::HookFailed { at, .. }
            | Self::Group { at, .. } => Some(at),
            Self::Trial { source, .. } => source.position(),
            Self::BrokenTask { source, .. } => source.position(),
            _ => None,
        }
    }

    /// Two lines: the line of the YAML file that is wrong, and a caret below the place.
    pub fn excerpt(&self) -> Option<String> {
        let at = self.position()?;
        let text = std::fs::read_to_string(&at.file).ok()?;
        Some(excerpt(
            text.lines().nth(at.line.checked_sub(1)?)?,
            at.line,
            at.column,
        ))
    }
}

fn excerpt(line: &str, number: usize, column: usize) -> String {
    let characters: Vec<char> = line.chars().collect();
    let before = column.saturating_sub(1).min(characters.len());
    let start = before.saturating_sub(WIDTH - 20);
    let end = characters.len().min(start + WIDTH);
    let shown: String = characters[start..end].iter().collect();
    // Tabs stay tabs, so that the caret stands where the terminal puts the character.
    let indent: String = characters[start..before]
        .iter()
        .map(|&character| if character == '\t' { '\t' } else { ' ' })
        .collect();
    let margin = " ".repeat(number.to_string().len());
    format!("  {number} | {shown}\n  {margin} | {indent}^")
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn the_caret_stands_under_the_column() {
        assert_eq!(
            excerpt("  samplr: x", 12, 3),
            "  12 |   samplr: x\n     |   ^"
        );
        assert_eq!(excerpt("\tx", 1, 2), "  1 | \tx\n    | \t^");
        assert_eq!(excerpt("", 1, 7), "  1 | \n    | ^");
        let long = "é".repeat(300);
        let lines = excerpt(&long, 3, 201);
        let caret = lines.lines().nth(1).unwrap().chars().count();
        assert_eq!(
            (lines.lines().next().unwrap().chars().count(), caret),
            (106, 87)
        );
    }
}
