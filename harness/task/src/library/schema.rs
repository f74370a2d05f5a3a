//! The task format as a JSON Schema, for editors: completion, descriptions, wrong keys underlined. The keys are the parser's
//! own tables; only their descriptions are here. It is wider than the parser, which has the last word.

use serde_json::{Map, Value, json};

use super::group::{AGGREGATE_KEYS, GROUP_KEYS};
use crate::spec::keys;

/// The values of a key, as far as a schema needs them.
#[derive(Clone, Copy)]
enum Takes {
    Anything,
    Text,
    Texts,
    Flag,
    Count,
    Settings,
    List,
    /// Exactly these words.
    OneOf(&'static [&'static str]),
    /// A column, a template, a list or a function.
    Field,
    /// A Python or a native function.
    Function,
    Fewshot,
    Pipelines,
    Aggregates,
}

use Takes::{
    Aggregates, Anything, Count, Fewshot, Field, Flag, Function, List, OneOf, Pipelines, Settings,
    Text, Texts,
};

const OUTPUT_TYPES: &[&str] = &[
    "multiple_choice",
    "loglikelihood",
    "loglikelihood_rolling",
    "generate_until",
    "answer",
];

/// Every key with what it takes and what it is for, in order of name.
static DESCRIPTIONS: [(&str, Takes, &str); 51] = [
    (
        "aggregate_metric_list",
        Aggregates,
        "What a group averages over its tasks; without it, the group has no row of its own",
    ),
    (
        "aggregation",
        Text,
        "How values become one number: mean unless the metric has another of its own",
    ),
    ("class", Function, "A task written in Python"),
    (
        "custom_dataset",
        Function,
        "A Python function that gives the rows",
    ),
    (
        "dataset_kwargs",
        Settings,
        "data_files: a file, a list, or either for each split, for the builders",
    ),
    ("dataset_name", Text, "The data set's config"),
    (
        "dataset_path",
        Text,
        "org/name, a local folder, or the builder json, csv or parquet",
    ),
    (
        "description",
        Text,
        "Text before the first example: a column or a template",
    ),
    (
        "doc_to_audio",
        Anything,
        "Audio of a document; refused for models of text",
    ),
    (
        "doc_to_choice",
        Field,
        "The choices: a column, a template that gives a list, or a list",
    ),
    ("doc_to_decontamination_query", Anything, "Without effect"),
    (
        "doc_to_image",
        Anything,
        "Images of a document; refused for models of text",
    ),
    (
        "doc_to_paraphrase",
        Field,
        "The right answer in other words, for the metric truth_ratio",
    ),
    (
        "doc_to_target",
        Field,
        "The right answer: a choice's index or text, a column, a template",
    ),
    (
        "doc_to_text",
        Field,
        "The question: a column or a template; an index chooses among several contexts",
    ),
    (
        "doc_to_wrong",
        Field,
        "Wrong answers, for the metrics truth_ratio and probability_w_options",
    ),
    (
        "fewshot_config",
        Fewshot,
        "Where examples come from and how they are written",
    ),
    (
        "fewshot_delimiter",
        Text,
        "Between examples; an empty line unless given",
    ),
    ("fewshot_indices", Anything, "Without effect"),
    (
        "fewshot_split",
        Text,
        "The split that examples are drawn from",
    ),
    (
        "filter",
        List,
        "The steps of a pipeline, each a map with the key function",
    ),
    (
        "filter_list",
        Pipelines,
        "Pipelines over what the model wrote; each gives scores of its own",
    ),
    (
        "gen_prefix",
        Text,
        "The start of the answer, given to the model",
    ),
    (
        "generation_kwargs",
        Settings,
        "until, max_gen_toks, do_sample, temperature and others",
    ),
    (
        "group",
        Text,
        "Name of a group; its members are the value of task",
    ),
    ("group_alias", Text, "The group's name in tables"),
    ("higher_is_better", Flag, "The metric's direction"),
    (
        "include",
        Texts,
        "Files, relative to this one, whose keys come first; this file's own win",
    ),
    (
        "of",
        Texts,
        "The metrics whose harmonic mean over all tasks a group takes",
    ),
    ("metadata", Settings, "Free; version goes into the results"),
    ("metric", Anything, "Name of the metric"),
    (
        "metric_list",
        List,
        "Metrics, each a map with the key metric",
    ),
    (
        "name",
        Text,
        "Name of the pipeline, which stands behind the metric's in results",
    ),
    (
        "num_fewshot",
        Count,
        "Number of examples; an explicit 0 cannot be changed on the command line",
    ),
    (
        "output_type",
        OneOf(OUTPUT_TYPES),
        "What is asked of the model",
    ),
    (
        "process_docs",
        Function,
        "Changes rows before they are used",
    ),
    (
        "process_results",
        Function,
        "Scores a document by itself, instead of the metrics",
    ),
    ("repeats", Count, "How often each request is answered"),
    (
        "sampler",
        OneOf(&["default", "first_n"]),
        "Drawn anew for every document, or the first ones",
    ),
    (
        "samples",
        Anything,
        "Examples written out, each a map like a document",
    ),
    ("should_decontaminate", Flag, "Without effect"),
    ("split", Text, "The split that examples are drawn from"),
    (
        "tag",
        Texts,
        "Names under which the task can be asked for with others",
    ),
    (
        "target_delimiter",
        Text,
        "Between question and answer; one space unless given",
    ),
    (
        "task",
        Anything,
        "Name of the task; in a group, the list of members",
    ),
    ("task_alias", Text, "The task's name in tables"),
    ("test_split", Text, "The split that is scored"),
    (
        "training_split",
        Text,
        "The split for training; examples are drawn from it unless another is named",
    ),
    (
        "unsafe_code",
        Flag,
        "Whether scoring runs what the model wrote",
    ),
    (
        "validation_split",
        Text,
        "The split that is scored where there is no test split",
    ),
    (
        "weight_by_size",
        Flag,
        "Whether a task counts by its documents, which is so unless given, or as one",
    ),
];

