//! One run that lm-eval recorded, and the same run by the binary. It chooses the data and the options, and judges nothing.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value};

/// What lm-eval wrote of one run.
pub(crate) struct Recording {
    /// Such as `arc_challenge.5shot.chat`.
    pub(crate) name: String,
    pub(crate) task: String,
    /// A document a line.
    pub(crate) samples: Vec<Value>,
    /// The whole results file.
    pub(crate) results: Value,
}

/// What the binary wrote.
pub(crate) struct Written {
    /// A document a line, for each filter pipeline in turn.
    pub(crate) samples: Vec<Value>,
    pub(crate) results: Value,
}

fn folder(variable: &str, default: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::var_os(variable).map_or_else(|| root.join(default), PathBuf::from)
}

/// The model directory, if there is one to compare with.
pub(crate) fn model() -> Option<PathBuf> {
    let model = folder("HARNESS_SMOLLM2", "../M");
    let needed = [&model, &golden(), &folder("HARNESS_DATA", "../shared/data")];
    if let Some(missing) = needed.into_iter().find(|folder| !folder.is_dir()) {
        eprintln!(
            "SKIPPED: no {} (set HARNESS_SMOLLM2, HARNESS_GOLDEN, HARNESS_DATA)",
            missing.display()
        );
        return None;
    }
    Some(model.canonicalize().unwrap())
}

fn golden() -> PathBuf {
    folder("HARNESS_GOLDEN", "../shared/golden").join("lm-eval")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = read(path);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The one file of a folder whose name begins so.
fn only(folder: &Path, beginning: &str) -> PathBuf {
    let paths = std::fs::read_dir(folder).unwrap();
    let mut paths = paths.map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(beginning)
    });
    let path = paths.next().unwrap();
    assert!(paths.next().is_none(), "one run, one file");
    path
}

impl Recording {
    /// All that there are, by name.
    pub(crate) fn all() -> Vec<Self> {
        let mut names: Vec<String> = std::fs::read_dir(golden())
            .unwrap()
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.strip_suffix(".samples.jsonl").map(str::to_owned)
            })
            .collect();
        names.sort();
        names.into_iter().map(Self::read).collect()
    }

    fn read(name: String) -> Self {
        let file = |kind: &str| golden().join(format!("{name}.{kind}"));
        Self {
            samples: lines(&file("samples.jsonl")),
            results: serde_json::from_str(&read(&file("results.json"))).unwrap(),
            task: name.split('.').next().unwrap().to_owned(),
            name,
        }
    }

    fn config(&self) -> &Value {
        &self.results["configs"][&self.task]
    }

    /// The run that this is a recording of, on our own task of the name.
    pub(crate) fn run(&self, model: &Path) -> Written {
        let place = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        command
            .arg("eval")
            .arg("--model")
            .arg(model)
            .args(["--tasks", &self.task_or_file(place.path())])
            .args(["--num_fewshot", &self.config()["num_fewshot"].to_string()])
            .args(["--limit", &self.samples.len().to_string()])
            .arg("--data-dir")
            .arg(self.data())
            .arg("--output_path")
            .arg(place.path().join("out"))
            .arg("--log_samples")
            .env("HF_HUB_OFFLINE", "1");
        if self.name.split('.').any(|part| part == "chat") {
            command.args(["--apply_chat_template", "--fewshot_as_multiturn"]);
        }
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {stderr}", self.name);
        let run = only(&place.path().join("out"), "");
        let results = only(&run, "results_");
        Written {
            samples: lines(&only(&run, "samples_")),
            results: serde_json::from_str(&read(&results)).unwrap(),
        }
    }

    /// The data that it was recorded on: tasks without a test split have half of their validation rows for few-shot.
    fn data(&self) -> PathBuf {
        let data = folder("HARNESS_DATA", "../shared/data");
        let config = self.config();
        if config["test_split"].is_null() && !config["training_split"].is_null() {
            return data.with_file_name("data-fewshot");
        }
        data
    }

    /// Our own task of the name; where we have none, the recorded configuration as a file.
    fn task_or_file(&self, place: &Path) -> String {
        if self.task != "gsm8k_cot_llama" {
            return self.task.clone();
        }
        let mut config: Map<String, Value> = self.config().as_object().unwrap().clone();
        // It is recorded with all that it inherits.
        if let Some(Value::Object(fewshot)) = config.get_mut("fewshot_config") {
            fewshot.retain(|key, value| key == "sampler" || (key == "samples" && !value.is_null()));
        }
        let path = place.join("task.yaml");
        std::fs::write(&path, Value::from(config).to_string()).unwrap();
        path.display().to_string()
    }
}
