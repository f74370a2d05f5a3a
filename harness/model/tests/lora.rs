//! Low-rank adapters on a tiny model: what they compute and learn, their files, and frozen models in less memory.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests may panic and print"
)]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device, Tensor, Var};
use harness_model::ops::portably;
use harness_model::train::{
    AdamW, AdamWOptions, AnswerBatch, Gradient, GradientSet, Optimizer as _,
};
use harness_model::{Decoder, DecoderSpec, FrozenPrecision, Lora, LoraConfig, Weights};

mod fixture;

use fixture::{deviation, learned, logits, lora_config as config, pairs, tiny_llama};

fn loss(spec: &DecoderSpec, weights: &Weights) -> Tensor {
    let decoder = Decoder::new(spec.clone(), weights).unwrap();
    let logprobs = AnswerBatch::new(&pairs()).logprobs(&decoder).unwrap();
    logprobs.mean_all().unwrap().neg().unwrap()
}

fn value(loss: &Tensor) -> f32 {
    loss.to_scalar().unwrap()
}

#[test]
fn a_new_adapter_changes_nothing_and_taking_it_off_gives_the_model_back() {
    let (spec, weights) = tiny_llama();
    let before = logits(&spec, &weights);
    let fresh = Lora::new(&spec, config(&["all-linear"]), 1, &Device::Cpu).unwrap();
    assert_eq!(fresh.targets().count(), 14);
    let adapted = weights.with_adapters(&fresh).unwrap();
    assert!(deviation(&logits(&spec, &adapted), &before) == 0.0);
    let (lora, _) = learned(&spec, config(&["all-linear"]));
    let adapted = weights.with_adapters(&lora).unwrap();
    assert!(deviation(&logits(&spec, &adapted), &before) > 0.1);
    assert!(deviation(&logits(&spec, &adapted.without_adapters()), &before) == 0.0);
}

#[test]
fn a_merged_model_computes_what_the_adapted_one_does() {
    for rank_stabilized in [false, true] {
        let (spec, weights) = tiny_llama();
        let config = LoraConfig {
            rank_stabilized,
            ..config(&["all-linear"])
        };
        let (lora, _) = learned(&spec, config);
        let adapted = logits(&spec, &weights.with_adapters(&lora).unwrap());
        let merged = logits(&spec, &lora.merge(&weights).unwrap());
        assert!(deviation(&merged, &adapted) < 1e-5);
    }
}

/// The gradients of `loss` as tensors in the variables' shapes.
fn gradients(variables: &BTreeMap<String, Var>, loss: &Tensor) -> BTreeMap<String, Tensor> {
    let mut gradients = GradientSet::new(variables);
    gradients.add_backward(loss).unwrap();
    let tensor = |(name, gradient): (&str, Gradient)| {
        let values = gradient.values().unwrap();
        let tensor = Tensor::from_slice(&values, variables[name].shape(), &Device::Cpu);
        (name.to_owned(), tensor.unwrap())
    };
    gradients.iter().map(tensor).collect()
}

fn train_step(optimizer: &mut AdamW, loss: &Tensor) {
    let mut gradients = GradientSet::new(optimizer.variables());
    gradients.add_backward(loss).unwrap();
    optimizer.step(&gradients, 3e-2).unwrap();
}

/// With W' = W + s·B·A, dB = s·dW'·Aᵀ and dA = s·Bᵀ·dW'.
#[test]
fn adapters_get_the_gradients_that_the_merged_weights_imply() {
    let (spec, weights) = tiny_llama();
    let (lora, variables) = learned(&spec, config(&["all-linear"]));
    let adapted = loss(&spec, &weights.with_adapters(&lora).unwrap());
    let gradients = gradients(&variables, &adapted);
    let (merged, merged_variables) = lora.merge(&weights).unwrap().trainable().unwrap();
    let merged = loss(&spec, &merged).backward().unwrap();
    for projection in lora.targets() {
        let full = merged
            .get(&merged_variables[&format!("{projection}.weight")])
            .unwrap();
        let part = |end: &str| format!("{projection}.lora_{end}.weight");
        let (down, up) = (&variables[&part("A")], &variables[&part("B")]);
        let scaled = full.affine(5.0 / 3.0, 0.0).unwrap();
        let up_gradient = scaled.matmul(&down.t().unwrap()).unwrap();
        let down_gradient = up.t().unwrap().matmul(&scaled).unwrap();
        for (end, want) in [("A", down_gradient), ("B", up_gradient)] {
            let worst = deviation(&gradients[&part(end)], &want);
            assert!(worst < 1e-4, "{projection} {end}: {worst}");
        }
    }
}

#[test]
fn frozen_projections_get_no_gradient() {
    let (spec, weights) = tiny_llama();
    let (lora, variables) = learned(&spec, config(&["all-linear"]));
    let store = loss(&spec, &weights.with_adapters(&lora).unwrap())
        .backward()
        .unwrap();
    for projection in lora.targets() {
        let weight = weights.get(&format!("{projection}.weight")).unwrap();
        assert!(store.get(&weight).is_none(), "{projection}");
    }
    assert!(
        variables
            .values()
            .all(|variable| store.get(variable).is_some())
    );
}

