//! Where a GGUF file keeps each weight: llama.cpp names tensors by what they are for, and so does the description of the
//! decoder. Also what llama.cpp did to their rows. Reads no tensor.

use std::collections::BTreeMap;

use super::GgufFile;
use crate::spec::{
    DecoderSpec, LayerParts, LinearPart, QueryKeyValue, QueryKeyValueParts, UpParts, WeightLayout,
};

/// Where a weight is, and what has to be done to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// The tensor's name without `.weight` and `.bias`.
    pub(super) stored: String,
    /// Where the weight's rows are, unless the tensor has just these in this order.
    pub(super) rows: Option<Rows>,
    /// Whether the weight is a matrix inside the layers.
    pub(super) in_layer: bool,
    /// Whether the weight has the inputs first. llama.cpp has the outputs first in every matrix.
    pub(super) inputs_first: bool,
}

/// Rows of a tensor that make a weight.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    /// The tensor's row for each row of the weight.
    pub(super) order: Vec<usize>,
    /// Rows of the tensor.
    pub(super) of: usize,
}

/// Places by the weights' own names, without `.weight` and `.bias`.
pub(super) type Places = BTreeMap<String, Place>;

impl GgufFile {
    pub(super) fn places(&self, spec: &DecoderSpec) -> Places {
        let bare = |name: &str| name.strip_suffix(".weight").unwrap_or(name).to_owned();
        let outer = [
            (Some(bare(&spec.embedding_shape().0)), "token_embd"),
            (
                spec.position_shape().map(|(name, _)| bare(&name)),
                "position_embd",
            ),
            (spec.final_norm_part().map(|part| part.name), "output_norm"),
            (spec.head_part().map(|part| part.name), "output"),
        ];
        let mut places = Places::new();
        for (name, stored) in outer {
            places.extend(name.map(|name| (name, plain(stored.to_owned()))));
        }
        for index in 0..spec.layers.len() {
            self.add_layer(spec, index, &mut places);
        }
        places
    }

    fn add_layer(&self, spec: &DecoderSpec, index: usize, places: &mut Places) {
        let parts = spec.layer_parts(index);
        let stored = |role: &str| format!("blk.{index}.{role}");
        // Falcon's models with two norms came later, and so did the name of the attention's.
        let second = self.has_tensor(&stored("attn_norm_2.weight"));
        let (attention, feed_forward) = if second {
            ("attn_norm_2", "attn_norm")
        } else {
            ("attn_norm", "ffn_norm")
        };
        let [query_norm, key_norm] = match &parts.query_key_norm {
            Some([query, key]) => [Some(query), Some(key)],
            None => [None, None],
        };
        let norms = [
            (parts.attention_norm.as_ref(), attention),
            (parts.attention_output_norm.as_ref(), "post_attention_norm"),
            (parts.feed_forward_norm.as_ref(), feed_forward),
            (parts.feed_forward_output_norm.as_ref(), "post_ffw_norm"),
            (query_norm, "attn_q_norm"),
            (key_norm, "attn_k_norm"),
        ];
        for (norm, role) in norms {
            places.extend(norm.map(|part| (part.name.clone(), plain(stored(role)))));
        }
        for (part, role) in linear_roles(&parts) {
            places.insert(part.name.clone(), matrix(part, stored(role)));
        }
        self.add_queries(spec, index, &parts.query_key_value, places);
    }

    /// Queries, keys and values: three tensors, or one with all queries, all keys and all values.
    fn add_queries(
        &self,
        spec: &DecoderSpec,
        index: usize,
        parts: &QueryKeyValueParts,
        places: &mut Places,
    ) {
        let attention = &spec.attention;
        let fused = format!("blk.{index}.attn_qkv");
        let three = match parts {
            QueryKeyValueParts::Separate(three) => three,
            QueryKeyValueParts::Fused(one) => {
                let by_head = attention.projections == QueryKeyValue::FusedByHead;
                let rows = by_head.then(|| Rows {
                    order: grouped_rows(attention.heads, attention.kv_heads, attention.head_dim),
                    of: one.outputs,
                });
                let place = Place {
                    rows,
                    ..matrix(one, fused)
                };
                places.insert(one.name.clone(), place);
                return;
            }
        };
        let is_fused = self.has_tensor(&format!("{fused}.weight"));
        let all = three.iter().map(|part| part.outputs).sum();
        let mut before = 0;
        for (part, role) in three.iter().zip(["attn_q", "attn_k", "attn_v"]) {
            let rotated = self.architecture.interleaved && role != "attn_v";
            let order: Vec<usize> = if rotated {
                half_apart_rows(part.outputs, attention.head_dim)
            } else {
                (0..part.outputs).collect()
            };
            let (stored, rows) = if is_fused {
                let order = order.into_iter().map(|row| before + row).collect();
                (fused.clone(), Some(Rows { order, of: all }))
            } else {
                let of = part.outputs;
                let rows = rotated.then_some(Rows { order, of });
                (format!("blk.{index}.{role}"), rows)
            };
            places.insert(
                part.name.clone(),
                Place {
                    rows,
                    ..matrix(part, stored)
                },
            );
            before += part.outputs;
        }
    }
}

/// The linear layers besides queries, keys and values.
fn linear_roles(parts: &LayerParts) -> Vec<(&LinearPart, &'static str)> {
    let mut roles = vec![
        (&parts.attention_output, "attn_output"),
        (&parts.down, "ffn_down"),
    ];
    match &parts.up {
        // Both halves of a gated layer in one: the gate's rows first, here and there.
        UpParts::Plain(up) | UpParts::FusedGated(up) => roles.push((up, "ffn_up")),
        UpParts::Gated { gate, up } => roles.extend([(gate, "ffn_gate"), (up, "ffn_up")]),
    }
    roles
}

fn plain(stored: String) -> Place {
    Place {
        stored,
        ..Place::default()
    }
}

fn matrix(part: &LinearPart, stored: String) -> Place {
    Place {
        in_layer: true,
        inputs_first: part.layout == WeightLayout::InputsOutputs,
        ..plain(stored)
    }
}

/// Rows that are rotated as neighbours, put half a head apart: [heads, `head_dim`/2, 2] → [heads, 2, `head_dim`/2].
fn half_apart_rows(rows: usize, head_dim: usize) -> Vec<usize> {
    let half = (head_dim / 2).max(1);
    let from = |row: usize| {
        let (head, within) = (row / head_dim, row % head_dim);
        head * head_dim + 2 * (within % half) + within / half
    };
    (0..rows).map(from).collect()
}

/// All queries, all keys, all values, put together by key-value head: its queries, its key, its value.
fn grouped_rows(heads: usize, kv_heads: usize, head_dim: usize) -> Vec<usize> {
    let share = heads / kv_heads;
    let head = |first: usize| first * head_dim..(first + 1) * head_dim;
    let group = |kv: usize| {
        let queries = kv * share * head_dim..(kv + 1) * share * head_dim;
        queries
            .chain(head(heads + kv))
            .chain(head(heads + kv_heads + kv))
    };
    (0..kv_heads).flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::{grouped_rows, half_apart_rows};

    #[test]
    fn rows_of_a_head() {
        assert_eq!(half_apart_rows(8, 4), [0, 2, 1, 3, 4, 6, 5, 7]);
    }

    #[test]
    fn rows_by_head() {
        // Four queries of one row each, two keys, two values.
        assert_eq!(grouped_rows(4, 2, 1), [0, 1, 4, 6, 2, 3, 5, 7]);
    }
}
