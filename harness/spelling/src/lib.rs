//! "Did you mean …?": the nearest of the names that exist, for messages about one that does not. Knows no kind of name.

use std::path::{Path, PathBuf};

/// The candidate nearest to `wanted`, the first of equals, or nothing if none is near enough to be meant.
///
/// Near enough are two edits (insertions, deletions, exchanges, swaps of neighbours), or a third of the name's length if
/// that is more. Upper and lower case count as the same.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let most_edits = (wanted.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .map(|candidate| {
            let edits = strsim::osa_distance(&wanted, &candidate.to_lowercase());
            (edits, candidate)
        })
        .filter(|&(edits, candidate)| edits <= most_edits && edits < candidate.chars().count())
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, candidate)| candidate)
}

/// The clause " (did you mean `x`?)", or nothing.
pub fn hint<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wanted, candidates)
        .map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

/// The file or folder beside where `path` would be whose name is nearest to it.
pub fn nearest_path(path: &Path) -> Option<PathBuf> {
    let (parent, name) = (path.parent()?, path.file_name()?.to_string_lossy());
    let listed = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let mut names: Vec<String> = std::fs::read_dir(listed)
        .ok()?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let near = nearest(&name, names.iter().map(String::as_str))?;
    Some(parent.join(near))
}

/// The clause " (did you mean PATH?)", or nothing.
pub fn path_hint(path: &Path) -> String {
    nearest_path(path).map_or_else(String::new, |near| {
        format!(" (did you mean {}?)", near.display())
    })
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let tasks = ["arc_easy", "arc_challenge", "npo"];
        assert_eq!(nearest("arc_esay", tasks), Some("arc_easy"));
        assert_eq!(nearest("ARC-Easy", tasks), Some("arc_easy"));
        assert_eq!(nearest("nop", tasks), Some("npo"));
        assert_eq!(nearest("hellaswag", tasks), None);
        assert_eq!(
            nearest("x", ["a"]),
            None,
            "everything is one edit from a single letter"
        );
    }
}
