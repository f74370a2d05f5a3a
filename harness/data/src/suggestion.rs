//! "Did you mean …?": the nearest of the names that exist, for messages about one that does not.

/// Below this Jaro-Winkler similarity a suggestion would be a guess.
const MIN_SIMILARITY: f64 = 0.75;

/// The clause " (did you mean `x`?)" for the candidate nearest to `wanted`, the first of equals, or nothing if none is
/// near. Upper and lower case count as the same.
pub fn nearest_hint<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let wanted = wanted.to_lowercase();
    let mut nearest = (MIN_SIMILARITY, None);
    for candidate in candidates {
        let similarity = strsim::jaro_winkler(&wanted, &candidate.to_lowercase());
        if similarity > nearest.0 {
            nearest = (similarity, Some(candidate));
        }
    }
    nearest
        .1
        .map(|candidate| format!(" (did you mean `{candidate}`?)"))
        .unwrap_or_default()
}
