//! Prompts, scores and training pairs of small tasks; expected strings are lm-eval's rules worked by hand.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test: panics are failures, skips are said aloud, recorded numbers are exact"
)]

use std::fs;

use harness_data::DataSource;
use harness_task::{DocumentRequests, Limit, Request, RequestOptions, Response, Task, TaskLibrary};

/// A task over `rows`, JSON objects a line.
fn task(yaml: &str, rows: &str) -> (tempfile::TempDir, Result<Task, String>) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rows.jsonl"), rows).unwrap();
    let head = "task: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: rows.jsonl, train: rows.jsonl}}\n";
    fs::write(folder.path().join("mine.yaml"), format!("{head}{yaml}")).unwrap();
    let library = TaskLibrary::open(&[folder.path().to_owned()]).unwrap();
    let task = library
        .resolve(&["mine".to_owned()])
        .and_then(|mut specs| Task::load(specs.remove(0), &DataSource::default()))
        .map_err(|error| error.to_string());
    (folder, task)
}

const CHOICE: &str =
    "test_split: test\noutput_type: multiple_choice\ndoc_to_text: \"{{q}}?\"\ndoc_to_choice: c\n";
const ROWS: &str = "{\"q\": \"one\", \"c\": [\"a\", \"bb\"], \"l\": 1, \"s\": \"bb\"}\n\
                    {\"q\": \"two\", \"c\": [\"c\", \"dd\"], \"l\": 0, \"s\": \"c\"}\n\
                    {\"q\": \"six\", \"c\": [\"e\", \"ff\"], \"l\": 0, \"s\": \"e\"}\n";

fn strings(task: &Task, options: &RequestOptions) -> Vec<Vec<(String, String)>> {
    let pair = |request: &Request| match request {
        Request::Loglikelihood {
            context,
            continuation,
        } => (context.clone(), continuation.clone()),
        other => panic!("{other:?}"),
    };
    let documents = task.requests(options).unwrap();
    documents
        .iter()
        .map(|document| document.requests.iter().map(pair).collect())
        .collect()
}

/// The values of one document's metrics.
fn scores(
    task: &Task,
    document: &DocumentRequests,
    responses: &[Response],
) -> Result<Vec<(String, f64)>, String> {
    let scores = task.score(std::slice::from_ref(document), responses);
    let mut scores = scores.map_err(|error| error.to_string())?;
    let metrics = scores.samples.remove(0).metrics;
    Ok(metrics
        .into_iter()
        .map(|metric| (metric.name, metric.value.as_f64().unwrap()))
        .collect())
}

fn answers(logprobs: &[f64]) -> Vec<Response> {
    logprobs
        .iter()
        .map(|&logprob| Response::Loglikelihood {
            logprob,
            is_greedy: false,
        })
        .collect()
}

#[test]
fn shots_have_delimiters_and_the_question_has_none() {
    let yaml = format!(
        "{CHOICE}doc_to_target: l\ndescription: \"About {{{{q}}}}. \"\ntarget_delimiter: '='\nfewshot_delimiter: '|'\n\
         fewshot_config: {{sampler: first_n}}\nfewshot_split: train\nnum_fewshot: 2\n"
    );
    let (_folder, task) = task(&yaml, ROWS);
    let asked = strings(&task.unwrap(), &RequestOptions::default());
    assert_eq!(
        asked[2][1],
        (
            "About six. one?=bb|two?=c|six?".to_owned(),
            "=ff".to_owned()
        )
    );
}

#[test]
fn the_evaluated_document_is_no_example_of_its_own_split() {
    let yaml = format!(
        "{CHOICE}doc_to_target: l\nfewshot_split: test\nfewshot_config: {{sampler: first_n}}\nnum_fewshot: 1\n"
    );
    let (_folder, task) = task(&yaml, ROWS);
    let asked = strings(&task.unwrap(), &RequestOptions::default());
    assert_eq!(asked[0][0].0, "two? c\n\none?");
    assert_eq!(asked[1][0].0, "one? bb\n\ntwo?");
}

