//! The decoder against models and numbers that transformers made: `HARNESS_MODELS`, by default `../shared/models`.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::float_cmp,
    reason = "tests may panic and print"
)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor, Var};
use harness_model::ops::portably;
use harness_model::train::GradientSet;
use harness_model::{
    Decoder, KeyValueCache, Model, ModelError, PackedBatch, read_spec, write_model_files,
};
use serde_json::Value;

/// Deviation allowed relative to the largest magnitude of the tensor compared.
const TOLERANCE: f64 = 1e-4;

struct Golden {
    directory: PathBuf,
    model: Model,
    tensors: HashMap<String, Tensor>,
    facts: Value,
}

/// Every model directory of a family that the decoder supports.
fn goldens() -> Vec<Golden> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models");
    let root = std::env::var_os("HARNESS_MODELS").map_or(default, PathBuf::from);
    if !root.is_dir() {
        eprintln!(
            "SKIPPED: no reference models at {} (set HARNESS_MODELS)",
            root.display()
        );
        return Vec::new();
    }
    let mut directories: Vec<PathBuf> = std::fs::read_dir(&root)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    directories.sort();
    let mut goldens = Vec::new();
    for directory in directories
        .into_iter()
        .filter(|d| d.join("golden.safetensors").is_file())
    {
        match read_spec(&directory) {
            Err(ModelError::Unsupported { setting, .. }) if setting.contains("mamba") => {}
            Err(error) => panic!("{error}"),
            Ok(_) => goldens.push(Golden {
                model: Model::open(&directory, &Device::Cpu).unwrap(),
                tensors: candle_core::safetensors::load(
                    directory.join("golden.safetensors"),
                    &Device::Cpu,
                )
                .unwrap(),
                facts: serde_json::from_slice(
                    &std::fs::read(directory.join("golden.json")).unwrap(),
                )
                .unwrap(),
                directory,
            }),
        }
    }
    assert!(
        !goldens.is_empty(),
        "no supported model under {}",
        root.display()
    );
    goldens
}

impl Golden {
    fn name(&self) -> String {
        self.directory
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned()
    }

    /// transformers' name of a weight: the oldest GPT-2 files leave its first part out, and GPT-NeoX files have an own name
    /// for the head.
    fn recorded_name(&self, name: &str) -> String {
        match name {
            "embed_out.weight" => "lm_head.weight".to_owned(),
            _ if self.facts["grad_norm"].get(name).is_some() => name.to_owned(),
            _ => format!("transformer.{name}"),
        }
    }

    /// A key bias moves all scores of a query alike, which softmax does not see unless keys are rotated or normalised.
    fn gradient_is_noise(&self, name: &str) -> bool {
        self.model.spec.family == "opt" && name.ends_with("k_proj.bias")
    }

    /// The unpadded rows of `input_ids`.
    fn sequences(&self) -> Vec<Vec<u32>> {
        let ids: Vec<Vec<i64>> = self.tensors["input_ids"].to_vec2().unwrap();
        let mask: Vec<Vec<i64>> = self.tensors["attention_mask"].to_vec2().unwrap();
        let real = |(ids, mask): (&Vec<i64>, &Vec<i64>)| {
            ids.iter()
                .zip(mask)
                .filter(|&(_, &m)| m == 1)
                .map(|(&id, _)| u32::try_from(id).unwrap())
                .collect()
        };
        ids.iter().zip(&mask).map(real).collect()
    }

    /// Rows of a [2, T, …] tensor where the mask is 1, end to end.
    fn unpadded(&self, name: &str) -> Tensor {
        let rows = self.sequences().into_iter().enumerate();
        let parts: Vec<Tensor> = rows
            .map(|(i, s)| {
                self.tensors[name]
                    .get(i)
                    .unwrap()
                    .narrow(0, 0, s.len())
                    .unwrap()
            })
            .collect();
        Tensor::cat(&parts, 0).unwrap()
    }

    fn packed(&self) -> PackedBatch {
        let mut batch = PackedBatch::new();
        for sequence in self.sequences() {
            batch.push(&sequence);
        }
        batch
    }

    /// (row, next token) for every prediction inside the sequences.
    fn targets(&self) -> Vec<(usize, u32)> {
        let mut start = 0;
        let mut targets = Vec::new();
        for sequence in self.sequences() {
            targets.extend(
                sequence[1..]
                    .iter()
                    .enumerate()
                    .map(|(i, &token)| (start + i, token)),
            );
            start += sequence.len();
        }
        targets
    }
}