/// The schema of a task or group file (JSON Schema, draft 7), as text with a newline at its end.
pub fn json_schema() -> String {
    let own = ["include"].into_iter().chain(GROUP_KEYS);
    let keys = own.chain(keys::TASK.read.iter().copied());
    let mut schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Task or group of tasks",
    });
    if let (Value::Object(schema), Value::Object(map)) = (&mut schema, closed_map(keys)) {
        schema.extend(map);
    }
    format!("{schema:#}\n")
}

/// A map that has these keys and no others.
fn closed_map(keys: impl Iterator<Item = &'static str>) -> Value {
    let mut sorted: Vec<&str> = keys.collect();
    sorted.sort_unstable();
    let properties: Map<String, Value> = sorted
        .into_iter()
        .map(|key| (key.to_owned(), property(key)))
        .collect();
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn property(key: &str) -> Value {
    let described = DESCRIPTIONS.iter().find(|(known, ..)| *known == key);
    let Some((_, takes, description)) = described else {
        return json!({});
    };
    let mut property = values(*takes);
    if let Value::Object(map) = &mut property {
        map.insert("description".to_owned(), (*description).into());
    }
    property
}

/// Every key may also be null, which is as good as absent.
fn values(takes: Takes) -> Value {
    match takes {
        Anything => json!({}),
        Text => json!({"type": ["string", "null"]}),
        Texts => json!({"type": ["string", "array", "null"], "items": {"type": "string"}}),
        Flag => json!({"type": ["boolean", "null"]}),
        Count => json!({"type": ["integer", "null"], "minimum": 0}),
        Settings => json!({"type": ["object", "null"]}),
        List => json!({"type": ["array", "null"], "items": {"type": "object"}}),
        OneOf(words) => json!({"enum": words}),
        Field => json!({"type": ["string", "integer", "array", "object", "null"]}),
        Function => json!({"type": ["string", "object", "null"]}),
        Fewshot => closed_map(keys::FEWSHOT.read.iter().copied()),
        Pipelines => {
            json!({"type": ["array", "null"], "items": closed_map(keys::PIPELINE.read.iter().copied())})
        }
        Aggregates => json!({
            "type": ["array", "object", "null"],
            "items": closed_map(AGGREGATE_KEYS.into_iter()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{AGGREGATE_KEYS, DESCRIPTIONS, GROUP_KEYS, json_schema, keys};

    #[test]
    fn every_key_of_the_parser_is_described() {
        let read = [keys::TASK.read, keys::FEWSHOT.read, keys::PIPELINE.read].concat();
        for key in read.into_iter().chain(GROUP_KEYS).chain(AGGREGATE_KEYS) {
            let described = DESCRIPTIONS.iter().any(|(known, ..)| *known == key);
            assert!(described, "{key} has no description");
        }
    }

    #[test]
    fn the_file_in_tasks_is_current() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tasks/task.schema.json");
        let committed = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            committed == json_schema(),
            "write it again: harness tasks schema > tasks/task.schema.json"
        );
    }
}
