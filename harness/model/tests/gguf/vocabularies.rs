//! Vocabularies: with scores, of other kinds, and in a tokenizer.json beside the file.

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use harness_model::{Model, write_model_files};
use serde_json::json;

use crate::sketch::{Sketch, sketch, texts, write_directory};

/// A vocabulary with scores in place of the sketch's: controls, bytes for what has no piece, and pieces.
fn with_scores(sketch: Sketch, spaced: bool) -> Sketch {
    let mut tokens = vec![
        ("<unk>".to_owned(), 0.0, 2),
        ("<s>".to_owned(), 0.0, 3),
        ("</s>".to_owned(), 0.0, 3),
        ("<user>".to_owned(), 0.0, 4),
    ];
    tokens.extend((0..=255).map(|byte| (format!("<0x{byte:02X}>"), 0.0, 6)));
    // Between "ab" and "ba" the score decides, not the order in the text.
    let pieces = [
        ("\u{2581}b", -1.0),
        ("ba", -2.0),
        ("ab", -3.0),
        ("a", -9.0),
        ("b", -9.0),
        ("\u{2581}", -9.0),
    ];
    tokens.extend(pieces.map(|(piece, score)| (piece.to_owned(), score, 1)));
    // As many as the embedding has rows.
    while tokens.len() < 262 + 4 {
        tokens.push((format!("[PAD{}]", tokens.len()), -1000.0, 5));
    }
    let words: Vec<&str> = tokens.iter().map(|(word, ..)| word.as_str()).collect();
    let scores = tokens
        .iter()
        .map(|(_, score, _)| Value::F32(*score))
        .collect();
    let kinds = tokens.iter().map(|(.., kind)| Value::I32(*kind)).collect();
    sketch
        .without("tokenizer.ggml.merges")
        .without("tokenizer.ggml.pre")
        .without("tokenizer.ggml.eot_token_id")
        .set("tokenizer.ggml.model", Value::String("llama".into()))
        .set("tokenizer.ggml.tokens", texts(&words))
        .set("tokenizer.ggml.scores", Value::Array(scores))
        .set("tokenizer.ggml.token_type", Value::Array(kinds))
        .set("tokenizer.ggml.bos_token_id", Value::U32(1))
        .set("tokenizer.ggml.eos_token_id", Value::U32(2))
        .set("tokenizer.ggml.unknown_token_id", Value::U32(0))
        .set("tokenizer.ggml.add_space_prefix", Value::Bool(spaced))
}

#[test]
fn scores_decide_what_is_merged() {
    let folder = tempfile::tempdir().unwrap();
    let weights = write_directory(folder.path(), true);
    let gguf = folder.path().join("model.gguf");
    let encode = |spaced: bool, text: &str| {
        with_scores(sketch(&weights, GgmlDType::F32), spaced).write(&gguf);
        let tokenizer = Model::describe(&gguf).unwrap().tokenizer;
        let ids = tokenizer.encode(text).unwrap();
        let shown: Vec<String> = ids.iter().map(|&id| tokenizer.token(id).unwrap()).collect();
        (shown.join("|"), tokenizer.decode(&ids, true).unwrap())
    };
    let pair = |shown: &str, text: &str| (shown.to_owned(), text.to_owned());
    assert_eq!(encode(true, "aba"), pair("<s>|\u{2581}|a|ba", "aba"));
    assert_eq!(encode(false, "aba"), pair("<s>|a|ba", "aba"));
    assert_eq!(
        encode(true, "ba b"),
        pair("<s>|\u{2581}b|a|\u{2581}b", "ba b")
    );
    assert_eq!(encode(false, "aé"), pair("<s>|a|<0xC3>|<0xA9>", "aé"));
    assert_eq!(
        encode(false, "a<user>b"),
        pair("<s>|a|<user>|b", "a<user>b")
    );
}

#[test]
fn vocabularies_that_cannot_be_translated_name_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let weights = write_directory(folder.path(), true);
    let scored = || with_scores(sketch(&weights, GgmlDType::F32), true);
    let refusals = [
        sketch(&weights, GgmlDType::F32).set("tokenizer.ggml.model", Value::String("t5".into())),
        sketch(&weights, GgmlDType::F32).set("tokenizer.ggml.pre", Value::String("tekken".into())),
        scored().set(
            "tokenizer.ggml.precompiled_charsmap",
            Value::Array(Vec::new()),
        ),
    ];
    for refused in refusals {
        let refusal = refused.refusal();
        assert!(
            refusal.contains("tokenizer.json beside the file"),
            "{refusal}"
        );
    }
    let refusal = scored()
        .set("tokenizer.ggml.scores", Value::Array(vec![Value::F32(0.0)]))
        .refusal();
    assert!(
        refusal.contains("tokenizer.ggml.scores must be"),
        "{refusal}"
    );
    let refusal = scored().without("tokenizer.ggml.bos_token_id").refusal();
    assert!(refusal.contains("no bos token"), "{refusal}");
}

#[test]
fn a_tokenizer_json_beside_the_file_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let weights = write_directory(folder.path(), true);
    let gguf = folder.path().join("model.gguf");
    let unknown =
        sketch(&weights, GgmlDType::F32).set("tokenizer.ggml.model", Value::String("t5".into()));
    unknown.write(&gguf);
    let write = |name: &str, json: serde_json::Value| {
        std::fs::write(folder.path().join(name), json.to_string()).unwrap();
    };
    let words = |count: usize| {
        let vocabulary: serde_json::Map<String, serde_json::Value> =
            (0..count).map(|i| (format!("w{i}"), i.into())).collect();
        json!({
            "version": "1.0", "added_tokens": [], "pre_tokenizer": { "type": "WhitespaceSplit" },
            "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "w0" },
        })
    };
    write("tokenizer.json", words(100));
    let model = Model::open(&gguf, &Device::Cpu).unwrap();
    assert_eq!(
        model.tokenizer.encode("w7 w42 elsewhere").unwrap(),
        [7, 42, 0]
    );
    // The metadata say what ends a text, unless files beside tokenizer.json do.
    assert_eq!(model.tokenizer.eos_tokens(), [260, 261]);
    write("tokenizer_config.json", json!({ "eos_token": "w5" }));
    let model = Model::open(&gguf, &Device::Cpu).unwrap();
    assert_eq!(model.tokenizer.eos(), Some(5));
    let written = tempfile::tempdir().unwrap();
    write_model_files(written.path(), &gguf, &model.weights).unwrap();
    let again = Model::open(written.path(), &Device::Cpu).unwrap();
    assert_eq!(again.tokenizer.encode("w7 w42").unwrap(), [7, 42]);
    assert_eq!(again.tokenizer.eos(), Some(5));
    write("tokenizer.json", words(300));
    let refusal = Model::open(&gguf, &Device::Cpu).unwrap_err().to_string();
    assert!(
        refusal.contains("300") && refusal.contains("another model"),
        "{refusal}"
    );
}
