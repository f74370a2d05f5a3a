//! The keys of the format: which exist, which are implemented; refuses the others by name and place.

use crate::TaskError;
use crate::yaml::Mapping;

/// The keys of one kind of map.
pub(crate) struct Keys {
    /// Keys that are read.
    pub(crate) read: &'static [&'static str],
    /// Keys that exist upstream and are refused here, with a clause on what to do instead.
    pub(crate) refused: &'static [(&'static str, &'static str)],
}

/// Keys of a task.
pub(crate) const TASK: Keys = Keys {
    read: &[
        "task",
        "task_alias",
        "tag",
        "dataset_path",
        "dataset_name",
        "dataset_kwargs",
        "training_split",
        "validation_split",
        "test_split",
        "fewshot_split",
        "doc_to_text",
        "doc_to_target",
        "doc_to_choice",
        "doc_to_paraphrase",
        "doc_to_wrong",
        "unsafe_code",
        "description",
        "target_delimiter",
        "fewshot_delimiter",
        "fewshot_config",
        "num_fewshot",
        "metric_list",
        "output_type",
        "repeats",
        "should_decontaminate",
        "doc_to_decontamination_query",
        "metadata",
        "class",
        "custom_dataset",
        "process_docs",
        "process_results",
        "doc_to_image",
        "doc_to_audio",
        "generation_kwargs",
        "filter_list",
        "gen_prefix",
    ],
    refused: &[("use_prompt", "; write the template into doc_to_text")],
};

/// Keys of a task whose values may be, or hold, Python functions.
pub(super) const WITH_FUNCTIONS: [&str; 15] = [
    "class",
    "custom_dataset",
    "process_docs",
    "process_results",
    "doc_to_text",
    "doc_to_target",
    "doc_to_choice",
    "doc_to_paraphrase",
    "doc_to_wrong",
    "doc_to_image",
    "doc_to_audio",
    "metric_list",
    "filter_list",
    "fewshot_config",
    INERT_QUERY,
];

/// A key that does nothing, upstream either, so that nothing is missing where its function cannot be called.
pub(super) const INERT_QUERY: &str = "doc_to_decontamination_query";

/// Keys of `fewshot_config`.
pub(crate) const FEWSHOT: Keys = Keys {
    read: &[
        "sampler",
        "split",
        "process_docs",
        "fewshot_indices",
        "samples",
        "doc_to_text",
        "doc_to_choice",
        "doc_to_target",
        "gen_prefix",
        "fewshot_delimiter",
        "target_delimiter",
    ],
    refused: &[],
};

/// Keys of a filter pipeline.
pub(crate) const PIPELINE: Keys = Keys {
    read: &["name", "filter"],
    refused: &[],
};

/// Refuses unknown keys, and keys that are not implemented unless their value says "off" (null or false).
pub(super) fn check(mapping: &Mapping, keys: &Keys) -> Result<(), TaskError> {
    for (key, at, node) in mapping.iter() {
        if keys.read.contains(&key) {
            continue;
        }
        let Some((_, instead)) = keys.refused.iter().find(|(known, _)| *known == key) else {
            let known = keys
                .read
                .iter()
                .copied()
                .chain(keys.refused.iter().map(|(known, _)| *known));
            return Err(TaskError::UnknownKey {
                at: at.clone(),
                key: key.to_owned(),
                hint: harness_spelling::hint(key, known),
            });
        };
        if !node.is_null() && node.to_json() != false {
            return Err(TaskError::Unsupported {
                at: at.clone(),
                what: format!("`{key}`"),
                instead,
            });
        }
    }
    Ok(())
}
