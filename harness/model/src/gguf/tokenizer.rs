//! From GGUF metadata to what tokenizer.json and `tokenizer_config.json` would say: byte-level BPE only, whose way of cutting
//! texts into words is known by name. Other tokenizers are refused.

use serde_json::{Map, Value, json};

use super::{GgufFile, integer};
use crate::error::{Result, bad_file};

/// llama.cpp's token types that are no ordinary vocabulary.
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
/// How GPT-2 cuts words, less the white space at the end of a text.
const GPT2_WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)";
/// How Llama 3 does.
const LLAMA3_WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// How llama.cpp cuts where a file names no way: one expression after the other.
const DEFAULT_WORDS: [&str; 4] = [
    r"[\p{P}\$\+<=>\^~\|]+",
    GPT2_WORDS,
    r"\p{N}+",
    "[0-9][0-9][0-9]",
];
const SUPPORTED: &str = " in GGUF files (gpt-2, smollm, llama-bpe and default are)";

impl GgufFile {
    pub(super) fn tokenizer_json(&self) -> Result<Value> {
        let model = "tokenizer.ggml.model";
        if self.text(model)? != "gpt2" {
            return Err(self.unsupported(model, " in GGUF files (gpt2, byte-level BPE, is)"));
        }
        let tokens = self.texts("tokenizer.ggml.tokens")?;
        let vocabulary: Map<String, Value> = (tokens.iter().enumerate())
            .map(|(id, token)| ((*token).to_owned(), id.into()))
            .collect();
        Ok(json!({
            "version": "1.0",
            "added_tokens": self.added_tokens(&tokens)?,
            "pre_tokenizer": self.pre_tokenizer()?,
            "post_processor": self.post_processor(&tokens)?,
            "decoder": byte_level(true),
            "model": {
                "type": "BPE",
                "vocab": vocabulary,
                "merges": self.texts("tokenizer.ggml.merges")?,
                "ignore_merges": self.is_llama3()?,
            },
        }))
    }

    pub(super) fn tokenizer_config(&self) -> Result<Value> {
        let tokens = self.texts("tokenizer.ggml.tokens")?;
        let mut config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": self.role(&tokens, "bos")?,
            "eos_token": self.role(&tokens, "eos")?,
            "unk_token": self.role(&tokens, "unknown")?,
            "pad_token": self.role(&tokens, "padding")?,
            "model_max_length": self.count("llama.context_length")?,
        });
        if self.get("tokenizer.chat_template").is_some() {
            config["chat_template"] = self.text("tokenizer.chat_template")?.into();
        }
        Ok(config)
    }

    /// Text of the token in a role.
    fn role<'a>(&self, tokens: &[&'a str], role: &str) -> Result<Option<&'a str>> {
        let Some(id) = self.token_id(role)? else {
            return Ok(None);
        };
        let outside = || {
            let key = format!("tokenizer.ggml.{role}_token_id");
            self.bad(&key, &format!("below {}", tokens.len()))
        };
        tokens.get(id).copied().map(Some).ok_or_else(outside)
    }

    fn added_tokens(&self, tokens: &[&str]) -> Result<Vec<Value>> {
        let key = "tokenizer.ggml.token_type";
        let types = self.list(key)?;
        if types.len() != tokens.len() {
            return Err(self.bad(key, &format!("a list of {}", tokens.len())));
        }
        let kinds = types.iter().map(integer);
        let added = kinds.zip(tokens).enumerate().filter_map(|(id, (kind, token))| {
            let special = match kind? {
                CONTROL => true,
                USER_DEFINED => false,
                _ => return None,
            };
            Some(json!({
                "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": special,
            }))
        });
        Ok(added.collect())
    }

    fn is_llama3(&self) -> Result<bool> {
        Ok(matches!(self.pre()?, "llama-bpe" | "llama3" | "llama-v3"))
    }

    fn pre(&self) -> Result<&str> {
        match self.get("tokenizer.ggml.pre") {
            None => Ok("default"),
            Some(_) => self.text("tokenizer.ggml.pre"),
        }
    }

    fn pre_tokenizer(&self) -> Result<Value> {
        let steps = match self.pre()? {
            "gpt-2" => vec![byte_level(true)],
            "smollm" => vec![
                json!({ "type": "Digits", "individual_digits": true }),
                byte_level(true),
            ],
            _ if self.is_llama3()? => vec![split(LLAMA3_WORDS), byte_level(false)],
            "default" => {
                let splits = DEFAULT_WORDS.into_iter().map(split);
                splits.chain([byte_level(false)]).collect()
            }
            _ => return Err(self.unsupported("tokenizer.ggml.pre", SUPPORTED)),
        };
        Ok(json!({ "type": "Sequence", "pretokenizers": steps }))
    }

    /// BOS before and EOS after every text, where the file says so; Llama 3 has BOS where it says nothing.
    fn post_processor(&self, tokens: &[&str]) -> Result<Value> {
        let around = [
            (
                "bos",
                self.flag("tokenizer.ggml.add_bos_token", self.is_llama3()?)?,
            ),
            ("eos", self.flag("tokenizer.ggml.add_eos_token", false)?),
        ];
        let text = json!({ "Sequence": { "id": "A", "type_id": 0 } });
        let (mut single, mut special) = (vec![text], Map::new());
        for (role, _) in around.into_iter().filter(|(_, added)| *added) {
            let (Some(id), Some(token)) = (self.token_id(role)?, self.role(tokens, role)?) else {
                let problem =
                    format!("tokenizer.ggml.add_{role}_token is on, but there is no {role} token");
                return Err(bad_file(&self.path, problem));
            };
            let piece = json!({ "SpecialToken": { "id": token, "type_id": 0 } });
            match role {
                "bos" => single.insert(0, piece),
                _ => single.push(piece),
            }
            special.insert(
                token.to_owned(),
                json!({ "id": token, "ids": [id], "tokens": [token] }),
            );
        }
        Ok(json!({
            "type": "TemplateProcessing", "single": single, "special_tokens": special,
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
        }))
    }
}

fn byte_level(use_regex: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex })
}

fn split(words: &str) -> Value {
    json!({ "type": "Split", "pattern": { "Regex": words }, "behavior": "Isolated", "invert": false })
}
