//! The SDK as files of a workspace of its own: what the binary carries, and a manifest made from the repository's. It refuses dependencies
//! that the repository's manifest does not have.

use anyhow::{Context, Result};

include!(concat!(env!("OUT_DIR"), "/sdk_sources.rs"));

/// The repository's manifest, which says versions and editions.
const REPOSITORY: &str = include_str!("../../../../../../Cargo.toml");

/// The SDK's files by their path in its folder.
pub(super) fn files() -> Result<Vec<(&'static str, String)>> {
    let mut files: Vec<(&str, String)> = SOURCES
        .into_iter()
        .map(|(name, text)| (name, text.to_owned()))
        .collect();
    files.push(("Cargo.toml", manifest()?));
    Ok(files)
}

/// A workspace with what the SDK's crates inherit.
fn manifest() -> Result<String> {
    let section = |name: &str| -> Result<&str> {
        let after = REPOSITORY.split_once(&format!("\n[{name}]\n"));
        let (_, section) = after.with_context(|| format!("the manifest lacks [{name}]"))?;
        Ok(section.split("\n[").next().unwrap_or(section).trim_end())
    };
    let is_inherited = |name: &str| {
        let inherits = format!("\n{name}.workspace = true");
        SOURCES
            .iter()
            .any(|(file, text)| file.ends_with("Cargo.toml") && text.contains(&inherits))
    };
    let name_of = |line: &str| line.split([' ', '.']).next().unwrap_or_default().to_owned();
    let dependencies: String = section("workspace.dependencies")?
        .lines()
        .filter(|line| !line.starts_with('#') && is_inherited(&name_of(line)))
        .map(|line| line.replace("\"plugins/", "\"") + "\n")
        .collect();
    Ok(format!(
        "# The SDK of `harness methods`, written by harness {}: a copy, to be replaced as a whole.\n\
         [workspace]\nresolver = \"3\"\nmembers = [\"abi\", \"sdk\"]\n\n\
         [workspace.package]\n{}\n\n[workspace.dependencies]\n{dependencies}\n[workspace.lints]\n",
        env!("CARGO_PKG_VERSION"),
        section("workspace.package")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_has_what_the_crates_inherit_and_no_more() {
        let manifest = manifest().unwrap();
        for line in [
            "edition = \"2024\"",
            "harness-abi = { path = \"abi\" }",
            "serde = {",
        ] {
            assert!(manifest.contains(line), "{line} is not in {manifest}");
        }
        assert!(!manifest.contains("candle"), "{manifest}");
        let names: Vec<&str> = SOURCES.iter().map(|(name, _)| *name).collect();
        assert!(names.contains(&"sdk/src/rig/engine.rs"), "{names:?}");
    }
}
