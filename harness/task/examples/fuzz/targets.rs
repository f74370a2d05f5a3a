//! What is done with an input of each kind. Errors are welcome; only panics, hangs and overflowing stacks are failures.

use std::fs;
use std::path::Path;

use harness_data::DataSource;
use harness_metric::PythonRegex;
use harness_task::{
    ChatMessage, ChatTemplate, DocumentRequests, JinjaChatTemplate, Request, RequestOptions,
    Response, Role, SpecialTokens, Task, TaskLibrary, TaskSpec, yaml,
};
use serde_json::{Value, json};

/// A target takes an input and says whether it was accepted.
type Target = fn(&mut Bench, &str) -> bool;

/// All of them by the kind of their inputs.
pub(crate) const TARGETS: [(&str, Target); 6] = [
    ("yaml", is_yaml),
    ("task", is_task),
    ("template", is_template),
    ("pattern", is_pattern),
    ("split", is_split),
    ("chat", is_chat),
];

/// A folder with rows of awkward values.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    /// A task that names them.
    on_the_rows: TaskSpec,
}

const TEXT: &str =
    "The answer is (B). \u{a0}İstanbul _ ßtraße 1,234.50 $ aaab\nsecond line\u{2028}字 😀\u{301} x";

/// Under short names for our own seeds, under long ones for real tasks.
fn row(text: &str, choices: &Value, label: usize, answer: &str, number: f64) -> Value {
    json!({
        "q": text, "question": text, "sentence": text, "ctx": text, "page": text,
        "c": choices, "choices": choices, "endings": choices, "options": answer,
        "l": label, "label": label, "gold": label,
        "s": answer, "answer": answer, "option1": answer, "option2": "b",
        "d": {"k": choices}, "x": number,
    })
}

fn resolve(path: &Path, text: &str) -> Option<TaskSpec> {
    fs::write(path, text).unwrap();
    let specs = TaskLibrary::default().resolve(&[path.display().to_string()]);
    specs.ok()?.pop()
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rows = [
            row(TEXT, &json!(["a", "it's", "q\"x\\"]), 1, "a b a", 1e-5),
            row("", &json!(["", "b"]), 0, "7", -0.0),
            row(
                "[1, 2",
                &json!(["['a']", "{", "c", "d"]),
                3,
                "['a', 'b']",
                1e300,
            ),
        ];
        let rows: String = rows.iter().map(|row| row.to_string() + "\n").collect();
        let path = folder.path().join("rows.jsonl");
        fs::write(&path, rows).unwrap();
        let yaml = json!({"task": "t", "dataset_path": "json", "test_split": "test", "doc_to_text": "q",
            "doc_to_target": "l", "dataset_kwargs": {"data_files": {"test": path, "train": path}}});
        Self {
            on_the_rows: resolve(&folder.path().join("rows.yaml"), &yaml.to_string()).unwrap(),
            folder,
        }
    }

    fn spec(&self, text: &str) -> Option<TaskSpec> {
        resolve(&self.folder.path().join("task.yaml"), text)
    }

    /// Loads, asks and scores a task, on the rows here whatever data it names; whether all of that is possible.
    fn is_run(&self, mut spec: TaskSpec) -> bool {
        spec.dataset_path.clone_from(&self.on_the_rows.dataset_path);
        spec.dataset_options = self.on_the_rows.dataset_options.clone();
        spec.dataset_name = None;
        let Ok(task) = Task::load(spec, &DataSource::default()) else {
            return false;
        };
        let task = task.with_bootstrap_replicates(10);
        let _ = task.training_pairs(None);
        let Ok(requests) = task.requests(&RequestOptions::default()) else {
            return false;
        };
        task.score(&requests, &responses(&task, &requests)).is_ok()
    }

    fn run(&self, yaml: &Value) -> bool {
        self.spec(&yaml.to_string())
            .is_some_and(|spec| self.is_run(spec))
    }
}

