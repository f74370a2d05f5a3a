//! Functions in tasks: Python's through a stand-in for the bridge, and native ones on rows of our own.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test: panics are failures, and the numbers are exact"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use harness_data::DataSource;
use harness_task::{
    HookResult, Hooks, PythonFunction, Request, RequestOptions, Response, Task, TaskError,
    TaskLibrary,
};
use serde_json::{Map, Value, json};

type Row = Map<String, Value>;

/// Answers as a bridge would whose Python says the obvious; fails where a function is called `fails`.
struct StandIn;

impl Hooks for StandIn {
    fn dataset(&self, _: &PythonFunction, arguments: &Row) -> HookResult<Row> {
        Ok([("test".to_owned(), json!([{ "q": arguments["first"] }]))]
            .into_iter()
            .collect())
    }

    fn process_docs(&self, _: &PythonFunction, documents: &[Row]) -> HookResult<Vec<Row>> {
        let mut documents = documents.to_vec();
        for document in &mut documents {
            document.insert("made".into(), json!("made"));
        }
        Ok(documents)
    }

    fn samples(&self, _: &PythonFunction) -> HookResult<Vec<Row>> {
        Ok(vec![
            json!({ "q": "sample", "made": "m" })
                .as_object()
                .unwrap()
                .clone(),
        ])
    }

    fn field(&self, function: &PythonFunction, document: &Row) -> HookResult<Value> {
        match function.name.as_str() {
            "utils.fails" => Err("KeyError: 'x'".to_owned()),
            _ => Ok(json!(format!("{}!", document["q"].as_str().unwrap()))),
        }
    }

    fn process_results(&self, _: &PythonFunction, _: &Row, results: &[Value]) -> HookResult<Row> {
        let length = match results[0].as_str().unwrap() {
            "" => json!({ "__float__": "nan" }),
            text => json!(text.len()),
        };
        Ok([
            ("length".to_owned(), length),
            ("other".to_owned(), json!(1)),
        ]
        .into_iter()
        .collect())
    }

    fn metric(
        &self,
        _: &PythonFunction,
        target: &Value,
        response: &Value,
        options: &Row,
    ) -> HookResult<Value> {
        Ok(json!({ "a": [target, response], "b": options["k"] }))
    }

    fn aggregate(&self, _: &PythonFunction, values: &[Value]) -> HookResult<f64> {
        Ok(values.len() as f64 / 2.0)
    }

    fn filter_class(
        &self,
        _: &PythonFunction,
        arguments: &Row,
        responses: &[Value],
        _: &[Row],
    ) -> HookResult<Vec<Value>> {
        Ok(responses
            .iter()
            .map(|_| arguments["answer"].clone())
            .collect())
    }

    fn filter_function(
        &self,
        _: &PythonFunction,
        responses: &[Value],
        _: &[Row],
    ) -> HookResult<Vec<Value>> {
        Ok(responses[1..].to_vec())
    }
}

const ROWS: &str = "{\"q\": \"one\", \"kind\": \"a\"}\n{\"q\": \"two\", \"kind\": \"b\"}\n{\"q\": \"six\", \"kind\": \"c\"}\n";

fn load(folder: &Path, lines: &str) -> Result<Task, TaskError> {
    fs::write(folder.join("rows.jsonl"), ROWS).unwrap();
    let head = "task: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl}}\ntest_split: test\n";
    fs::write(folder.join("mine.yaml"), format!("{head}{lines}")).unwrap();
    let path = folder.join("mine.yaml").display().to_string();
    let spec = TaskLibrary::open(&[]).unwrap().resolve(&[path])?.remove(0);
    Task::load_with_hooks(spec, &DataSource::default(), Some(Arc::new(StandIn)))
}

fn contexts(task: &Task) -> Vec<String> {
    let context = |request: &Request| match request {
        Request::GenerateUntil { context, .. } => context.clone(),
        other => panic!("{other:?}"),
    };
    let documents = task.requests(&RequestOptions::default()).unwrap();
    documents
        .iter()
        .map(|document| context(&document.requests[0]))
        .collect()
}

fn aggregated(task: &Task, texts: &[&str]) -> Result<Vec<(String, f64)>, TaskError> {
    let documents = task.requests(&RequestOptions::default())?;
    let response = |text: &&str| Response::GenerateUntil {
        text: (*text).to_owned(),
    };
    let responses: Vec<Response> = texts.iter().map(response).collect();
    let metrics = task.score(&documents, &responses)?.result.metrics;
    Ok(metrics
        .into_iter()
        .map(|metric| (metric.name, metric.value))
        .collect())
}

#[test]
fn python_makes_rows_examples_and_fields() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "process_docs: !function utils.rows\ndoc_to_text: !function utils.text\ndoc_to_target: made\n\
                 fewshot_config: {samples: !function utils.samples, sampler: first_n}\nnum_fewshot: 1\n";
    let task = load(folder.path(), lines).unwrap();
    assert_eq!(contexts(&task)[2], "sample! m\n\nsix!");
    let lines = "doc_to_text: !function utils.fails\ndoc_to_target: q\n";
    let error = load(folder.path(), lines)
        .unwrap()
        .requests(&RequestOptions::default());
    let error = error.unwrap_err().to_string();
    assert!(
        error.ends_with(
            "mine.yaml:5:14: task `mine`: the Python function `utils.fails` failed: KeyError: 'x'"
        ),
        "{error}"
    );
}

