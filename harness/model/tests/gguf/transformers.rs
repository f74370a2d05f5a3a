//! Every family's GGUF file, written by a Python script with llama.cpp's own tables of names, against transformers and
//! `SentencePiece`, where a Python with both is named.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use harness_model::Model;
use serde_json::Value;

use crate::{deviation, logits};

/// Reference models whose family llama.cpp has; OPT it has not.
const MODELS: [&str; 14] = [
    "falcon",
    "gemma2",
    "gemma3",
    "gpt2",
    "gpt_neox",
    "llama",
    "llama-rope3",
    "mistral",
    "olmo2",
    "phi",
    "phi3",
    "qwen2",
    "qwen3",
    "stablelm",
];
/// Those that transformers' own reader of GGUF files gets right. It does not read `gptneox`, `olmo2` and `phi2`, takes no
/// divisors of rotary frequencies, and overlooks widths and windows that the others have.
const READ_BY_TRANSFORMERS: [&str; 6] = ["falcon", "llama", "mistral", "phi3", "qwen2", "stablelm"];

fn shared() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models");
    std::env::var_os("HARNESS_MODELS").map_or(default, PathBuf::from)
}

/// Runs the script, if a Python and the models are there.
fn script(arguments: &[&Path]) -> bool {
    let Some(python) = std::env::var_os("HARNESS_PYTHON") else {
        eprintln!(
            "SKIPPED: GGUF files of every family (set HARNESS_PYTHON to a python with torch, transformers, gguf and sentencepiece)"
        );
        return false;
    };
    if !shared().is_dir() {
        eprintln!(
            "SKIPPED: no reference models at {} (set HARNESS_MODELS)",
            shared().display()
        );
        return false;
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/gguf_logits.py");
    let mut command = std::process::Command::new(python);
    let output = command
        .arg(file)
        .args(arguments)
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

/// The reference models as arguments of the script.
fn arguments<'a>(action: &'a str, out: &'a Path, directories: &'a [PathBuf]) -> Vec<&'a Path> {
    let models = directories.iter().map(PathBuf::as_path);
    [Path::new(action), out].into_iter().chain(models).collect()
}

/// The model of a folder that the script wrote; its logits must be transformers'.
fn checked(folder: &Path, in_transformers: bool) -> Model {
    let file = folder.join("logits.safetensors");
    let theirs = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    let rows = |tensor: &Tensor| tensor.to_vec2::<f32>().unwrap();
    let model = Model::open(&folder.join("model.gguf"), &Device::Cpu).unwrap();
    let tokens: Vec<u32> = (0..24).map(|i| (7 * i + 3) % 97).collect();
    let ours = logits(&model, &tokens);
    let worst = deviation(&ours, &rows(&theirs["logits"]));
    let name = folder.file_name().unwrap().display();
    let loader = theirs
        .get("loader")
        .map(|loader| deviation(&ours, &rows(loader)));
    eprintln!("{name}: {worst:.1e}; transformers' reader of GGUF files: {loader:?}");
    assert!(worst < 1e-4, "{name}");
    assert!(!in_transformers || loader.unwrap() < 1e-4, "{name}");
    model
}

#[test]
fn every_family_gives_the_logits_of_transformers() {
    let out = tempfile::tempdir().unwrap();
    let directories: Vec<PathBuf> = MODELS.iter().map(|name| shared().join(name)).collect();
    if script(&arguments("models", out.path(), &directories)) {
        for (name, directory) in MODELS.iter().zip(&directories) {
            let model = checked(&out.path().join(name), READ_BY_TRANSFORMERS.contains(name));
            require_the_same_tokens(&model, directory);
        }
    }
}

/// Other wirings, biases, divisors of rotary frequencies: what the reference models of a family lack.
#[test]
fn variants_give_the_logits_of_transformers() {
    let out = tempfile::tempdir().unwrap();
    let directories: Vec<PathBuf> = MODELS.iter().map(|name| shared().join(name)).collect();
    if script(&arguments("variants", out.path(), &directories)) {
        let folders = std::fs::read_dir(out.path()).unwrap();
        let mut folders: Vec<PathBuf> = folders.map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        assert!(!folders.is_empty());
        for folder in folders {
            checked(&folder, false);
        }
    }
}

/// The texts of the directory's golden file.
fn require_the_same_tokens(model: &Model, directory: &Path) {
    let golden = std::fs::read_to_string(directory.join("tokenizer_golden.json")).unwrap();
    let golden: Value = serde_json::from_str(&golden).unwrap();
    let ids = |case: &Value, key: &str| -> Vec<u32> {
        serde_json::from_value(case[key].clone()).unwrap()
    };
    for case in golden["cases"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let bare = ids(case, "ids_no_special");
        assert_eq!(
            model.tokenizer.encode_bare(text).unwrap(),
            bare,
            "{text:?} in {}",
            directory.display()
        );
        let decoded = model.tokenizer.decode(&bare, false).unwrap();
        assert_eq!(
            decoded,
            case["decode"].as_str().unwrap(),
            "{}",
            directory.display()
        );
    }
}

#[test]
fn vocabularies_with_scores_give_the_tokens_of_sentencepiece() {
    let out = tempfile::tempdir().unwrap();
    let (text, model) = (out.path().join("text"), shared().join("llama"));
    let read = |name: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
    };
    let mut lines = read("../../README.md") + &read("../../ARCHITECTURE.md");
    lines += "naïve café, 你好，世界 👍🏽\n  two  spaces and\ta tab \nababababab aaaaaaa\n<user>hello<user>    again\n";
    std::fs::write(&text, &lines).unwrap();
    if !script(&[Path::new("sentencepiece"), out.path(), &model, &text]) {
        return;
    }
    // With symbols of the user's, SentencePiece puts the space before the first word only, transformers after every symbol:
    // the spaced vocabulary has none.
    for folder in ["spaced", "bare"].map(|name| out.path().join(name)) {
        let tokenizer = Model::open(&folder.join("model.gguf"), &Device::Cpu)
            .unwrap()
            .tokenizer;
        let ids = std::fs::read_to_string(folder.join("ids.json")).unwrap();
        let theirs: Vec<Vec<u32>> = serde_json::from_str(&ids).unwrap();
        let pairs = lines
            .lines()
            .zip(&theirs)
            .filter(|(line, _)| !line.is_empty());
        let differing: Vec<&str> = pairs
            .clone()
            .filter(|(line, theirs)| tokenizer.encode(line).unwrap() != **theirs)
            .map(|(line, _)| line)
            .collect();
        eprintln!(
            "{}: {} of {} lines differ",
            folder.display(),
            differing.len(),
            pairs.count()
        );
        assert!(differing.is_empty(), "{differing:?}");
    }
}
