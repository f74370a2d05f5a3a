//! The weights that a description calls for: name and shape of every linear layer and norm. No tensors.

use std::collections::BTreeMap;

use super::{DecoderSpec, Gating, NormKind, QueryKeyNorm, QueryKeyValue, Wiring};

/// How a file stores the matrix of a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightLayout {
    /// [outputs, inputs], as torch's `Linear`.
    OutputsInputs,
    /// [inputs, outputs], as GPT-2's `Conv1D`.
    InputsOutputs,
}

/// A linear layer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LinearPart {
    pub(crate) name: String,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) bias: bool,
    pub(crate) layout: WeightLayout,
}

/// A norm's weight, and its bias if it has one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NormPart {
    pub(crate) name: String,
    pub(crate) width: usize,
    pub(crate) bias: bool,
}

/// Input projections of attention.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum QueryKeyValueParts {
    Separate([LinearPart; 3]),
    Fused(LinearPart),
}

/// Widening projections of a feed-forward layer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum UpParts {
    Plain(LinearPart),
    Gated { gate: LinearPart, up: LinearPart },
    FusedGated(LinearPart),
}

/// One layer's weights. A norm that the wiring does not have is `None`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LayerParts {
    pub(crate) attention_norm: Option<NormPart>,
    pub(crate) attention_output_norm: Option<NormPart>,
    pub(crate) feed_forward_norm: Option<NormPart>,
    pub(crate) feed_forward_output_norm: Option<NormPart>,
    pub(crate) query_key_value: QueryKeyValueParts,
    pub(crate) query_key_norm: Option<[NormPart; 2]>,
    pub(crate) attention_output: LinearPart,
    pub(crate) up: UpParts,
    pub(crate) down: LinearPart,
}

impl LinearPart {
    /// The matrix as the file stores it.
    pub(crate) fn weight_shape(&self) -> [usize; 2] {
        match self.layout {
            WeightLayout::OutputsInputs => [self.outputs, self.inputs],
            WeightLayout::InputsOutputs => [self.inputs, self.outputs],
        }
    }

    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let matrix = self.weight_shape().to_vec();
        let bias = (format!("{}.bias", self.name), vec![self.outputs]);
        let weight = (format!("{}.weight", self.name), matrix);
        [weight]
            .into_iter()
            .chain(self.bias.then_some(bias))
            .collect()
    }
}

impl NormPart {
    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let bias = self.bias.then_some("bias");
        let names = ["weight"].into_iter().chain(bias);
        names
            .map(|kind| (format!("{}.{kind}", self.name), vec![self.width]))
            .collect()
    }
}

impl LayerParts {
    fn norms(&self) -> impl Iterator<Item = &NormPart> {
        let around = [
            &self.attention_norm,
            &self.attention_output_norm,
            &self.feed_forward_norm,
            &self.feed_forward_output_norm,
        ];
        around
            .into_iter()
            .flatten()
            .chain(self.query_key_norm.iter().flatten())
    }

    /// Name and shape of every weight.
    pub(crate) fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        let norms = self.norms().flat_map(NormPart::shapes);
        let linears = self.linears().into_iter().flat_map(LinearPart::shapes);
        norms.chain(linears).collect()
    }

    pub(crate) fn linears(&self) -> Vec<&LinearPart> {
        let mut linears = vec![&self.attention_output, &self.down];
        match &self.query_key_value {
            QueryKeyValueParts::Separate(three) => linears.extend(three),
            QueryKeyValueParts::Fused(one) => linears.push(one),
        }
        match &self.up {
            UpParts::Plain(up) | UpParts::FusedGated(up) => linears.push(up),
            UpParts::Gated { gate, up } => linears.extend([gate, up]),
        }
        linears
    }
}