#[test]
fn training_an_adapter_lowers_the_loss_and_leaves_the_model_alone() {
    let (spec, weights) = tiny_llama();
    let before = logits(&spec, &weights);
    let train = || {
        let config = LoraConfig {
            dropout: 0.1,
            ..config(&["q_proj", "v_proj", "down_proj"])
        };
        let lora = Lora::new(&spec, config, 1, &Device::Cpu).unwrap();
        let (lora, variables) = lora.trainable(2).unwrap();
        let adapted = weights.with_adapters(&lora).unwrap();
        let mut optimizer = AdamW::new(variables, AdamWOptions::default());
        for _ in 0..40 {
            train_step(&mut optimizer, &loss(&spec, &adapted));
        }
        let scored = weights.with_adapters(&lora.without_dropout()).unwrap();
        logits(&spec, &scored)
            .to_vec2::<f32>()
            .map(|logits| (logits, value(&loss(&spec, &scored))))
            .unwrap()
    };
    let (first, after) = train();
    assert!(after < 0.7 * value(&loss(&spec, &weights)), "{after}");
    assert!(deviation(&logits(&spec, &weights), &before) == 0.0);
    assert_eq!(
        train().0,
        first,
        "the same seeds must train the same adapter"
    );
}

#[test]
fn dropout_is_for_training_only() {
    let (spec, weights) = tiny_llama();
    let config = LoraConfig {
        dropout: 0.5,
        ..config(&["all-linear"])
    };
    let (lora, _) = learned(&spec, config);
    let training = weights.with_adapters(&lora).unwrap();
    let scoring = weights.with_adapters(&lora.without_dropout()).unwrap();
    let first = logits(&spec, &training);
    assert!(deviation(&logits(&spec, &training), &first) > 1e-2);
    let first = logits(&spec, &scoring);
    assert!(deviation(&logits(&spec, &scoring), &first) == 0.0);
}

