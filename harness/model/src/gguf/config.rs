//! From GGUF metadata to what config.json would say. A key of the architecture that is not understood is refused, never
//! ignored.

use candle_core::quantized::gguf_file::Value as Metadata;
use serde_json::{Map, Value, json};

use super::architecture::{Kind, Setting};
use super::{GgufFile, integer};
use crate::error::{Result, bad_file};

/// Keys that change nothing where they are zero: mixtures of experts.
const ZERO: [&str; 2] = ["expert_count", "expert_used_count"];

impl GgufFile {
    /// config.json of the family.
    pub(super) fn config(&self) -> Result<Value> {
        self.refuse_unknown_keys()?;
        let mut config = Map::new();
        for setting in self.architecture.settings() {
            config.insert(setting.config.to_owned(), self.setting(setting)?);
        }
        let shared = [
            ("architectures", json!([self.architecture.class])),
            ("model_type", self.architecture.model_type.into()),
            ("bos_token_id", json!(self.token_id("bos")?)),
            ("eos_token_id", json!(self.token_id("eos")?)),
            ("pad_token_id", json!(self.token_id("padding")?)),
            (
                "tie_word_embeddings",
                (!self.has_tensor("output.weight")).into(),
            ),
            ("torch_dtype", "float32".into()),
            ("vocab_size", self.vocabulary_rows()?.into()),
        ];
        config.extend(shared.map(|(key, value)| (key.to_owned(), value)));
        (self.architecture.more)(self, &mut config)?;
        config.retain(|_, value| !value.is_null());
        Ok(Value::Object(config))
    }

    /// `generation_config.json`: a model that ends its turns with a token of its own ends texts with either.
    pub(super) fn generation_config(&self) -> Result<Value> {
        let ids = [
            self.token_id("eos")?,
            self.token_id("eot")?,
            self.token_id("eom")?,
        ];
        let mut ends: Vec<usize> = Vec::new();
        for id in ids.into_iter().flatten() {
            if !ends.contains(&id) {
                ends.push(id);
            }
        }
        Ok(json!({ "bos_token_id": self.token_id("bos")?, "eos_token_id": ends }))
    }

    /// `tokenizer.ggml.<role>_token_id`.
    pub(super) fn token_id(&self, role: &str) -> Result<Option<usize>> {
        self.optional_count(&format!("tokenizer.ggml.{role}_token_id"))
    }