impl DecoderSpec {
    /// Name (as in the safetensors file) and shape of every weight, tied ones once.
    pub fn weight_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let mut shapes = BTreeMap::from([self.embedding_shape()]);
        shapes.extend(self.position_shape());
        let outer = self
            .projections_around()
            .into_iter()
            .flatten()
            .chain(self.head_part());
        shapes.extend(outer.flat_map(|part| part.shapes()));
        shapes.extend(self.final_norm_part().iter().flat_map(NormPart::shapes));
        for index in 0..self.layers.len() {
            let layer = self.layer_parts(index);
            shapes.extend(layer.shapes());
        }
        shapes
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.names.prefix)
    }

    pub(crate) fn embedding_shape(&self) -> (String, Vec<usize>) {
        let name = self.name(self.names.embedding) + ".weight";
        (name, vec![self.vocabulary, self.embedding.width])
    }

    pub(crate) fn position_shape(&self) -> Option<(String, Vec<usize>)> {
        let name = self.name(self.names.positions) + ".weight";
        Some((name, vec![self.position_rows()?, self.width]))
    }

    /// The projections from the embedding's width to the decoder's and back, where the widths differ.
    pub(crate) fn projections_around(&self) -> Option<[LinearPart; 2]> {
        let (names, narrow, wide) = (&self.names, self.embedding.width, self.width);
        let part = |name: &str, inputs, outputs| LinearPart {
            name: self.name(name),
            inputs,
            outputs,
            bias: false,
            layout: WeightLayout::OutputsInputs,
        };
        (narrow != wide).then(|| {
            [
                part(names.project_in, narrow, wide),
                part(names.project_out, wide, narrow),
            ]
        })
    }

    pub(crate) fn final_norm_part(&self) -> Option<NormPart> {
        let name = self.name(self.names.final_norm);
        self.final_norm.then(|| self.norm_part(name))
    }

    /// The head, unless it is the embedding.
    pub(crate) fn head_part(&self) -> Option<LinearPart> {
        (!self.head.tied).then(|| LinearPart {
            name: self.names.head.to_owned(),
            inputs: self.embedding.width,
            outputs: self.vocabulary,
            bias: self.head.bias,
            layout: WeightLayout::OutputsInputs,
        })
    }

    fn norm_part(&self, name: String) -> NormPart {
        let bias = self.norm.kind == NormKind::Layer;
        NormPart {
            name,
            width: self.width,
            bias,
        }
    }

    /// The weights of layer `index`.
    pub(crate) fn layer_parts(&self, index: usize) -> LayerParts {
        let (names, attention, feed_forward) = (&self.names, &self.attention, &self.feed_forward);
        let in_layer = |name: &str| self.name(&format!("{}.{index}.{name}", names.layers));
        let norm = |has: bool, name| has.then(|| self.norm_part(in_layer(name)));
        let linear = |name, inputs, outputs, bias| LinearPart {
            name: in_layer(name),
            inputs,
            outputs,
            bias,
            layout: self.weight_layout,
        };
        let queries = attention.heads * attention.head_dim;
        let keys = attention.kv_heads * attention.head_dim;
        let input = |name, outputs| linear(name, self.width, outputs, attention.input_bias);
        let up = |name, outputs| linear(name, self.width, outputs, feed_forward.bias);
        let query_key_norm = |norm: QueryKeyNorm| {
            let part = |name, whole| {
                let width = if norm == QueryKeyNorm::PerHead {
                    attention.head_dim
                } else {
                    whole
                };
                NormPart {
                    name: in_layer(name),
                    width,
                    bias: false,
                }
            };
            [part(names.query_norm, queries), part(names.key_norm, keys)]
        };
        let (before, after) = self.wiring.norms();
        let own_norm = before && self.wiring != Wiring::ParallelOneNorm;
        LayerParts {
            attention_norm: norm(before, names.attention_norm),
            attention_output_norm: norm(after, names.attention_output_norm),
            feed_forward_norm: norm(own_norm, names.feed_forward_norm),
            feed_forward_output_norm: norm(after, names.feed_forward_output_norm),
            query_key_value: match attention.projections {
                QueryKeyValue::Separate => QueryKeyValueParts::Separate([
                    input(names.query, queries),
                    input(names.key, keys),
                    input(names.value, keys),
                ]),
                QueryKeyValue::Fused | QueryKeyValue::FusedByHead => {
                    QueryKeyValueParts::Fused(input(names.query_key_value, queries + 2 * keys))
                }
            },
            query_key_norm: attention.query_key_norm.map(query_key_norm),
            attention_output: linear(
                names.attention_output,
                queries,
                self.width,
                attention.output_bias,
            ),
            up: match feed_forward.gating {
                Gating::None => UpParts::Plain(up(names.up, feed_forward.width)),
                Gating::Separate => UpParts::Gated {
                    gate: up(names.gate, feed_forward.width),
                    up: up(names.up, feed_forward.width),
                },
                Gating::Fused => UpParts::FusedGated(up(names.gate_up, 2 * feed_forward.width)),
            },
            down: linear(
                names.down,
                feed_forward.width,
                self.width,
                feed_forward.bias,
            ),
        }
    }
}

impl Wiring {
    /// Whether sub-layers have a norm of their input (or of the residual sum), and one of their output.
    fn norms(self) -> (bool, bool) {
        match self {
            Self::PreNorm | Self::PostNorm | Self::ParallelOneNorm | Self::ParallelTwoNorms => {
                (true, false)
            }
            Self::OutputNorm => (false, true),
            Self::SandwichNorm => (true, true),
        }
    }
}
