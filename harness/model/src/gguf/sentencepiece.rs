//! `SentencePiece` vocabularies with scores (Llama 1 and 2, Mistral, Gemma, Phi-3) as the BPE model that Hugging Face's tools make
//! of them. Unigram vocabularies are another kind, which is refused by name.

use std::collections::HashMap;

use candle_core::quantized::gguf_file::Value as Metadata;
use serde_json::{Map, Value, json};

use super::tokenizer::kind;
use super::{GgufFile, integer};
use crate::error::Result;

/// What stands for a space.
const SPACE: &str = "\u{2581}";

impl GgufFile {
    /// The parts of tokenizer.json that are special to these vocabularies: normalizer, decoder, model.
    pub(super) fn sentencepiece(
        &self,
        tokens: &[&str],
        vocabulary: &Map<String, Value>,
    ) -> Result<Map<String, Value>> {
        let charsmap = "tokenizer.ggml.precompiled_charsmap";
        if self.get(charsmap).is_some() {
            return Err(self.unsupported(charsmap, super::tokenizer::WAY_OUT));
        }
        let prefixed = self.flag("tokenizer.ggml.add_space_prefix", true)?;
        let replace = |from: &str, to: &str| json!({ "type": "Replace", "pattern": { "String": from }, "content": to });
        let prefix = json!({ "type": "Prepend", "prepend": SPACE });
        let normalizers: Vec<Value> = prefixed
            .then_some(prefix)
            .into_iter()
            .chain([replace(" ", SPACE)])
            .collect();
        let strip = json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 });
        let decoders: Vec<Value> = [
            replace(SPACE, " "),
            json!({ "type": "ByteFallback" }),
            json!({ "type": "Fuse" }),
        ]
        .into_iter()
        .chain(prefixed.then_some(strip))
        .collect();
        let merges = match self.get("tokenizer.ggml.merges") {
            Some(_) => json!(self.texts("tokenizer.ggml.merges")?),
            None => json!(merges(tokens, &self.pieces(tokens)?)),
        };
        let model = json!({
            "type": "BPE", "vocab": vocabulary, "merges": merges, "byte_fallback": true, "fuse_unk": true,
            "unk_token": self.role(tokens, "unknown")?,
        });
        let parts = [
            (
                "normalizer",
                json!({ "type": "Sequence", "normalizers": normalizers }),
            ),
            (
                "decoder",
                json!({ "type": "Sequence", "decoders": decoders }),
            ),
            ("model", model),
        ];
        Ok(parts
            .map(|(name, part)| (name.to_owned(), part))
            .into_iter()
            .collect())
    }

    /// Scores of the tokens that are made by merging; none for control tokens, bytes and the like.
    fn pieces(&self, tokens: &[&str]) -> Result<Vec<Option<f32>>> {
        let key = "tokenizer.ggml.scores";
        let scores = self.list(key)?.iter().map(|score| match score {
            Metadata::F32(score) if score.is_finite() => Some(*score),
            other => integer(other).map(|score| score as f32),
        });
        let scores: Option<Vec<f32>> = scores.collect();
        let scores = scores
            .filter(|scores| scores.len() == tokens.len())
            .ok_or_else(|| self.bad(key, &format!("a list of {} numbers", tokens.len())))?;
        let kinds = self.kinds(tokens)?;
        let pairs = scores.into_iter().zip(kinds);
        Ok(pairs
            .map(|(score, of)| (of == Some(kind::NORMAL)).then_some(score))
            .collect())
    }
}

/// Every way to put a piece together of two others, best score first. Ties go as in transformers: longer first halves, longer
/// second halves, earlier pieces.
fn merges(tokens: &[&str], scores: &[Option<f32>]) -> Vec<[String; 2]> {
    let ids: HashMap<&str, usize> = (tokens.iter().enumerate())
        .filter(|(id, _)| scores[*id].is_some())
        .map(|(id, token)| (*token, id))
        .collect();
    let mut merges = Vec::new();
    for (id, token) in tokens.iter().enumerate() {
        let Some(score) = scores[id] else { continue };
        let cuts = token
            .char_indices()
            .skip(1)
            .map(|(cut, _)| token.split_at(cut));
        let mut found: Vec<_> = cuts
            .filter_map(|(left, right)| Some((*ids.get(left)?, *ids.get(right)?)))
            .collect();
        found.sort_unstable();
        merges.extend(
            found
                .into_iter()
                .map(|(left, right)| (score, tokens[left], tokens[right])),
        );
    }
    let length = |text: &str| text.chars().count();
    // A stable sort: equals stay in the order of the pieces they make.
    merges.sort_by(|(a, a_left, a_right), (b, b_left, b_right)| {
        b.total_cmp(a)
            .then(length(b_left).cmp(&length(a_left)))
            .then(length(b_right).cmp(&length(a_right)))
    });
    (merges.into_iter())
        .map(|(_, left, right)| [left.to_owned(), right.to_owned()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::merges;

    #[test]
    fn better_scores_come_first_and_every_cut_counts() {
        let tokens = ["<s>", "a", "b", "ab", "aba", "ba"];
        let scores = [
            None,
            Some(-9.0),
            Some(-9.0),
            Some(-1.0),
            Some(-3.0),
            Some(-2.0),
        ];
        assert_eq!(
            merges(&tokens, &scores),
            [["a", "b"], ["b", "a"], ["ab", "a"], ["a", "ba"]]
        );
    }
}
