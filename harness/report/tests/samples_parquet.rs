//! The Parquet table of samples, read back with the reader that other tables are read with.
#![allow(clippy::unwrap_used, reason = "a test: panics are failures")]

use std::io::Write;

use harness_report::{samples_jsonl, samples_parquet};
use harness_task::{MetricValue, Request, Response, Sample};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};

fn metric(name: &str, value: Value) -> MetricValue {
    let name = name.to_owned();
    MetricValue { name, value }
}

fn scored(logprob: f64, is_greedy: bool) -> Vec<Response> {
    vec![Response::Loglikelihood { logprob, is_greedy }]
}

fn sample(doc_id: usize, responses: Vec<Vec<Response>>, metrics: Vec<MetricValue>) -> Sample {
    let ask = |continuation: &str| Request::Loglikelihood {
        context: format!("Quæstio {doc_id}\n\"?\""),
        continuation: continuation.to_owned(),
    };
    let document = json!({ "q": [doc_id, null], "ü": "\u{1f600}" });
    Sample {
        doc_id,
        document: document.as_object().unwrap().clone(),
        target: json!(1),
        requests: [ask(" a"), ask(" b")][..responses.len()].to_vec(),
        filtered_responses: vec![json!([-1.5, true]), json!("text")],
        responses,
        filter: "none".to_owned(),
        metrics,
    }
}

fn plain(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Long(number) => json!(number),
        Field::Double(number) if number.is_finite() => json!(number),
        Field::Double(number) => number.to_string().into(),
        Field::Bool(flag) => json!(flag),
        Field::Str(text) => json!(text),
        Field::ListInternal(list) => list.elements().iter().map(plain).collect(),
        other => panic!("{other:?}"),
    }
}

/// The columns with their types, and the rows as JSON; a number that is not finite as text.
fn read(samples: &[Sample]) -> (Vec<String>, Vec<Value>) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&samples_parquet(samples).unwrap()).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let named = schema.columns().iter();
    let types = named
        .map(|column| format!("{} {}", column.path().string(), column.physical_type()))
        .collect();
    let rows = reader.get_row_iter(None).unwrap().map(|row| {
        let row = row.unwrap();
        let columns = row.get_column_iter();
        let columns = columns.map(|(name, field)| (name.clone(), plain(field)));
        Value::Object(columns.collect())
    });
    (types, rows.collect())
}

#[test]
fn what_is_written_is_read() {
    let exact = -0.1 - 1e-16;
    let odd = vec![
        metric("acc", json!(true)),
        metric("length", json!({ "__float__": "nan" })),
        metric("bits", json!([-3.5, 7])),
        metric("filter", json!(2)),
    ];
    let both = vec![scored(exact, true), scored(f64::NEG_INFINITY, false)];
    let last = vec![metric("acc", json!(0.25))];
    let samples = [
        sample(0, both, odd),
        sample(1, Vec::new(), Vec::new()),
        sample(7, vec![scored(-2.0, false)], last),
    ];
    let (types, rows) = read(&samples);
    for typed in [
        "doc_id INT64",
        "logprobs.list.element DOUBLE",
        "is_greedy.list.element BOOLEAN",
        "acc DOUBLE",
        "metric_filter DOUBLE",
        "bits BYTE_ARRAY",
    ] {
        assert!(
            types.iter().any(|found| found == typed),
            "{typed}: {types:?}"
        );
    }
    assert_eq!(rows.len(), 3);
    assert_eq!(rows[0]["logprobs"], json!([exact, "-inf"]));
    assert_eq!(rows[0]["is_greedy"], json!([true, false]));
    assert_eq!(rows[0]["continuations"], json!([" a", " b"]));
    assert_eq!(rows[0]["filtered"], json!(["[-1.5,true]", "text"]));
    assert_eq!(rows[0]["filter"], "none");
    assert_eq!(rows[0]["acc"], 1.0);
    assert_eq!(rows[0]["length"], "NaN");
    assert_eq!(rows[0]["bits"], "[-3.5,7]");
    assert_eq!(rows[0]["metric_filter"], 2.0);
    assert_eq!(rows[1]["prompts"], json!([]));
    assert_eq!(rows[1]["acc"], Value::Null);
    assert_eq!(rows[2]["logprobs"], json!([-2.0]));
    // What both forms have is the same.
    let lines = samples_jsonl(&samples);
    for (line, row) in lines.lines().zip(&rows) {
        let line: Value = serde_json::from_str(line).unwrap();
        for name in ["doc_id", "target", "doc_hash", "prompt_hash", "target_hash"] {
            assert_eq!(line[name], row[name], "{name}");
        }
        let document: Value = serde_json::from_str(row["doc"].as_str().unwrap()).unwrap();
        assert_eq!(document, line["doc"]);
    }
}

#[test]
fn texts_with_repeats() {
    let text = |text: &str| Response::GenerateUntil {
        text: text.to_owned(),
    };
    let mut one = sample(3, vec![vec![text("a"), text("")]], Vec::new());
    let settings = json!({ "until": ["\n"], "temperature": 0.0 });
    let settings = settings.as_object().unwrap().clone();
    one.requests = vec![Request::GenerateUntil {
        context: "c".to_owned(),
        generation: harness_task::Generation::from_kwargs(settings.clone()).unwrap(),
    }];
    let (_, rows) = read(&[one]);
    assert_eq!(rows[0]["texts"], json!(["a", ""]));
    assert_eq!(rows[0]["logprobs"], json!([]));
    assert_eq!(rows[0]["prompts"], json!(["c"]));
    let given: Value = serde_json::from_str(rows[0]["gen_kwargs"].as_str().unwrap()).unwrap();
    assert_eq!(given, Value::Object(settings));
}

#[test]
fn no_samples_are_a_table_all_the_same() {
    assert_eq!(read(&[]).1, Vec::<Value>::new());
}
