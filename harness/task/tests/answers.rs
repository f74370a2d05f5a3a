//! Tasks of answers: what is asked for each metric, and scores worked by hand out of made-up tokens; and what such a task may not have.
#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "tests may panic")]

use harness_data::DataSource;
use harness_task::{AnswerTokens, Request, RequestOptions, Response, Task, TaskLibrary};

const ROW: &str =
    "{\"q\": \"Where?\", \"a\": \"in Lisbon\", \"p\": \"Lisbon\", \"w\": [\"Oslo\", \"Kyoto\"]}\n";

/// A task over one row, from the keys that differ.
fn task(keys: &str) -> Result<Task, String> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("rows.jsonl", ROW);
    let yaml = format!(
        "task: mine\ndataset_path: json\ndataset_kwargs: {{data_files: rows.jsonl}}\ntraining_split: train\n\
         output_type: answer\ndoc_to_text: \"{{{{q}}}}\"\ndoc_to_target: a\n{keys}"
    );
    write("mine.yaml", &yaml);
    let library = TaskLibrary::open(&[folder.path().to_owned()]).unwrap();
    library
        .resolve(&["mine".to_owned()])
        .and_then(|mut specs| Task::load(specs.remove(0), &DataSource::default()))
        .map_err(|error| error.to_string())
}

fn tokens(probabilities: &[f32], is_argmax: &[bool]) -> Response {
    Response::Answer(AnswerTokens {
        logprobs: probabilities.iter().map(|p| p.ln()).collect(),
        is_argmax: is_argmax.to_vec(),
        standardised: Some(vec![-1.0, 2.0, 3.0][..probabilities.len()].to_vec()),
        ends_text: true,
    })
}

fn text(text: &str) -> Response {
    let text = text.to_owned();
    Response::GenerateUntil { text }
}

/// Scores by name, and the aggregates.
fn scored(task: &Task, responses: &[Response]) -> Vec<(String, f64, f64)> {
    let documents = task.requests(&RequestOptions::default()).unwrap();
    let mut scores = task.score(&documents, responses).unwrap();
    let own = scores.samples.remove(0).metrics;
    let both = own.into_iter().zip(scores.result.metrics);
    both.map(|(own, all)| (own.name.clone(), own.number().unwrap(), all.value))
        .collect()
}

fn assert_scores(got: &[(String, f64, f64)], want: &[(&str, f64)]) {
    assert_eq!(got.len(), want.len(), "{got:?}");
    for ((name, value, _), (expected_name, expected)) in got.iter().zip(want) {
        assert_eq!(name, expected_name);
        assert!(
            (value - expected).abs() < 1e-6,
            "{name}: {value} for {expected}"
        );
    }
}

#[test]
fn only_what_metrics_need_is_asked() {
    let requests = |keys: &str| {
        let mut documents = task(keys)
            .unwrap()
            .requests(&RequestOptions::default())
            .unwrap();
        documents.remove(0).requests
    };
    let answer = |answer: &str, standardise| Request::Answer {
        prompt: "Where?".to_owned(),
        answer: answer.to_owned(),
        standardise,
    };
    assert_eq!(requests(""), [answer(" in Lisbon", false)]);
    assert_eq!(
        requests("metric_list: [{metric: min_k_plus_plus}]\ntarget_delimiter: '\\n'\n"),
        [answer("\\nin Lisbon", true)]
    );
    let all = requests(
        "doc_to_paraphrase: p\ndoc_to_wrong: w\nmetric_list: [{metric: truth_ratio}, {metric: rougeL_recall}]\n",
    );
    let rivals = [" Lisbon", " Oslo", " Kyoto"].map(|text| answer(text, false));
    assert_eq!(all[..3], rivals);
    let Request::GenerateUntil {
        context,
        generation,
    } = &all[3]
    else {
        panic!("{all:?}")
    };
    assert_eq!((context.as_str(), generation.max_tokens), ("Where?", 200));
    assert!(generation.until.is_empty() && !generation.do_sample);
}

