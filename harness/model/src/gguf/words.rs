//! How byte-level BPE vocabularies cut texts into words, by the name in `tokenizer.ggml.pre`: what the tokenizer.json of the
//! families of that name has. A name without an entry is refused.

use serde_json::{Value, json};

/// How GPT-2 cuts words, less the white space at the end of a text.
const GPT2_WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)";
/// How Llama 3 does.
const LLAMA3_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// How Qwen 2 does: the same with single digits.
const QWEN2_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// How llama.cpp cuts where a file names no way: one expression after the other.
const DEFAULT_WORDS: [&str; 4] = [
    r"[\p{P}\$\+<=>\^~\|]+",
    GPT2_WORDS,
    r"\p{N}+",
    "[0-9][0-9][0-9]",
];

/// A way of cutting.
#[derive(Debug)]
pub(super) struct Words {
    names: &'static [&'static str],
    /// What is done to a text first.
    pub(super) normalizer: Option<&'static str>,
    /// The steps of tokenizer.json's pre-tokenizer.
    pub(super) steps: fn() -> Vec<Value>,
    /// Whether a word that is a token is never cut further, and BOS comes first where the file says nothing, as in Llama 3.
    pub(super) like_llama3: bool,
}

const WAYS: [Words; 8] = [
    Words {
        names: &["gpt-2", "phi-2"],
        normalizer: None,
        steps: || vec![byte_level(true)],
        like_llama3: false,
    },
    // GPT-NeoX's vocabulary, which OLMo took over.
    Words {
        names: &["olmo"],
        normalizer: Some("NFC"),
        steps: || vec![byte_level(true)],
        like_llama3: false,
    },
    Words {
        names: &["smollm", "starcoder"],
        normalizer: None,
        steps: || vec![digits(true), byte_level(true)],
        like_llama3: false,
    },
    Words {
        names: &["llama-bpe", "llama3", "llama-v3"],
        normalizer: None,
        steps: || vec![split(LLAMA3_WORDS), byte_level(false)],
        like_llama3: true,
    },
    // cl100k's, also of Phi-4 and OLMo 2.
    Words {
        names: &["dbrx"],
        normalizer: None,
        steps: || vec![split(LLAMA3_WORDS), byte_level(false)],
        like_llama3: false,
    },
    Words {
        names: &["qwen2"],
        normalizer: Some("NFC"),
        steps: || vec![split(QWEN2_WORDS), byte_level(false)],
        like_llama3: false,
    },
    Words {
        names: &["falcon"],
        normalizer: None,
        steps: || {
            let punctuation = json!({ "type": "Punctuation", "behavior": "Contiguous" });
            vec![
                punctuation,
                byte_level(true),
                digits(false),
                split("[0-9][0-9][0-9]"),
            ]
        },
        like_llama3: false,
    },
    Words {
        names: &["default"],
        normalizer: None,
        steps: || {
            let splits = DEFAULT_WORDS.into_iter().map(split);
            splits.chain([byte_level(false)]).collect()
        },
        like_llama3: false,
    },
];

impl Words {
    /// The way of that name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        WAYS.iter().find(|way| way.names.contains(&name))
    }

    /// All names, for error messages.
    pub(super) fn names() -> String {
        let names: Vec<&str> = WAYS
            .iter()
            .flat_map(|way| way.names.iter().copied())
            .collect();
        names.join(", ")
    }
}

/// Bytes as printable characters, after cutting as GPT-2 does where asked.
pub(super) fn byte_level(use_regex: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex })
}

fn digits(individual: bool) -> Value {
    json!({ "type": "Digits", "individual_digits": individual })
}

fn split(words: &str) -> Value {
    json!({ "type": "Split", "pattern": { "Regex": words }, "behavior": "Isolated", "invert": false })
}