#[test]
fn files_hold_the_adapter_bit_for_bit() {
    let (spec, weights) = tiny_llama();
    let config = LoraConfig {
        dropout: 0.25,
        rank_stabilized: true,
        base_model: Some("some/model".to_owned()),
        ..config(&["mlp.down_proj", "q_proj"])
    };
    let (lora, _) = learned(&spec, config);
    let directory = tempfile::tempdir().unwrap();
    lora.write(directory.path()).unwrap();
    let back = Lora::read(directory.path(), &spec, &Device::Cpu).unwrap();
    assert_eq!(back.config(), lora.config());
    assert!(back.targets().eq(lora.targets()));
    let want = logits(
        &spec,
        &weights.with_adapters(&lora.without_dropout()).unwrap(),
    );
    let got = logits(&spec, &weights.with_adapters(&back).unwrap());
    assert!(deviation(&got, &want) == 0.0);
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let (spec, weights) = tiny_llama();
    let refusal = |config| {
        Lora::new(&spec, config, 1, &Device::Cpu)
            .unwrap_err()
            .to_string()
    };
    assert!(refusal(config(&["q_porj"])).contains("did you mean `q_proj`?"));
    assert!(refusal(config(&["embed_tokens"])).contains("k_proj, o_proj, q_proj"));
    assert!(refusal(config(&[])).contains("all-linear"));
    assert!(
        refusal(LoraConfig {
            rank: 0,
            ..LoraConfig::default()
        })
        .contains("rank")
    );
    assert!(
        refusal(LoraConfig {
            dropout: 1.0,
            ..LoraConfig::default()
        })
        .contains("dropout")
    );
    let lora = Lora::new(&spec, LoraConfig::default(), 1, &Device::Cpu).unwrap();
    let adapted = weights.with_adapters(&lora).unwrap();
    let error = adapted
        .write(Path::new("unused.safetensors"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("merge"), "{error}");
}

#[test]
fn adapters_that_ask_for_more_than_lora_are_refused_by_name() {
    let (spec, _) = tiny_llama();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("adapter_config.json");
    Lora::new(&spec, LoraConfig::default(), 1, &Device::Cpu)
        .unwrap()
        .write(directory.path())
        .unwrap();
    let plain = std::fs::read_to_string(&file).unwrap();
    for (name, setting) in [
        ("use_dora", "true"),
        ("rank_pattern", r#"{"q_proj": 4}"#),
        ("modules_to_save", r#"["lm_head"]"#),
        ("a_setting_of_the_future", "1"),
    ] {
        let changed = plain.replacen('{', &format!("{{\"{name}\": {setting},"), 1);
        std::fs::write(&file, changed).unwrap();
        let error = Lora::read(directory.path(), &spec, &Device::Cpu)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(name) && error.contains("adapter_config.json"),
            "{error}"
        );
    }
    for (from, to, named) in [
        ("LORA", "IA3", "peft_type"),
        ("\"none\"", "\"all\"", "bias"),
        ("\"r\": 8", "\"r\": 7", "rank 7"),
    ] {
        std::fs::write(&file, plain.replacen(from, to, 1)).unwrap();
        let error = Lora::read(directory.path(), &spec, &Device::Cpu)
            .unwrap_err()
            .to_string();
        assert!(error.contains(named), "{error}");
    }
    std::fs::write(&file, plain).unwrap();
    let tensors = directory.path().join("adapter_model.safetensors");
    let bytes = std::fs::read(&tensors).unwrap();
    std::fs::write(&tensors, &bytes[..bytes.len() / 2]).unwrap();
    let error = Lora::read(directory.path(), &spec, &Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(error.contains("adapter_model.safetensors"), "{error}");
}

/// What is left of a matrix once it has been compressed.
fn rounded_matrix(matrix: &Tensor, precision: FrozenPrecision) -> Tensor {
    let through = |tensor: &Tensor, dtype| tensor.to_dtype(dtype)?.to_dtype(DType::F32);
    let eight_bits = || {
        let blocks = matrix.reshape(((), 32))?;
        let step = (blocks.abs()?.max_keepdim(1)? / 127.0)?;
        let counts = blocks.broadcast_div(&step)?.round()?;
        counts
            .broadcast_mul(&through(&step, DType::F16)?)?
            .reshape(matrix.dims())
    };
    match precision {
        FrozenPrecision::BFloat16 => through(matrix, DType::BF16).unwrap(),
        FrozenPrecision::Int8 => eight_bits().unwrap(),
    }
}

/// The weights with every layer's matrix rounded.
fn rounded(spec: &DecoderSpec, weights: &Weights, precision: FrozenPrecision) -> Weights {
    let directory = tempfile::tempdir().unwrap();
    let round = |(name, tensor): (&str, &Tensor)| {
        let in_layer = name.contains("layers") && tensor.rank() == 2;
        let rounded = in_layer.then(|| rounded_matrix(tensor, precision));
        (name.to_owned(), rounded.unwrap_or_else(|| tensor.clone()))
    };
    let tensors: HashMap<String, Tensor> = weights.iter().map(round).collect();
    let file = directory.path().join("model.safetensors");
    candle_core::safetensors::save(&tensors, file).unwrap();
    Weights::read(directory.path(), spec, &Device::Cpu).unwrap()
}

#[test]
fn a_compressed_model_computes_and_teaches_what_the_rounded_one_does() {
    let (spec, weights) = tiny_llama();
    let (lora, variables) = learned(&spec, config(&["all-linear"]));
    let run = |weights: &Weights| {
        let adapted = weights.with_adapters(&lora).unwrap();
        let gradients = gradients(&variables, &loss(&spec, &adapted));
        (logits(&spec, &adapted), gradients)
    };
    let (full, _) = run(&weights);
    for precision in [FrozenPrecision::BFloat16, FrozenPrecision::Int8] {
        let (got, got_gradients) = run(&weights.compressed(&spec, precision).unwrap());
        let (want, want_gradients) = run(&rounded(&spec, &weights, precision));
        let (worst, from_full) = (deviation(&got, &want), deviation(&got, &full));
        eprintln!(
            "{precision:?}: {worst:.1e} from the rounded model, {from_full:.1e} from the full one"
        );
        assert!(worst < 1e-5 && from_full > 1e-4);
        assert_eq!(got_gradients.len(), variables.len());
        for (name, gradient) in &got_gradients {
            let worst = deviation(gradient, &want_gradients[name]);
            assert!(worst < 1e-4, "{precision:?} {name}: {worst}");
        }
    }
}

#[test]
fn a_model_in_8_bits_teaches_an_adapter_and_is_itself_not_to_be_changed() {
    let (spec, weights) = tiny_llama();
    let compressed = weights.compressed(&spec, FrozenPrecision::Int8).unwrap();
    let lora = Lora::new(&spec, config(&["all-linear"]), 1, &Device::Cpu).unwrap();
    let (lora, variables) = lora.trainable(2).unwrap();
    let adapted = compressed.with_adapters(&lora).unwrap();
    let before = value(&loss(&spec, &adapted));
    let mut optimizer = AdamW::new(variables, AdamWOptions::default());
    for _ in 0..30 {
        train_step(&mut optimizer, &loss(&spec, &adapted));
    }
    let after = value(&loss(&spec, &adapted));
    assert!(after < 0.7 * before, "{before} became {after}");
    for refusal in [
        compressed.trainable().map(|_| ()).unwrap_err(),
        lora.merge(&compressed).map(|_| ()).unwrap_err(),
        compressed
            .write(Path::new("unused.safetensors"))
            .unwrap_err(),
    ] {
        assert!(refusal.to_string().contains("compressed"), "{refusal}");
    }
}

#[test]
fn all_of_this_holds_for_composed_operations() {
    portably(|| {
        a_merged_model_computes_what_the_adapted_one_does();
        adapters_get_the_gradients_that_the_merged_weights_imply();
        frozen_projections_get_no_gradient();
        training_an_adapter_lowers_the_loss_and_leaves_the_model_alone();
        a_compressed_model_computes_and_teaches_what_the_rounded_one_does();
    });
}
