//! Where a model comes from: a directory, a GGUF file, or an id of the hub that is downloaded first. Opens none of them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use harness_hub::{Hub, HubSettings, MAIN};

use crate::dataset_hub::in_megabytes;
use crate::exit::Refused;
use crate::progress::Terminal;

/// What the user calls a model.
pub(crate) struct ModelSource {
    name: PathBuf,
    /// Branch, tag or commit of a hub id.
    revision: Option<String>,
}

impl ModelSource {
    pub(crate) fn new(name: &Path) -> Self {
        Self {
            name: name.to_owned(),
            revision: None,
        }
    }

    /// The same at a branch, tag or commit of the hub.
    pub(crate) fn at_revision(self, revision: Option<String>) -> Self {
        Self { revision, ..self }
    }

    /// As the user wrote it.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Branch, tag or commit of a hub id, where one was asked for.
    pub(crate) fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// The directory or file to open. What is there goes before a hub id of the same name; a name that can be neither is
    /// left to whoever opens it.
    pub(crate) fn locate(&self, terminal: &mut Terminal) -> Result<PathBuf> {
        let model = self.name.to_str().unwrap_or_default();
        if !self.name.exists() && is_hub_id(model) {
            let hub = Hub::new(HubSettings::from_environment()?);
            let mut show = |event| terminal.show(in_megabytes(event));
            let revision = self.revision.as_deref().unwrap_or(MAIN);
            return Ok(hub.model(model, revision, &mut show)?);
        }
        match &self.revision {
            None => Ok(self.name.clone()),
            Some(revision) => Err(Refused(format!(
                "--model-args revision={revision} goes with a hub id, and {} is none",
                self.name.display()
            ))
            .into()),
        }
    }
}

/// The model that a name stands for, or those in a folder of model directories in order of their names, in which numbers count as
/// numbers; none where a folder has none.
///
/// # Errors
/// On a folder that cannot be read.
pub(crate) fn checkpoints(source: &Path) -> Result<Vec<PathBuf>> {
    let is_model = |path: &Path| path.join("config.json").is_file();
    if !source.is_dir() || is_model(source) {
        return Ok(vec![source.to_owned()]);
    }
    let entries = std::fs::read_dir(source)
        .map_err(|error| Refused(format!("{}: {error}", source.display())))?;
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_model(path))
        .collect();
    found.sort_by_cached_key(|path| words_and_numbers(&path.to_string_lossy()));
    Ok(found)
}

/// A name cut where digits begin and end: `step-10` comes after `step-9`.
fn words_and_numbers(name: &str) -> Vec<(u128, String)> {
    let mut parts: Vec<(u128, String)> = Vec::new();
    for part in name.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        parts.push((digits.parse().unwrap_or(0), part.to_owned()));
    }
    parts
}

/// Whether a name that is no path has the form of a hub id, `ORG/NAME`.
fn is_hub_id(name: &str) -> bool {
    let is_part = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && part.chars().all(plain)
            && !part.contains("..")
    };
    let parts = name.split_once('/');
    let is_gguf = Path::new(name)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"));
    !is_gguf && parts.is_some_and(|(organisation, model)| is_part(organisation) && is_part(model))
}

#[cfg(test)]
mod tests {
    use super::is_hub_id;

    #[test]
    fn hub_ids_are_told_from_paths() {
        for id in ["HuggingFaceTB/SmolLM2-135M", "a/b.c", "01-ai/Yi_6B"] {
            assert!(is_hub_id(id), "{id}");
        }
        let paths = [
            "model", "./model", "../model", "/a/b", "a/b/c", "a/", "a/..", "a b/c", "a/.b", "~/m",
            "a/b.gguf",
        ];
        for path in paths {
            assert!(!is_hub_id(path), "{path}");
        }
    }
}
