//! A small untrained model with a tokenizer of its own, as an ordinary Hugging Face directory.

use std::path::Path;

use harness_model::{DecoderSpec, Tokenizer, read_spec};
use serde_json::json;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, TokenizerBuilder};

use crate::error::{BenchError, Result};
use crate::run_directory::write_atomically;

const END_OF_TEXT: &str = "<|endoftext|>";
/// Enough for every word of the demo world to be one token.
const MAX_VOCABULARY: usize = 1536;
const WIDTH: usize = 128;
const LAYERS: usize = 4;
const HEADS: usize = 4;
const FEED_FORWARD_WIDTH: usize = 384;
const CONTEXT: usize = 256;

/// Writes config.json and the tokenizer's files into `directory`, which need not exist; there are no weights.
pub(super) fn write_untrained(
    directory: &Path,
    texts: &[String],
) -> Result<(DecoderSpec, Tokenizer)> {
    let tokenizer = train_tokenizer(texts)
        .map_err(|error| BenchError::Request(format!("tokenizer: {error}")))?;
    let end = tokenizer.token_to_id(END_OF_TEXT);
    let config = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "bos_token_id": end,
        "eos_token_id": end,
        "hidden_act": "silu",
        "hidden_size": WIDTH,
        "intermediate_size": FEED_FORWARD_WIDTH,
        "max_position_embeddings": CONTEXT,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": HEADS,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": true,
        "torch_dtype": "float32",
        "vocab_size": tokenizer.get_vocab_size(true),
    });
    let tokenizer_config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END_OF_TEXT,
        "eos_token": END_OF_TEXT,
        "model_max_length": CONTEXT,
    });
    let text = tokenizer
        .to_string(true)
        .map_err(|error| BenchError::Request(format!("tokenizer: {error}")))?;
    write_atomically(
        &directory.join("config.json"),
        format!("{config:#}\n").as_bytes(),
    )?;
    write_atomically(
        &directory.join("tokenizer_config.json"),
        format!("{tokenizer_config:#}\n").as_bytes(),
    )?;
    write_atomically(&directory.join("tokenizer.json"), text.as_bytes())?;
    Ok((read_spec(directory)?, Tokenizer::read(directory)?))
}

/// Byte-level BPE, merges learned from `texts`.
fn train_tokenizer(texts: &[String]) -> tokenizers::Result<tokenizers::Tokenizer> {
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(MAX_VOCABULARY)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(vec![AddedToken::from(END_OF_TEXT, true)])
        .build();
    let mut tokenizer = TokenizerBuilder::<
        BPE,
        tokenizers::NormalizerWrapper,
        ByteLevel,
        ByteLevel,
        ByteLevel,
    >::new()
    .with_model(BPE::default())
    .with_pre_tokenizer(Some(ByteLevel::new(false, false, true)))
    .with_decoder(Some(ByteLevel::default()))
    .build()?;
    tokenizer.train(&mut trainer, texts.iter())?;
    Ok(tokenizer.into())
}
