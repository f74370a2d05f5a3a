//! What the tests share: a temporary folder with a tiny model, a task and its rows, and a way to run the binary there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use candle_core::Device;
use harness_model::{Weights, read_spec};
use serde_json::{Value, json};

/// A temporary folder to work in.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

/// How a run of the binary ended.
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The lines that tell of an error.
    pub(crate) fn errors(&self) -> Vec<&str> {
        let lines = self.stderr.lines();
        lines.filter(|line| line.starts_with("harness: ")).collect()
    }
}

impl World {
    /// A folder with the model `model`, the tasks `facts`, `others` and `choices` in `tasks`, and nothing else.
    pub(crate) fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        write_model(&world.path("model"));
        let rows: Vec<Value> = (0..12).map(row).collect();
        let lines: String = rows.iter().map(|row| row.to_string() + "\n").collect();
        world.write("tasks/rows.jsonl", &lines);
        world.write("tasks/facts.yaml", FACTS);
        let others = lines.replace("thing", "star").replace("Thing", "Star");
        world.write("tasks/others.jsonl", &others);
        let others = FACTS
            .replace("facts", "others")
            .replace("rows.jsonl", "others.jsonl");
        world.write("tasks/others.yaml", &others);
        world.write("tasks/choices.yaml", CHOICES);
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs `harness` in the folder, finding methods where cargo built them.
    pub(crate) fn harness(&self, arguments: &[&str]) -> Outcome {
        self.harness_with(arguments, &[])
    }

    /// The same with variables in the environment.
    pub(crate) fn harness_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
        let mut command = self.command(env!("CARGO_BIN_EXE_harness"), arguments);
        Outcome::of(command.envs(environment.iter().copied()).output().unwrap())
    }

    /// A program in the folder, with the environment of [`Self::harness`].
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("HARNESS_METHODS", library_folder())
            .env(
                "HARNESS_TASKS",
                Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tasks"),
            )
            // No test asks the real hub.
            .env("HF_HUB_OFFLINE", "1");
        command
    }

    /// The same, for a run that must succeed.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.harness(arguments);
        assert_eq!(outcome.code, 0, "{arguments:?}: {}", outcome.stderr);
        outcome
    }

    /// The same, for a run that must fail with `code` and one line that holds all of `parts`.
    pub(crate) fn fails(&self, code: i32, arguments: &[&str], parts: &[&str]) {
        let outcome = self.harness(arguments);
        let said = outcome.errors();
        assert_eq!(outcome.code, code, "{arguments:?}: {}", outcome.stderr);
        assert_eq!(
            said.len(),
            1,
            "{arguments:?}: one line of error, got {}",
            outcome.stderr
        );
        for part in parts {
            assert!(
                said[0].contains(part),
                "{arguments:?}: no {part:?} in {}",
                said[0]
            );
        }
    }

    /// Files below a folder whose names start and end so.
    pub(crate) fn find(&self, folder: &str, start: &str, end: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut waiting = vec![self.path(folder)];
        while let Some(folder) = waiting.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let name = entry.file_name().into_string().unwrap();
                if entry.path().is_dir() {
                    waiting.push(entry.path());
                } else if name.starts_with(start) && name.ends_with(end) {
                    found.push(entry.path());
                }
            }
        }
        found
    }
}

/// Where `cargo test` puts the methods' libraries: beside this test.
fn library_folder() -> PathBuf {
    std::env::current_exe()
        .unwrap()
        .parent()
        .unwrap()
        .to_owned()
}

/// A library that misbehaves; the plugin host's examples.
pub(crate) fn fixture(name: &str) -> String {
    use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
    let file = library_folder()
        .parent()
        .unwrap()
        .join("examples")
        .join(format!("{DLL_PREFIX}fixture_{name}{DLL_SUFFIX}"));
    assert!(
        file.is_file(),
        "{} is built by `cargo test --workspace`",
        file.display()
    );
    file.into_os_string().into_string().unwrap()
}

const FACTS: &str = "task: facts
dataset_path: json
dataset_kwargs: {data_files: {train: rows.jsonl}}
training_split: train
output_type: loglikelihood
doc_to_text: \"Q: {{question}}\\nA:\"
doc_to_target: \" {{answer}}\"
target_delimiter: \"\"
";

const CHOICES: &str = "task: choices
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: \"Q: {{question}}\\nA:\"
doc_to_choice: choices
doc_to_target: label
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
metadata: {version: 2.5}
";

fn row(i: usize) -> Value {
    let colours = ["red", "green", "blue", "golden yellow"];
    json!({
        "question": format!("What is the colour of thing {i}?"),
        "answer": format!("Thing {i} is {}.", colours[i * 7 % 4]),
        "choices": colours,
        "label": i * 7 % 4,
    })
}

/// A Llama of two narrow layers over bytes, with random weights.
pub(crate) fn write_model(directory: &Path) {
    write_model_of_seed(directory, 1);
}

/// The same with other random weights.
pub(crate) fn write_model_of_seed(directory: &Path, seed: u64) {
    std::fs::create_dir_all(directory).unwrap();
    let write = |name: &str, value: &Value| {
        std::fs::write(directory.join(name), value.to_string()).unwrap();
    };
    write(
        "config.json",
        &json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2, "num_hidden_layers": 2,
            "num_key_value_heads": 1, "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
            "tie_word_embeddings": true, "vocab_size": 257, "bos_token_id": 256, "eos_token_id": 256,
        }),
    );
    write("tokenizer.json", &byte_tokenizer());
    write(
        "tokenizer_config.json",
        &json!({ "bos_token": "<end>", "eos_token": "<end>" }),
    );
    let spec = read_spec(directory).unwrap();
    let weights = Weights::random(&spec, seed, &Device::Cpu).unwrap();
    weights.write(&directory.join("model.safetensors")).unwrap();
}

/// Byte-level BPE without merges: GPT-2's printable stand-ins for the 256 bytes, and one special token.
fn byte_tokenizer() -> Value {
    let printable = |byte: u32| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let mut next = 256;
    let mut vocabulary = serde_json::Map::new();
    for byte in 0..256 {
        let code = if printable(byte) { byte } else { next };
        next += u32::from(!printable(byte));
        vocabulary.insert(char::from_u32(code).unwrap().to_string(), byte.into());
    }
    let byte_level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true });
    json!({
        "version": "1.0",
        "added_tokens": [{
            "id": 256, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        }],
        "pre_tokenizer": byte_level,
        "decoder": byte_level,
        "model": { "type": "BPE", "vocab": vocabulary, "merges": [] },
    })
}