#[test]
fn python_gives_whole_data_sets() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = "task: mine\ncustom_dataset: !function utils.data\nmetadata: {first: hello}\ntest_split: test\n\
                doc_to_text: q\ndoc_to_target: q\n";
    let path = folder.path().join("custom.yaml");
    fs::write(&path, yaml).unwrap();
    let library = TaskLibrary::open(&[]).unwrap();
    let spec = library
        .resolve(&[path.display().to_string()])
        .unwrap()
        .remove(0);
    let task =
        Task::load_with_hooks(spec, &DataSource::default(), Some(Arc::new(StandIn))).unwrap();
    assert_eq!(contexts(&task), ["hello"]);
}

#[test]
fn python_scores_and_aggregates() {
    let folder = tempfile::tempdir().unwrap();
    let fields = "doc_to_text: q\ndoc_to_target: q\n";
    let results = "process_results: !function utils.results\nmetric_list: [{metric: length, aggregation: median}]\n";
    let task = load(folder.path(), &format!("{fields}{results}")).unwrap();
    let named = |name: &str, value: f64| (name.to_owned(), value);
    // What process_results gives beside the list is averaged.
    let scores = aggregated(&task, &["a", "bbb", "cc"]).unwrap();
    assert_eq!(scores, [named("length", 2.0), named("other", 1.0)]);

    let metric =
        "metric_list: [{metric: !function utils.both, aggregation: !function utils.half, k: 3}]\n";
    let task = load(folder.path(), &format!("{fields}{metric}")).unwrap();
    let scores = aggregated(&task, &["a", "b", "c"]).unwrap();
    assert_eq!(scores, [named("a", 1.5), named("b", 1.5)]);
}

#[test]
fn nanmean_leaves_out_what_others_refuse() {
    let folder = tempfile::tempdir().unwrap();
    let scores = |aggregation: &str, texts: &[&str]| {
        let lines = format!(
            "doc_to_text: q\ndoc_to_target: q\nprocess_results: !function utils.results\n\
             metric_list: [{{metric: length, aggregation: {aggregation}}}]\n"
        );
        let scores = aggregated(&load(folder.path(), &lines).unwrap(), texts);
        scores.map_err(|error| error.to_string())
    };
    assert_eq!(scores("nanmean", &["a", "", "ccc"]).unwrap()[0].1, 2.0);
    for aggregation in ["mean", "median", "perplexity"] {
        let error = scores(aggregation, &["a", "", "ccc"]).unwrap_err();
        assert!(error.contains("length") && error.contains("NaN"), "{error}");
    }
    let nothing = scores("nanmean", &["", "", ""]).unwrap_err();
    assert!(nothing.contains("nanmean of nothing"), "{nothing}");
}

#[test]
fn python_filters_answer_for_every_request() {
    let folder = tempfile::tempdir().unwrap();
    let fields = "doc_to_text: q\ndoc_to_target: q\n";
    let class =
        "filter_list: [{name: x, filter: [{function: !function utils.Answer, answer: two}]}]\n";
    let task = load(folder.path(), &format!("{fields}{class}")).unwrap();
    let scores = aggregated(&task, &["a", "b", "c"]).unwrap();
    assert!((scores[0].1 - 1.0 / 3.0).abs() < 1e-15, "{scores:?}");

    let function =
        "filter_list: [{name: x, filter: [{function: custom, filter_fn: !function utils.lose}]}]\n";
    let task = load(folder.path(), &format!("{fields}{function}")).unwrap();
    let error = aggregated(&task, &["a", "b", "c"]).unwrap_err().to_string();
    assert!(
        error.ends_with("failed: it gave 2 answers for 3 requests"),
        "{error}"
    );
}

#[test]
fn rows_are_kept_by_their_columns() {
    let folder = tempfile::tempdir().unwrap();
    let lines = |wanted: &str| {
        format!(
            "doc_to_text: q\ndoc_to_target: q\nprocess_docs: {{native: keep_rows, where: {wanted}}}\n"
        )
    };
    let kept = |wanted: &str| load(folder.path(), &lines(wanted)).map(|task| contexts(&task));
    assert_eq!(kept("{kind: b}").unwrap(), ["two"]);
    assert_eq!(kept("{kind: [a, c]}").unwrap(), ["one", "six"]);
    assert_eq!(kept("{kind: [a, c], q: six}").unwrap(), ["six"]);
    let unknown = kept("{knid: b}").unwrap_err().to_string();
    assert!(
        unknown.ends_with("keep_rows: there is no column `knid` (did you mean `kind`?)"),
        "{unknown}"
    );
    let none = kept("{kind: z}").unwrap_err().to_string();
    assert!(none.contains("has no documents"), "{none}");
}
