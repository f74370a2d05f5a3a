//! The attention part of a layer: projections, norms on queries and keys, rotation, and the fused operation.

use candle_core::{Result, Tensor};

use super::Pass;
use super::norm::Norm;
use crate::ops::{self, AttentionRule};
use crate::projection::Projection;
use crate::spec::{
    Attention as AttentionSpec, DecoderSpec, LayerParts, QueryKeyValue, QueryKeyValueParts,
};
use crate::weights::Weights;

#[derive(Clone, Debug)]
pub(super) struct Attention {
    input: Input,
    query_key_norm: Option<[Norm; 2]>,
    rule: AttentionRule,
    /// Number of the layer.
    layer: usize,
    /// Number of the pass's rotation table.
    rotary_table: Option<usize>,
    output: Projection,
}

#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one a layer, and the large one is the usual one"
)]
enum Input {
    Separate([Projection; 3]),
    Fused(Projection),
}

impl Attention {
    pub(super) fn new(
        spec: &DecoderSpec,
        parts: &LayerParts,
        weights: &Weights,
        layer: usize,
        rotary_table: Option<usize>,
    ) -> crate::Result<Self> {
        let projection = |part| Projection::new(weights, part);
        let norm = |part| Norm::new(part, &spec.norm, weights);
        Ok(Self {
            input: match &parts.query_key_value {
                QueryKeyValueParts::Separate([query, key, value]) => {
                    Input::Separate([projection(query)?, projection(key)?, projection(value)?])
                }
                QueryKeyValueParts::Fused(part) => Input::Fused(projection(part)?),
            },
            query_key_norm: match &parts.query_key_norm {
                Some([query, key]) => Some([norm(query)?, norm(key)?]),
                None => None,
            },
            rule: AttentionRule {
                head_dim: spec.attention.head_dim,
                scale: spec.attention.scale as f32,
                soft_cap: spec.attention.soft_cap.map(|cap| cap as f32),
                window: spec.layers[layer].window,
            },
            layer,
            rotary_table,
            output: projection(&parts.attention_output)?,
        })
    }

    pub(super) fn projections(&self) -> Vec<&Projection> {
        let inputs = match &self.input {
            Input::Separate(three) => &three[..],
            Input::Fused(one) => std::slice::from_ref(one),
        };
        inputs.iter().chain([&self.output]).collect()
    }

    /// x [rows, width] → [rows, width].
    pub(super) fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let [mut query, mut key, value] = self.input.forward(x, &pass.spec.attention)?;
        if let Some([query_norm, key_norm]) = &self.query_key_norm {
            query = query_norm.forward(&query)?;
            key = key_norm.forward(&key)?;
        }
        if let Some(table) = self.rotary_table.map(|table| &pass.rotary_tables[table]) {
            query = ops::rotary(&query, table, self.rule.head_dim)?;
            key = ops::rotary(&key, table, self.rule.head_dim)?;
        }
        let mixed = match &pass.cache {
            None => ops::attention(&query, &key, &value, &pass.blocks, self.rule)?,
            Some(cache) => {
                let new = [&query, &key, &value];
                cache.attention(self.layer, new, &pass.blocks, self.rule)?
            }
        };
        self.output.forward(&mixed)
    }
}

impl Input {
    /// Queries [rows, heads · `head_dim`], keys and values [rows, `kv_heads` · `head_dim`].
    fn forward(&self, x: &Tensor, spec: &AttentionSpec) -> Result<[Tensor; 3]> {
        match self {
            Self::Separate([query, key, value]) => {
                Ok([query.forward(x)?, key.forward(x)?, value.forward(x)?])
            }
            Self::Fused(projection) => split(&projection.forward(x)?, spec),
        }
    }
}

/// Takes fused [rows, (heads + 2 · `kv_heads`) · `head_dim`] apart.
fn split(fused: &Tensor, spec: &AttentionSpec) -> Result<[Tensor; 3]> {
    let rows = fused.dim(0)?;
    // Side by side are the queries, keys and values of this many key-value heads.
    let heads = match spec.projections {
        QueryKeyValue::FusedByHead => 1,
        QueryKeyValue::Fused | QueryKeyValue::Separate => spec.kv_heads,
    };
    let runs = fused.reshape((rows, spec.kv_heads / heads, ()))?;
    let keys = heads * spec.head_dim;
    let queries = keys * spec.heads / spec.kv_heads;
    let part = |start, width| {
        let part = runs.narrow(2, start, width)?.contiguous()?;
        part.reshape((rows, ()))
    };
    Ok([
        part(0, queries)?,
        part(queries, keys)?,
        part(queries + keys, keys)?,
    ])
}
