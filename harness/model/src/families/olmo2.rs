//! `OLMo` 2: norms on the output of each sub-layer, and on queries and keys over all heads together.

use super::base::{BASE_KEYS, Defaults, activation, base, rms_norm};
use super::config_file::ConfigFile;
use crate::error::Result;
use crate::ops::Activation;
use crate::spec::{DecoderSpec, NormKind, QueryKeyNorm, Wiring};

const KEYS: [&str; 4] = [
    "attention_bias",
    "hidden_act",
    "rms_norm_eps",
    "tie_word_embeddings",
];

pub(super) fn spec(config: &ConfigFile) -> Result<DecoderSpec> {
    config.require_known(&[&BASE_KEYS, &KEYS])?;
    let norm = rms_norm(config, NormKind::Rms, 1e-5)?;
    let mut spec = base(
        config,
        norm,
        config.count("intermediate_size")?,
        &Defaults::default(),
    )?;
    let bias = config.flag("attention_bias", false)?;
    spec.wiring = Wiring::OutputNorm;
    spec.attention.input_bias = bias;
    spec.attention.output_bias = bias;
    spec.attention.query_key_norm = Some(QueryKeyNorm::WholeProjection);
    spec.feed_forward.activation = activation(config, "hidden_act", Activation::Silu)?;
    Ok(spec)
}
