//! Which files a model needs, and bringing them. Refuses weights that are not safetensors.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::repository::Repository;
use crate::error::{HubError, Result, io};
use crate::hub::{CONFIG, Observer, Wanted};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// What describes a model and its tokenizer; taken where the repository has it.
const SMALL_FILES: [&str; 10] = [
    CONFIG,
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
];

/// Downloads what is missing of a model, and says where it is.
pub(crate) fn model(wanted: Wanted<'_>, observer: Observer<'_>) -> Result<PathBuf> {
    let repository = Repository::open(wanted)?;
    let listing = repository.listing()?;
    let names: BTreeSet<&str> = listing.files.iter().map(String::as_str).collect();
    // Files are asked for by commit: a push in the middle cannot mix two states.
    let commit = &listing.commit;
    let snapshot = repository.snapshot(commit);
    let mut take = |name: &str| repository.take(commit, name, observer);
    let require = |name: &str, because: &str| {
        let missing = || HubError::Incomplete {
            id: wanted.id.to_owned(),
            missing: format!("{name}: {because}"),
        };
        names.contains(name).then_some(()).ok_or_else(missing)
    };
    require(CONFIG, "it is no model for transformers")?;
    for name in SMALL_FILES.iter().filter(|name| names.contains(**name)) {
        take(name)?;
    }
    for name in names.iter().filter(|name| is_further_template(name)) {
        take(name)?;
    }
    if names.contains(SINGLE) {
        take(SINGLE)?;
    } else {
        require(
            INDEX,
            "weights are read from safetensors, one file or shards with an index",
        )?;
        take(INDEX)?;
        for shard in shards(wanted, &snapshot.join(INDEX))? {
            take(&shard)?;
        }
    }
    repository.note(commit)?;
    Ok(snapshot)
}

/// Whether a file is a chat template beside the default one.
fn is_further_template(name: &str) -> bool {
    name.strip_prefix("additional_chat_templates/")
        .and_then(|name| name.strip_suffix(".jinja"))
        .is_some_and(|name| !name.contains(['/', '\\']) && name != "..")
}

/// The shards that an index names.
fn shards(wanted: Wanted<'_>, index: &Path) -> Result<BTreeSet<String>> {
    let bad = |problem: &str| wanted.bad_file(INDEX, problem);
    let text = std::fs::read_to_string(index).map_err(io(index))?;
    let parsed: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| bad(&error.to_string()))?;
    let map = parsed["weight_map"]
        .as_object()
        .ok_or_else(|| bad("weight_map is missing"))?;
    let plain = |name: &str| !name.is_empty() && !name.contains(['/', '\\']);
    map.values()
        .map(|file| match file.as_str() {
            Some(name) if plain(name) => Ok(name.to_owned()),
            _ => Err(bad("weight_map names something that is no file beside it")),
        })
        .collect()
}