/// Python: `random.Random(1234)` gives `sample(range(30), 2)` as [24, 14], [3, 0] and `sample(range(30), 3)` as
/// [24, 14, 3], [0, 2, 29]. Upstream draws one more where few-shot and test split are equal, also both absent.
#[test]
fn without_test_and_fewshot_split_one_example_more_is_drawn() {
    let rows: Vec<String> = (0..30)
        .map(|n| format!("{{\"q\": \"{n}\", \"a\": \"\"}}\n"))
        .collect();
    let yaml = "validation_split: test\ntraining_split: train\noutput_type: loglikelihood\ndoc_to_text: '{{q}},'\n\
                doc_to_target: ' {{a}}'\nfewshot_config: {doc_to_target: a}\nnum_fewshot: 2\n";
    let second = |extra: &str| {
        let (_folder, task) = task(&format!("{yaml}{extra}"), &rows.concat());
        strings(&task.unwrap(), &RequestOptions::default())[1][0]
            .0
            .clone()
    };
    assert_eq!(second(""), "0,2,1,");
    assert_eq!(second("fewshot_split: train\n"), "3,0,1,");
}

#[test]
fn an_explicit_zero_resists_and_nothing_else_does() {
    let samples = "fewshot_config: {samples: [{q: ex, c: [x, y], l: 1}]}\ndoc_to_target: l\n";
    let one = RequestOptions {
        num_fewshot: Some(1),
        ..RequestOptions::default()
    };
    let (_folder, zero) = task(&format!("{CHOICE}{samples}num_fewshot: 0\n"), ROWS);
    assert_eq!(strings(&zero.unwrap(), &one)[0][0].0, "one?");
    let (_folder, unset) = task(&format!("{CHOICE}{samples}"), ROWS);
    let unset = unset.unwrap();
    assert_eq!(strings(&unset, &one)[0][0].0, "ex? y\n\none?");
    assert_eq!(strings(&unset, &RequestOptions::default())[0][0].0, "one?");
    let two = RequestOptions {
        num_fewshot: Some(2),
        ..RequestOptions::default()
    };
    let error = unset.requests(&two).unwrap_err().to_string();
    assert!(
        error.contains(
            "2 few-shot examples cannot be drawn from the 1 documents of fewshot_config.samples"
        ),
        "{error}"
    );
}

#[test]
fn a_choice_index_as_question_makes_one_context_per_choice() {
    let yaml = "test_split: test\noutput_type: multiple_choice\ndoc_to_text: '{{l}}'\ndoc_to_choice: c\n\
                doc_to_target: ' end'\nfewshot_split: train\nfewshot_config: {sampler: first_n}\nnum_fewshot: 1\n\
                target_delimiter: ''\nmetric_list: [{metric: acc}]\n";
    let (_folder, task) = task(yaml, ROWS);
    let task = task.unwrap();
    let asked = strings(&task, &RequestOptions::default());
    let pair = |context: &str| (context.to_owned(), " end".to_owned());
    assert_eq!(asked[1], [pair("bb end\n\nc"), pair("bb end\n\ndd")]);
    let documents = task.requests(&RequestOptions::default()).unwrap();
    assert_eq!(
        scores(&task, &documents[1], &answers(&[-1.0, -2.0])).unwrap()[0].1,
        1.0
    );
    assert_eq!(
        scores(&task, &documents[0], &answers(&[-1.0, -2.0])).unwrap()[0].1,
        0.0
    );
}

#[test]
fn targets_are_indices_texts_or_lists_of_either() {
    for target in ["l", "s", "'{{l}}'", "'{{[l]}}'", "\"{{ [s, 'zz'][:1] }}\""] {
        let (_folder, task) = task(&format!("{CHOICE}doc_to_target: {target}\n"), ROWS);
        let task = task.unwrap();
        let documents = task.requests(&RequestOptions::default()).unwrap();
        let values = scores(&task, &documents[0], &answers(&[-2.0, -3.0])).unwrap();
        let expected = [("acc".to_owned(), 0.0), ("acc_norm".to_owned(), 1.0)];
        assert_eq!(values, expected, "{target}");
    }
}