/// Largest difference relative to the largest magnitude of `want`.
fn deviation(got: &Tensor, want: &Tensor) -> f64 {
    assert_eq!(got.dims(), want.dims());
    let max = |t: &Tensor| {
        f64::from(
            t.abs()
                .unwrap()
                .max_all()
                .unwrap()
                .to_scalar::<f32>()
                .unwrap(),
        )
    };
    let want = want.to_dtype(DType::F32).unwrap();
    max(&(got - &want).unwrap()) / max(&want).max(1e-12)
}

#[test]
fn logits_and_hidden_states() {
    for golden in goldens() {
        let decoder = golden.model.decoder().unwrap();
        let states = decoder.hidden_states(&golden.packed()).unwrap();
        let mut worst = 0f64;
        for (i, state) in states.iter().enumerate() {
            worst = worst.max(deviation(
                state,
                &golden.unpadded(&format!("hidden_states.{i}")),
            ));
        }
        let logits = decoder.logits(states.last().unwrap()).unwrap();
        let logits = deviation(&logits, &golden.unpadded("logits"));
        println!(
            "{}: hidden states {worst:.1e}, logits {logits:.1e}",
            golden.name()
        );
        assert!(worst < TOLERANCE && logits < TOLERANCE, "{}", golden.name());
    }
}

#[test]
fn log_probabilities() {
    for golden in goldens() {
        let (decoder, targets) = (golden.model.decoder().unwrap(), golden.targets());
        let hidden = decoder.hidden(&golden.packed()).unwrap();
        let scores = decoder.token_scores(&hidden, &targets, false).unwrap();
        let want: Vec<Vec<f32>> = golden.tensors["logprobs"].to_vec2().unwrap();
        let lengths = golden.sequences().into_iter().map(|s| s.len() - 1);
        let want = want
            .iter()
            .zip(lengths)
            .flat_map(|(row, length)| row[..length].to_vec());
        let mut worst = 0f32;
        for (score, want) in scores.iter().zip(want) {
            worst = worst.max((score.logprob - want).abs() / want.abs().max(1.0));
        }
        println!("{}: log-probabilities {worst:.1e}", golden.name());
        assert!(worst < 1e-4, "{}: {worst:e}", golden.name());
    }
}

#[test]
fn gradients() {
    for golden in goldens() {
        let (weights, variables) = golden.model.weights.trainable().unwrap();
        let decoder = Decoder::new(golden.model.spec.clone(), &weights).unwrap();
        let worst = worst_gradient(&golden, &decoder, &variables);
        let checkpointed = decoder.with_activation_checkpoints().unwrap();
        let again = worst_gradient(&golden, &checkpointed, &variables);
        let (name, count) = (golden.name(), variables.len());
        println!("{name}: gradients of {count} weights {worst:.1e}, checkpointed {again:.1e}");
        assert!(worst.max(again) < TOLERANCE, "{name}: {worst:e} {again:e}");
    }
}

/// Of the recorded loss: the largest deviation of all norms and of the three gradients that are recorded in full.
fn worst_gradient(golden: &Golden, decoder: &Decoder, variables: &BTreeMap<String, Var>) -> f64 {
    let hidden = decoder.hidden(&golden.packed()).unwrap();
    let logprobs = decoder.token_logprobs(&hidden, &golden.targets()).unwrap();
    let loss = logprobs.mean_all().unwrap().neg().unwrap();
    let want: Vec<f32> = golden.tensors["loss"]
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    assert!((loss.to_scalar::<f32>().unwrap() - want[0]).abs() < 1e-4 * want[0]);
    let mut gradients = GradientSet::new(variables);
    gradients.add_backward(&loss).unwrap();
    let (mut worst, mut compared) = (0f64, 0);
    for (name, variable) in variables {
        let gradient = gradients
            .get(name)
            .unwrap_or_else(|| panic!("{name} has no gradient"));
        let gradient = gradient.values().unwrap();
        let gradient = Tensor::from_slice(&gradient, variable.shape(), &Device::Cpu).unwrap();
        let squares = gradient.sqr().unwrap().sum_all().unwrap();
        let norm = f64::from(squares.to_scalar::<f32>().unwrap()).sqrt();
        let recorded = golden.recorded_name(name);
        let want = golden.facts["grad_norm"][&recorded]
            .as_f64()
            .unwrap_or_else(|| panic!("no norm of {recorded}"));
        if golden.gradient_is_noise(name) {
            assert!(norm < 1e-5 && want < 1e-5, "{name}: {norm:e} {want:e}");
            continue;
        }
        worst = worst.max((norm - want).abs() / want);
        if let Some(full) = golden.tensors.get(&format!("grad.{recorded}")) {
            worst = worst.max(deviation(&gradient, full));
            compared += 1;
        }
    }
    assert_eq!(compared, 3, "{}: full gradients", golden.name());
    worst
}

