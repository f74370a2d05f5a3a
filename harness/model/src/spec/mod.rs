//! The description of a decoder: what a family's config.json boils down to. No tensors, no files.

mod names;
mod parts;
mod rotary;

pub use names::WeightNames;
pub use parts::WeightLayout;
pub(crate) use parts::{LayerParts, LinearPart, NormPart, QueryKeyValueParts, UpParts};
pub use rotary::{Rotary, RotaryScaling};

pub use crate::ops::Activation;

/// Everything the decoder needs to know about a model besides its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderSpec {
    /// `model_type` of config.json.
    pub family: String,
    /// Rows of the embedding and of the language-model head.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Longest sequence the model was made for, in tokens.
    pub max_positions: usize,
    /// From tokens to the residual stream.
    pub embedding: Embedding,
    /// All norms but those of queries and keys, which are of the same kind without bias.
    pub norm: Norm,
    /// Whether a norm follows the last layer.
    pub final_norm: bool,
    /// How a layer's sub-layers, norms and residuals are put together.
    pub wiring: Wiring,
    /// Attention heads.
    pub attention: Attention,
    /// Feed-forward layer.
    pub feed_forward: FeedForward,
    /// What differs between the layers, one entry a layer.
    pub layers: Vec<Layer>,
    /// From the residual stream to logits.
    pub head: Head,
    /// How the file stores the matrices of linear layers.
    pub weight_layout: WeightLayout,
    /// What the weights are called in the file.
    pub names: WeightNames,
}

/// From tokens to the residual stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Width of the embedding; where it differs from the decoder's, linear projections lead in and out.
    pub width: usize,
    /// What projected token embeddings are multiplied with.
    pub scale: Option<f64>,
    /// Learned position embeddings, added to the projected token embeddings.
    pub positions: Option<LearnedPositions>,
}

/// A table of position embeddings with `max_positions + offset` rows.
#[derive(Clone, Debug, PartialEq)]
pub struct LearnedPositions {
    /// The row of position 0.
    pub offset: usize,
}

/// A normalisation over the residual stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// The formula.
    pub kind: NormKind,
    /// Added to the mean square or variance.
    pub epsilon: f64,
}

/// Formula of a norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// x / rms(x) · weight (Zhang & Sennrich 2019).
    Rms,
    /// x / rms(x) · (1 + weight), as Gemma stores it.
    RmsUnitOffset,
    /// (x − mean) / deviation · weight + bias (Ba et al. 2016).
    Layer,
}

impl NormKind {
    /// The weight that leaves a normalised input as it is.
    pub fn neutral_weight(self) -> f32 {
        match self {
            Self::Rms | Self::Layer => 1.0,
            Self::RmsUnitOffset => 0.0,
        }
    }
}

/// How sub-layers f (attention, then feed-forward) meet norms and the residual x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// `x + f(norm(x))`.
    PreNorm,
    /// `norm(x + f(x))`.
    PostNorm,
    /// `x + norm(f(x))`.
    OutputNorm,
    /// `x + norm'(f(norm(x)))`.
    SandwichNorm,
    /// `x + attention(norm(x)) + feed_forward(norm(x))`, one norm for both.
    ParallelOneNorm,
    /// `x + attention(norm(x)) + feed_forward(norm'(x))`.
    ParallelTwoNorms,
}

/// Grouped-query attention.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// Query heads.
    pub heads: usize,
    /// Key-value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// How queries, keys and values are projected.
    pub projections: QueryKeyValue,
    /// Whether the query, key and value projections have biases.
    pub input_bias: bool,
    /// Whether the output projection has a bias.
    pub output_bias: bool,
    /// Norm on queries and keys before they are rotated.
    pub query_key_norm: Option<QueryKeyNorm>,
    /// What scores are multiplied with.
    pub scale: f64,
    /// c in c · tanh(score / c).
    pub soft_cap: Option<f64>,
}

/// How queries, keys and values come out of the attention's input projections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKeyValue {
    /// Three projections.
    Separate,
    /// One projection: all queries, then all keys, then all values.
    Fused,
    /// One projection: for each key-value head its queries, its key, its value.
    FusedByHead,
}

/// What a query and key norm spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryKeyNorm {
    /// Each head by itself, with one weight of a head's width.
    PerHead,
    /// All heads together.
    WholeProjection,
}

/// Feed-forward layer.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedForward {
    /// Width between the projections.
    pub width: usize,
    /// The nonlinearity.
    pub activation: Activation,
    /// Whether and how the activation gates a second projection.
    pub gating: Gating,
    /// Whether the projections have biases.
    pub bias: bool,
}

/// How a feed-forward layer widens its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gating {
    /// activation(up).
    None,
    /// activation(gate) · up, two projections.
    Separate,
    /// The same with one projection: all of gate, then all of up.
    Fused,
}

/// What differs between layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Tokens that a query sees, itself included; all before it where there is none.
    pub window: Option<usize>,
    /// Rotation of queries and keys.
    pub rotary: Option<Rotary>,
}

/// From the residual stream to logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Whether the head is the embedding matrix.
    pub tied: bool,
    /// Whether logits have a bias.
    pub bias: bool,
    /// c in c · tanh(logit / c).
    pub soft_cap: Option<f64>,
}

impl DecoderSpec {
    /// Number of weights, tied ones once.
    pub fn parameters(&self) -> usize {
        let shapes = self.weight_shapes();
        shapes.values().map(|s| s.iter().product::<usize>()).sum()
    }

    /// The most tokens of a sequence that is not long, if layers rotate long sequences differently.
    pub fn long_above(&self) -> Option<usize> {
        let rotations = self.layers.iter().filter_map(|layer| layer.rotary.as_ref());
        rotations.filter_map(Rotary::long_above).min()
    }

    /// Rows of the learned position table, if there is one.
    pub fn position_rows(&self) -> Option<usize> {
        let positions = self.embedding.positions.as_ref()?;
        Some(self.max_positions + positions.offset)
    }

    /// Floating-point operations of one token's forward pass: 2 per matrix weight and 4·width of all heads per token attended
    /// to and layer (reference: Kaplan et al. 2020, §2.1), `context` being the number of tokens before the query's window cuts.
    pub fn forward_flops(&self, context: f64) -> f64 {
        let shapes = self.weight_shapes();
        let matrices = shapes.values().filter(|shape| shape.len() == 2);
        let weights: usize = matrices.map(|shape| shape[0] * shape[1]).sum();
        let embedding = if self.head.tied {
            0
        } else {
            self.vocabulary * self.embedding.width
        };
        let looked_up = embedding + self.position_rows().unwrap_or(0) * self.width;
        let queries = (self.attention.heads * self.attention.head_dim) as f64;
        let seen = |layer: &Layer| layer.window.map_or(context, |w| context.min(w as f64));
        let attended: f64 = self.layers.iter().map(seen).sum();
        2.0 * (weights - looked_up) as f64 + 4.0 * queries * attended
    }

    /// Values that one layer keeps for one token until gradients are computed, and what computing them takes: measured for
    /// SmolLM2-135M as 14,900, here 15,744.
    pub fn layer_training_floats(&self) -> usize {
        let attention = &self.attention;
        let projected = attention.head_dim * (2 * attention.heads + 2 * attention.kv_heads);
        6 * self.width + 2 * projected + 6 * self.feed_forward.width
    }
}