#[test]
fn unusable_answers_are_errors_not_zeros() {
    let (_folder, loaded) = task(&format!("{CHOICE}doc_to_target: s\n"), ROWS);
    let loaded = loaded.unwrap();
    let document = &loaded.requests(&RequestOptions::default()).unwrap()[1];
    let error = |responses: &[Response]| scores(&loaded, document, responses).unwrap_err();
    assert_eq!(
        error(&answers(&[-1.0])),
        "task `mine`: 1 responses for 2 requests of 1 documents"
    );
    assert_eq!(
        error(&answers(&[-1.0, f64::NAN])),
        "task `mine`, document 1: argmax: value 1 is NaN, not a finite number"
    );
    let nothing = loaded.score(&[], &[]).unwrap_err().to_string();
    assert!(nothing.contains("of 0 documents"), "{nothing}");

    let (_folder, wrong) = task(&format!("{CHOICE}doc_to_target: q\n"), ROWS);
    let wrong = wrong.unwrap();
    let document = &wrong.requests(&RequestOptions::default()).unwrap()[0];
    assert_eq!(
        scores(&wrong, document, &answers(&[-1.0, -2.0])).unwrap_err(),
        "task `mine`, document 0: doc_to_target gave one, which is none of the 2 choices"
    );
}

#[test]
fn template_errors_name_task_key_document_and_template() {
    let (_folder, missing) = task(
        &format!("{CHOICE}doc_to_target: \"{{{{answer}}}}\"\n"),
        ROWS,
    );
    let error = missing
        .unwrap()
        .requests(&RequestOptions::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("task `mine`, document 0: doc_to_target: undefined value"),
        "{error}"
    );
    assert!(error.ends_with("in template \"{{answer}}\""), "{error}");
    let (_folder, syntax) = task(&format!("{CHOICE}doc_to_target: \"{{{{answer\"\n"), ROWS);
    let error = syntax.unwrap_err();
    assert!(
        error.starts_with("task `mine`: doc_to_target: syntax error"),
        "{error}"
    );
}

#[test]
fn a_forget_set_trains_on_what_it_scores() {
    let yaml = "training_split: train\noutput_type: loglikelihood\ndoc_to_text: \"Q: {{q}}\\nA:\"\n\
                doc_to_target: ' {{s}}'\ntarget_delimiter: ''\n";
    let (_folder, task) = task(yaml, ROWS);
    let task = task.unwrap();
    let pairs = task.training_pairs(Some(Limit::Share(0.5))).unwrap();
    assert_eq!(pairs.len(), 2);
    assert_eq!(
        (pairs[1].prompt.as_str(), pairs[1].answer.as_str()),
        ("Q: two\nA:", " c")
    );
    assert_eq!(
        strings(&task, &RequestOptions::default())[1],
        [("Q: two\nA:".to_owned(), " c".to_owned())]
    );

    let documents = task.requests(&RequestOptions::default()).unwrap();
    let responses = [(-1.0, true), (-2.0, false), (-3.0, false)]
        .map(|(logprob, is_greedy)| Response::Loglikelihood { logprob, is_greedy });
    let result = task.score(&documents, &responses).unwrap().result;
    assert_eq!(result.metrics[0].name, "perplexity");
    assert!((result.metrics[0].value - 2.0_f64.exp()).abs() < 1e-12);
    assert!(result.metrics[0].stderr.is_some() && !result.metrics[0].higher_is_better);
    assert!((result.metrics[1].value - 1.0 / 3.0).abs() < 1e-15);
}

#[test]
fn training_on_choices_takes_the_right_ones_text() {
    let (_folder, task) = task(&format!("{CHOICE}doc_to_target: l\n"), ROWS);
    assert_eq!(task.unwrap().training_pairs(None).unwrap()[0].answer, " bb");
}

#[test]
fn limits_are_counts_or_shares() {
    assert_eq!(Limit::from_number(0.1).unwrap().documents(11), 2);
    assert_eq!(Limit::from_number(1.0).unwrap().documents(11), 1);
    assert_eq!(Limit::from_number(60.0).unwrap().documents(11), 11);
    assert_eq!(
        [0.0, -1.0, f64::NAN].map(Limit::from_number),
        [None, None, None]
    );
}