#[test]
fn greedy_generation() {
    for golden in goldens() {
        let decoder = golden.model.decoder().unwrap();
        let tokens = |name: &str| -> Vec<u32> {
            let ids: Vec<i64> = golden.tensors[name]
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            ids.into_iter()
                .map(|id| u32::try_from(id).unwrap())
                .collect()
        };
        let mut sequence = tokens("gen_prompt");
        let mut cache = KeyValueCache::default();
        let (mut path, mut new) = (Vec::new(), sequence.clone());
        for want in tokens("gen_tokens") {
            let mut whole = PackedBatch::new();
            whole.push(&sequence);
            let mut step = PackedBatch::continuing(cache.rows());
            path.extend(step.push_after(&path, &new, path.len() + new.len()));
            let hidden = decoder.hidden(&whole).unwrap();
            let continued = decoder.extend(&mut cache, &step).unwrap();
            let [got, again] = [hidden, continued].map(|hidden| {
                let last = hidden.narrow(0, hidden.dim(0).unwrap() - 1, 1).unwrap();
                let best = decoder.logits(&last).unwrap().argmax(1).unwrap();
                best.to_vec1::<u32>().unwrap()[0]
            });
            let after = sequence.len();
            assert_eq!(got, want, "{} after {after} tokens", golden.name());
            assert_eq!(again, want, "{} with cache after {after}", golden.name());
            sequence.push(got);
            new = vec![got];
        }
    }
}

#[test]
fn operations_composed_for_other_devices() {
    portably(|| [logits_and_hidden_states as fn(), gradients].map(|test| test()));
    portably(|| [log_probabilities as fn(), greedy_generation].map(|test| test()));
}

#[test]
fn tokenizer_cases() {
    for golden in goldens() {
        let file = golden.directory.join("tokenizer_golden.json");
        let recorded: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let ids = |case: &Value, key: &str| -> Vec<u32> {
            serde_json::from_value(case[key].clone()).unwrap()
        };
        let tokenizer = &golden.model.tokenizer;
        let prefix = tokenizer
            .decode(&[tokenizer.prefix().unwrap()], false)
            .unwrap();
        for case in recorded["cases"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            let bare = ids(case, "ids_no_special");
            assert_eq!(
                tokenizer.encode_bare(text).unwrap(),
                bare,
                "{}: {text:?}",
                golden.name()
            );
            if !text.starts_with(&prefix) {
                assert_eq!(
                    tokenizer.encode(text).unwrap(),
                    ids(case, "ids"),
                    "{}: {text:?}",
                    golden.name()
                );
            }
            assert_eq!(
                tokenizer.decode(&bare, false).unwrap(),
                case["decode"].as_str().unwrap()
            );
        }
    }
}

/// Shared prefixes must not change any answer.
#[test]
fn prefix_sharing_changes_nothing() {
    for golden in goldens() {
        let decoder = golden.model.decoder().unwrap();
        let base = golden.sequences().remove(0);
        let mut sequences: Vec<Vec<u32>> = (1..6)
            .map(|i| {
                base[..i * 7]
                    .iter()
                    .copied()
                    .chain([i as u32, 5, 6])
                    .collect()
            })
            .collect();
        sequences.sort();
        let mut shared = PackedBatch::separating(decoder.spec().long_above());
        let rows: Vec<Vec<usize>> = sequences.iter().map(|s| shared.push_sharing(s)).collect();
        let shared = decoder.hidden(&shared).unwrap();
        for (sequence, rows) in sequences.iter().zip(rows) {
            let mut alone = PackedBatch::new();
            alone.push(sequence);
            let alone = decoder.hidden(&alone).unwrap();
            let rows: Vec<u32> = rows.into_iter().map(|row| row as u32).collect();
            let packed = shared
                .index_select(&Tensor::new(rows, &Device::Cpu).unwrap(), 0)
                .unwrap();
            assert!(deviation(&packed, &alone) < 1e-5, "{}", golden.name());
        }
    }
}

/// A model that was written here is read here again: same names, same layouts, same numbers.
#[test]
fn written_models_load_again() {
    for golden in goldens() {
        let folder = tempfile::tempdir().unwrap();
        let weights = &golden.model.weights;
        write_model_files(folder.path(), &golden.directory, weights).unwrap();
        let read = Model::open(folder.path(), &Device::Cpu).unwrap();
        assert_eq!(read.spec, golden.model.spec, "{}", golden.name());
        let written = folder.path().join("model.safetensors");
        let stored = candle_core::safetensors::load(written, &Device::Cpu).unwrap();
        assert_eq!(stored.len(), weights.iter().count());
        for (name, weight) in weights.iter() {
            assert_eq!(deviation(&read.weights.get(name).unwrap(), weight), 0.0);
            assert_eq!(stored[name].dims(), weight.dims(), "{name}");
        }
    }
}