    /// A key below the architecture's name, in full.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture.name)
    }

    /// A count below the architecture's name.
    pub(super) fn sized(&self, name: &str) -> Result<usize> {
        self.count(&self.key(name))
    }

    /// Query heads.
    pub(super) fn heads(&self) -> Result<usize> {
        match self.sized("attention.head_count")? {
            0 => Err(self.bad(&self.key("attention.head_count"), "positive")),
            heads => Ok(heads),
        }
    }

    /// Key-value heads.
    pub(super) fn kv_heads(&self) -> Result<usize> {
        let kv_heads = self.optional_count(&self.key("attention.head_count_kv"))?;
        kv_heads.map_or_else(|| self.heads(), Ok)
    }

    /// Width of a head.
    pub(super) fn head_dim(&self) -> Result<usize> {
        let head_dim = match self.optional_count(&self.key("attention.key_length"))? {
            Some(head_dim) => head_dim,
            None => self.even_head_dim()?,
        };
        self.require_count("attention.value_length", head_dim)?;
        Ok(head_dim)
    }

    /// Heads as wide as an even share of the model, for a config.json that knows no others.
    pub(super) fn require_plain_heads(&self) -> Result<()> {
        self.require_count("attention.key_length", self.even_head_dim()?)?;
        self.head_dim().map(drop)
    }

    /// Heads of any width, rotated as a whole.
    pub(super) fn whole_heads(&self, config: &mut Map<String, Value>) -> Result<()> {
        let head_dim = self.head_dim()?;
        self.require_count("rope.dimension_count", head_dim)?;
        config.insert("head_dim".into(), head_dim.into());
        config.insert("num_key_value_heads".into(), self.kv_heads()?.into());
        self.rotation(config, "rope_theta")
    }

    /// Heads that are an even share of the width, of which the leading part is rotated.
    pub(super) fn partly_rotated_heads(
        &self,
        config: &mut Map<String, Value>,
        share: &str,
    ) -> Result<()> {
        self.require_plain_heads()?;
        config.insert("num_key_value_heads".into(), self.kv_heads()?.into());
        self.rotated_share(config, share)?;
        self.rotation(config, "rope_theta")
    }

    /// The part of a head that is rotated, under the key `share`.
    pub(super) fn rotated_share(&self, config: &mut Map<String, Value>, share: &str) -> Result<()> {
        let (head_dim, rotated) = (self.head_dim()?, self.rotated_dimensions()?);
        let nearest = rotated as f64 / head_dim as f64;
        // Whoever multiplies and cuts must come back to the same number.
        let exact = (head_dim as f64 * nearest) as usize == rotated;
        let value = if exact { nearest } else { nearest.next_up() };
        config.insert(share.to_owned(), value.into());
        Ok(())
    }

    /// Dimensions of a head that are rotated.
    pub(super) fn rotated_dimensions(&self) -> Result<usize> {
        match self.optional_count(&self.key("rope.dimension_count"))? {
            Some(0) => Err(self.bad(&self.key("rope.dimension_count"), "positive")),
            Some(rotated) => Ok(rotated),
            None => self.head_dim(),
        }
    }

    /// Base of the rotary frequencies under the key `base`, and how they are stretched.
    pub(super) fn rotation(&self, config: &mut Map<String, Value>, base: &str) -> Result<()> {
        let theta = self
            .number(&self.key("rope.freq_base"))?
            .unwrap_or(10_000.0);
        config.insert(base.to_owned(), theta.into());
        config.insert(
            "rope_scaling".into(),
            self.rope_scaling(theta, self.rotated_dimensions()?)?,
        );
        Ok(())
    }

    /// Which layers slide, where the file says so: every layer's choice, or the length of a period that ends in a layer that
    /// does not.
    pub(super) fn sliding_layers(&self, config: &mut Map<String, Value>) -> Result<()> {
        let key = self.key("attention.sliding_window_pattern");
        let period = match self.get(&key) {
            None => return Ok(()),
            Some(Metadata::Array(_)) => None,
            Some(_) => Some(self.count(&key)?),
        };
        let slides: Vec<bool> = match period {
            Some(0) => return Err(self.bad(&key, "positive")),
            Some(period) => {
                let layers = 0..self.sized("block_count")?.min(super::MOST_LAYERS);
                layers.map(|layer| (layer + 1) % period != 0).collect()
            }
            None => self.flags(&key)?,
        };
        let kinds = slides.into_iter().map(|slides| {
            if slides {
                "sliding_attention"
            } else {
                "full_attention"
            }
        });
        config.insert("layer_types".into(), kinds.collect());
        Ok(())
    }

    pub(super) fn has_tensor(&self, name: &str) -> bool {
        self.content.tensor_infos.contains_key(name)
    }

    fn even_head_dim(&self) -> Result<usize> {
        Ok(self.sized("embedding_length")? / self.heads()?)
    }

    /// The value of config.json; null where an optional key is absent.
    fn setting(&self, setting: &Setting) -> Result<Value> {
        let key = self.key(setting.key);
        Ok(match setting.kind {
            Kind::Count => self.count(&key)?.into(),
            Kind::OptionalCount => json!(self.optional_count(&key)?),
            Kind::Number => {
                let number = self.number(&key)?;
                number.ok_or_else(|| self.bad(&key, "a number"))?.into()
            }
            Kind::OptionalNumber => json!(self.number(&key)?),
            Kind::OptionalFlag => match self.get(&key) {
                None => Value::Null,
                Some(_) => self.flag(&key, false)?.into(),
            },
        })
    }

    /// Refuses a count other than the only one that is computed.
    fn require_count(&self, name: &str, only: usize) -> Result<()> {
        let key = self.key(name);
        match self.optional_count(&key)? {
            Some(other) if other != only => {
                Err(self.unsupported(&key, &format!(" (only {only}, a whole head, is)")))
            }
            _ => Ok(()),
        }
    }

    fn refuse_unknown_keys(&self) -> Result<()> {
        let mut keys: Vec<&String> = self.content.metadata.keys().collect();
        keys.sort();
        let prefix = self.key("");
        let zero = |value: Option<&Metadata>| value.and_then(integer) == Some(0);
        for key in keys {
            let Some(name) = key.strip_prefix(&prefix) else {
                continue;
            };
            let inert = ZERO.contains(&name) && zero(self.get(key));
            if !inert && !self.architecture.knows(name) {
                return Err(self.unsupported(key, " in GGUF files"));
            }
        }
        Ok(())
    }

    /// Rows of the embedding.
    pub(super) fn vocabulary_rows(&self) -> Result<usize> {
        let embedding = self.content.tensor_infos.get("token_embd.weight");
        embedding
            .and_then(|info| info.shape.dims().first().copied())
            .ok_or_else(|| bad_file(&self.path, "the tensor token_embd.weight is missing"))
    }
}
