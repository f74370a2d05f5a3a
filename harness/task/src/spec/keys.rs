//! The keys of the format: which exist, which are implemented; refuses the others by name and place.

use crate::TaskError;
use crate::yaml::Mapping;

/// The keys of one kind of map.
pub(super) struct Keys {
    /// Keys that are read.
    pub(super) read: &'static [&'static str],
    /// Keys that exist upstream and are refused here, with a clause on what to do instead.
    pub(super) refused: &'static [(&'static str, &'static str)],
}

/// Keys of a task.
pub(super) const TASK: Keys = Keys {
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
    ],
    refused: &[
        ("class", "; it names Python code"),
        (
            "custom_dataset",
            "; use dataset_path with a local folder or a builder",
        ),
        ("process_docs", "; prepare the rows in the data set"),
        ("doc_to_image", ""),
        ("doc_to_audio", ""),
        ("process_results", "; use metric_list"),
        ("use_prompt", "; write the template into doc_to_text"),
        ("generation_kwargs", ""),
        ("filter_list", ""),
        ("gen_prefix", "; end doc_to_text with the prefix"),
    ],
};

/// Keys of `fewshot_config`.
pub(super) const FEWSHOT: Keys = Keys {
    read: &[
        "sampler",
        "split",
        "samples",
        "doc_to_text",
        "doc_to_choice",
        "doc_to_target",
        "fewshot_delimiter",
        "target_delimiter",
    ],
    refused: &[
        ("process_docs", "; prepare the rows in the data set"),
        ("fewshot_indices", "; write the examples into samples"),
        ("gen_prefix", "; end doc_to_text with the prefix"),
    ],
};

/// Keys of an item of `metric_list`.
pub(super) const METRIC: Keys = Keys {
    read: &["metric", "aggregation", "higher_is_better"],
    refused: &[
        ("hf_evaluate", "; only built-in metrics are computed"),
        ("ignore_case", ""),
        ("ignore_punctuation", ""),
        ("ignore_numbers", ""),
        ("regexes_to_ignore", ""),
        ("average", ""),
        ("k", ""),
    ],
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