#[test]
fn tokens_become_scores() {
    let task = task(
        "metric_list:\n- metric: probability\n- metric: loss\n- {metric: extraction_strength}\n- metric: exact_memorization\n\
         - {metric: min_k, k: 0.5}\n- {metric: min_k_plus_plus, k: 1.0, end_of_text: true}\n",
    );
    let answer = tokens(&[0.5, 0.25, 0.125], &[false, true, false]);
    let scores = scored(&task.unwrap(), &[answer]);
    assert_scores(
        &scores,
        &[
            ("probability", 0.25),
            ("loss", 4.0_f64.ln()),
            // Without the token that ends the text: the last one is right, the first is not.
            ("extraction_strength", 0.5),
            ("exact_memorization", 0.5),
            ("min_k", 4.0_f64.ln()),
            ("min_k_plus_plus", -4.0 / 3.0),
        ],
    );
}

#[test]
fn the_end_of_the_text_counts_where_it_is_told_to() {
    let keys = |end: bool| {
        format!(
            "metric_list:\n- {{metric: probability, end_of_text: {end}}}\n- {{metric: extraction_strength, end_of_text: {end}}}\n"
        )
    };
    let answer = [tokens(&[0.5, 0.5, 0.125], &[true, true, false])];
    let scores = scored(&task(&keys(true)).unwrap(), &answer);
    assert_scores(
        &scores,
        &[
            ("probability", 0.03125_f64.powf(1.0 / 3.0)),
            ("extraction_strength", 0.0),
        ],
    );
    let scores = scored(&task(&keys(false)).unwrap(), &answer);
    assert_scores(
        &scores,
        &[("probability", 0.5), ("extraction_strength", 1.0)],
    );
}

#[test]
fn rivals_and_texts_become_scores() {
    let keys = |paraphrase: &str| {
        format!(
            "{paraphrase}doc_to_wrong: w\nmetric_list:\n- {{metric: truth_ratio, aggregation: true_better}}\n\
             - metric: probability_w_options\n- metric: rougeL_recall\n- metric: refusal_rate\n- {{metric: distinct_n, n: 1}}\n"
        )
    };
    let of = |p: f32| tokens(&[p, p], &[true, true]);
    let told = text("In Lisbon, in Lisbon");
    let responses = [of(0.5), of(0.8), of(0.2), of(0.2), told.clone()];
    let scores = scored(&task(&keys("doc_to_paraphrase: p\n")).unwrap(), &responses);
    assert_scores(
        &scores,
        &[
            ("truth_ratio", 0.25),
            ("probability_w_options", 0.5 / 0.9),
            ("rougeL_recall", 1.0),
            ("refusal_rate", 0.0),
            // in, lisbon with its comma, lisbon
            ("distinct_n", 0.75),
        ],
    );
    assert!(
        (scores[0].2 - 0.75).abs() < 1e-6,
        "the aggregate is of what is below 1"
    );
    // Without a paraphrase the target stands for it.
    let scores = scored(
        &task(&keys("")).unwrap(),
        &[of(0.5), of(0.2), of(0.2), told],
    );
    assert!((scores[0].1 - 0.4).abs() < 1e-6, "{scores:?}");
}

#[test]
fn what_does_not_belong_is_refused() {
    let refused = |keys: &str, words: &str| {
        let error = task(keys).unwrap_err();
        assert!(error.contains(words), "{error}");
    };
    refused("metric_list: [{metric: truth_ratio}]\n", "doc_to_wrong");
    refused(
        "metric_list: [{metric: acc}]\n",
        "does not fit the output_type, which has probability",
    );
    refused(
        "metric_list: [{metric: min_k, share: 0.2}]\n",
        "no option `share`",
    );
    refused(
        "metric_list: [{metric: min_k, k: 2}]\n",
        "`k` takes a share up to 1",
    );
    refused(
        "metric_list: [{metric: loss, end_of_txt: true}]\n",
        "end_of_text",
    );
    refused(
        "filter_list: [{name: f, filter: [{function: take_first}]}]\n",
        "filter_list",
    );
}
