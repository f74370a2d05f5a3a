//! What config.json files are refused, and by what words; what both styles of them come to.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use candle_core::Device;
use harness_model::{
    DecoderSpec, Gating, QueryKeyValue, Result, RotaryScaling, Weights, Wiring, read_spec,
};
use serde_json::{Value, json};

fn read(config: &Value) -> Result<DecoderSpec> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    read_spec(folder.path())
}

/// A small config of a family with `extra` keys.
fn config(family: &str, extra: Value) -> Value {
    let mut config = json!({
        "model_type": family,
        "vocab_size": 20,
        "hidden_size": 16,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
    });
    if !["opt", "falcon"].contains(&family) {
        config["num_key_value_heads"] = json!(2);
        config["intermediate_size"] = json!(24);
    }
    let Value::Object(extra) = extra else {
        panic!()
    };
    config.as_object_mut().unwrap().extend(extra);
    config
}

/// What the error says about a config of a family with `extra` keys.
fn refusal(family: &str, extra: Value) -> String {
    let error = read(&config(family, extra)).unwrap_err().to_string();
    assert!(error.contains("config.json: "), "{error}");
    error
}

#[test]
fn families_that_are_not_computed_are_refused() {
    let error = refusal("mamba", json!({}));
    assert!(
        error.contains("model_type \"mamba\" is not supported (supported: falcon, "),
        "{error}"
    );
    let error = refusal("gemma3", json!({}));
    assert!(
        error.contains("model_type \"gemma3\" is not supported"),
        "{error}"
    );
}

#[test]
fn settings_that_are_not_computed_are_refused() {
    let cases = [
        ("falcon", "alibi", json!(true)),
        ("falcon", "num_key_value_heads", json!(2)),
        ("opt", "enable_bias", json!(false)),
        ("phi", "qk_layernorm", json!(true)),
        ("stablelm", "qk_layernorm", json!(true)),
        ("llama", "new_idea", json!(3)),
        ("llama", "hidden_act", json!("tanh")),
        ("llama", "quantization_config", json!({"bits": 4})),
        (
            "llama",
            "rope_scaling",
            json!({"type": "dynamic", "factor": 2.0}),
        ),
        ("gemma2", "sliding_window_pattern", json!(2)),
        ("gemma3_text", "attn_logit_softcapping", json!(50.0)),
        ("phi3", "lm_head_bias", json!(true)),
    ];
    for (family, key, value) in cases {
        let error = refusal(family, json!({key: value}));
        let words = format!("{key}: {value} is not supported");
        assert!(error.contains(&words), "{family}: {error}");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let cases = [
        (
            "llama",
            json!({"rope_scaling": {"type": "linear"}}),
            "factor is missing",
        ),
        (
            "llama",
            json!({"rope_parameters": {"mrope_section": [1]}}),
            "because of mrope_section",
        ),
        (
            "llama",
            json!({"num_key_value_heads": 3}),
            "must be a divisor of num_attention_heads; found 3",
        ),
        ("llama", json!({"head_dim": 5}), "head_dim must be even"),
        (
            "llama",
            json!({"rms_norm_eps": 0}),
            "rms_norm_eps must be a positive number; found 0",
        ),
        (
            "gemma2",
            json!({"layer_types": ["full_attention"]}),
            "must be a list with one entry a layer",
        ),
        (
            "mistral",
            json!({"num_key_value_heads": null}),
            "must be a positive integer; it is missing",
        ),
        (
            "phi3",
            json!({"rope_scaling": {"type": "longrope"}}),
            "original_max_position_embeddings is missing",
        ),
    ];
    for (family, extra, words) in cases {
        let error = refusal(family, extra);
        assert!(error.contains(words), "{family}: {error}");
    }
}

#[test]
fn both_styles_say_the_same() {
    let styles = [
        (
            json!({"rope_theta": 500.0, "rope_scaling": {"type": "linear", "factor": 2.0}, "torch_dtype": "float32"}),
            json!({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0}, "dtype": "float32"}),
            "llama",
        ),
        (
            json!({"rotary_pct": 0.5, "rotary_emb_base": 99}),
            json!({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5, "rope_theta": 99}}),
            "gpt_neox",
        ),
        (
            json!({"rope_theta": 7e5, "rope_local_base_freq": 50, "rope_scaling": {"rope_type": "linear", "factor": 8.0},
                   "sliding_window_pattern": 2, "sliding_window": 4}),
            json!({"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 7e5},
                                       "sliding_attention": {"rope_type": "default", "rope_theta": 50}},
                   "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
                   "sliding_window": 4}),
            "gemma3_text",
        ),
    ];
    for (old, new, family) in styles {
        let (old, new) = (config(family, old), config(family, new));
        assert_eq!(read(&old).unwrap(), read(&new).unwrap(), "{family}");
    }
}

#[test]
fn gemma3_alternates_windows_and_rotations() {
    let spec = read(&config(
        "gemma3_text",
        json!({"rope_scaling": {"rope_type": "linear", "factor": 8.0},
        "sliding_window_pattern": 3, "sliding_window": 5}),
    ))
    .unwrap();
    let windows: Vec<_> = spec.layers.iter().map(|layer| layer.window).collect();
    assert_eq!(windows, [Some(5), Some(5), None, Some(5)]);
    let rotary = |index: usize| spec.layers[index].rotary.clone().unwrap();
    assert_eq!(rotary(0).scaling, RotaryScaling::None);
    assert_eq!(rotary(2).scaling, RotaryScaling::Linear { factor: 8.0 });
    assert!((rotary(0).theta, rotary(2).theta) == (1e4, 1e6));
}

#[test]
fn falcon_comes_in_three_architectures() {
    let shape = |extra| {
        let spec = read(&config("falcon", extra)).unwrap();
        assert_eq!(spec.feed_forward.gating, Gating::None);
        (
            spec.wiring,
            spec.attention.kv_heads,
            spec.attention.projections,
        )
    };
    let seven = (Wiring::ParallelOneNorm, 1, QueryKeyValue::Fused);
    assert_eq!(shape(json!({})), seven);
    let forty = (Wiring::ParallelTwoNorms, 2, QueryKeyValue::FusedByHead);
    assert_eq!(
        shape(json!({"new_decoder_architecture": true, "num_kv_heads": 2})),
        forty
    );
    let first = (Wiring::PreNorm, 4, QueryKeyValue::FusedByHead);
    assert_eq!(
        shape(json!({"multi_query": false, "parallel_attn": false})),
        first
    );
}

#[test]
fn a_stored_weight_that_the_config_does_not_call_for_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let of = |extra| config("llama", extra).to_string();
    std::fs::write(
        folder.path().join("config.json"),
        of(json!({"attention_bias": true})),
    )
    .unwrap();
    let spec = read_spec(folder.path()).unwrap();
    let weights = Weights::random(&spec, 1, &Device::Cpu).unwrap();
    weights
        .write(&folder.path().join("model.safetensors"))
        .unwrap();
    assert_eq!(read_spec(folder.path()).unwrap(), spec);
    std::fs::write(folder.path().join("config.json"), of(json!({}))).unwrap();
    let error = read_spec(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("model.layers.0.self_attn.k_proj.bias is stored, but config.json"),
        "{error}"
    );
}
