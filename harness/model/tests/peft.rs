//! Low-rank adapters on every reference model, and (where a Python with PEFT is named) PEFT's own answers.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests may panic and print"
)]

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use harness_model::{DecoderSpec, FrozenPrecision, Lora, ModelError, Weights, read_spec};

mod fixture;

use fixture::{deviation, learned, logits, lora_config, shared};

/// The reference models whose family the decoder supports.
fn models() -> Vec<(PathBuf, DecoderSpec)> {
    let root = shared("HARNESS_MODELS", "models");
    let Ok(entries) = std::fs::read_dir(&root) else {
        eprintln!(
            "SKIPPED: no reference models at {} (set HARNESS_MODELS)",
            root.display()
        );
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let read = |folder: PathBuf| match read_spec(&folder) {
        Ok(spec) => Some((folder, spec)),
        Err(ModelError::Unsupported { .. }) => {
            eprintln!("SKIPPED: {} is not supported", folder.display());
            None
        }
        Err(error) => panic!("{error}"),
    };
    let folders = folders.into_iter();
    let with_goldens = folders.filter(|folder| folder.join("golden.safetensors").is_file());
    with_goldens.filter_map(read).collect()
}

#[test]
fn every_family_can_be_compressed() {
    for (model, spec) in &models() {
        let weights = Weights::read(model, spec, &Device::Cpu).unwrap();
        let compressed = weights.compressed(spec, FrozenPrecision::BFloat16).unwrap();
        let worst = deviation(&logits(spec, &compressed), &logits(spec, &weights));
        // bf16 has 8 bits: 0.4 % a weight.
        assert!(worst < 2e-2, "{}: {worst}", model.display());
    }
}

/// Runs the script on all models, if a Python with PEFT is named.
fn peft(action: &str, out: &Path, models: &[(PathBuf, DecoderSpec)]) -> bool {
    let Some(python) = std::env::var_os("HARNESS_PYTHON") else {
        eprintln!(
            "SKIPPED: PEFT's logits (set HARNESS_PYTHON to a python with torch, transformers and peft)"
        );
        return false;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/peft_logits.py");
    let mut command = std::process::Command::new(python);
    command
        .arg(script)
        .arg(action)
        .arg(out)
        .args(models.iter().map(|(folder, _)| folder));
    let output = command.env("HF_HUB_OFFLINE", "1").output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

fn their_logits(folder: &Path) -> Tensor {
    let file = folder.join("logits.safetensors");
    candle_core::safetensors::load(file, &Device::Cpu).unwrap()["logits"].clone()
}

#[test]
fn an_adapter_of_peft_gives_the_logits_of_peft() {
    let (out, models) = (tempfile::tempdir().unwrap(), models());
    if !peft("make", out.path(), &models) {
        return;
    }
    for (model, spec) in &models {
        let name = model.file_name().unwrap().to_string_lossy();
        let folder = out.path().join(&*name);
        let weights = Weights::read(model, spec, &Device::Cpu).unwrap();
        let lora = Lora::read(&folder, spec, &Device::Cpu).unwrap();
        let want = their_logits(&folder);
        let adapted = deviation(&logits(spec, &weights.with_adapters(&lora).unwrap()), &want);
        let merged = deviation(&logits(spec, &lora.merge(&weights).unwrap()), &want);
        let base = deviation(&logits(spec, &weights), &want);
        eprintln!("{name}: adapted {adapted:.1e}, merged {merged:.1e}, without adapter {base:.1e}");
        assert!(adapted < 1e-4 && merged < 1e-4, "{name}");
        assert!(base > 1e-2, "{name}: the adapter must matter");
    }
}

#[test]
fn an_adapter_made_here_gives_the_same_logits_in_peft() {
    let (out, models) = (tempfile::tempdir().unwrap(), models());
    let mut ours = Vec::new();
    for (model, spec) in &models {
        let folder = out.path().join(model.file_name().unwrap());
        std::fs::create_dir(&folder).unwrap();
        let weights = Weights::read(model, spec, &Device::Cpu).unwrap();
        let (lora, _) = learned(spec, lora_config(&["all-linear"]));
        lora.write(&folder).unwrap();
        let base = logits(spec, &weights);
        let adapted = logits(spec, &weights.with_adapters(&lora).unwrap());
        assert!(deviation(&adapted, &base) > 1e-2, "the adapter must matter");
        ours.push(adapted);
    }
    if !peft("read", out.path(), &models) {
        return;
    }
    for ((model, _), ours) in models.iter().zip(&ours) {
        let name = model.file_name().unwrap();
        let worst = deviation(ours, &their_logits(&out.path().join(name)));
        eprintln!("{}: {worst:.1e}", name.display());
        assert!(worst < 1e-4, "{}", name.display());
    }
}