fn responses(task: &Task, requests: &[DocumentRequests]) -> Vec<Response> {
    let all = requests.iter().flat_map(|document| &document.requests);
    let answer = |request: &Request| match request {
        Request::GenerateUntil { .. } => Response::GenerateUntil {
            text: TEXT.to_owned(),
        },
        Request::LoglikelihoodRolling { .. } => Response::LoglikelihoodRolling { logprob: -3.5 },
        Request::Answer { .. } => Response::made_up_answer(-3.5),
        other => Response::Loglikelihood {
            logprob: -(other.arguments()[1].to_string().len() as f64),
            is_greedy: false,
        },
    };
    all.flat_map(|request| std::iter::repeat_n(request, task.spec().repeats.min(100)))
        .map(answer)
        .collect()
}

fn is_yaml(_: &mut Bench, text: &str) -> bool {
    yaml::parse(text, "fuzz.yaml".as_ref()).is_ok()
}

fn is_task(bench: &mut Bench, text: &str) -> bool {
    let Some(mut spec) = bench.spec(text) else {
        // Names, groups and tags are looked at on another way.
        if let Ok(library) = TaskLibrary::open(&[bench.folder.path().to_owned()]) {
            let _ = library.resolve(&["*".to_owned()]);
        }
        return false;
    };
    // Splits have an input of their own.
    spec.test_split = Some("test".to_owned());
    spec.fewshot_split = spec.fewshot_split.map(|_| "train".to_owned());
    spec.fewshot_config.split.clone_from(&spec.fewshot_split);
    (spec.training_split, spec.validation_split) = (None, None);
    bench.is_run(spec)
}

fn is_template(bench: &mut Bench, text: &str) -> bool {
    let whole = json!({"task": "t", "dataset_path": "json", "test_split": "test", "doc_to_text": text,
        "doc_to_target": "l", "doc_to_choice": "c", "output_type": "multiple_choice", "num_fewshot": 1,
        "fewshot_split": "train", "description": text});
    let choices = json!({"task": "t", "dataset_path": "json", "test_split": "test", "doc_to_text": "q",
        "doc_to_target": 0, "doc_to_choice": text, "output_type": "multiple_choice"});
    let target = json!({"task": "t", "dataset_path": "json", "test_split": "test", "doc_to_text": "q",
        "doc_to_target": text, "output_type": "generate_until", "gen_prefix": text});
    // None of the three may keep the others from being tried.
    [whole, choices, target]
        .map(|yaml| bench.run(&yaml))
        .contains(&true)
}

fn is_pattern(bench: &mut Bench, text: &str) -> bool {
    let yaml = json!({"task": "t", "dataset_path": "json", "test_split": "test", "doc_to_text": "q",
        "doc_to_target": "s", "output_type": "generate_until", "filter_list": [{"name": "f", "filter": [
            {"function": "regex", "regex_pattern": text}, {"function": "take_first"}]}]});
    bench.run(&yaml);
    let Ok(pattern) = PythonRegex::new(text) else {
        return false;
    };
    // A replacement is a language of its own.
    let _ = pattern.sub(text, TEXT, 3);
    true
}

fn is_split(bench: &mut Bench, text: &str) -> bool {
    bench.run(
        &json!({"task": "t", "dataset_path": "json", "test_split": text, "doc_to_text": "q",
        "doc_to_target": "s", "output_type": "generate_until"}),
    )
}

fn is_chat(_: &mut Bench, text: &str) -> bool {
    let tokens: SpecialTokens = [("bos_token".to_owned(), json!("<s>"))]
        .into_iter()
        .collect();
    let Ok(template) = JinjaChatTemplate::compile(text, tokens) else {
        return false;
    };
    let message = |role, content: &str| ChatMessage {
        role,
        content: content.to_owned(),
    };
    let messages = [
        message(Role::System, "be brief"),
        message(Role::User, TEXT),
        message(Role::Assistant, "[1, 2"),
        message(Role::User, ""),
    ];
    template.render(&messages, true).is_ok()
}
