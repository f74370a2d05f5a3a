//! The description of a decoder: what a family's config.json boils down to. No tensors, no files.

/// Everything the decoder needs to know about a model besides its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderSpec {
    /// `model_type` of config.json.
    pub family: String,
    /// Rows of the embedding and of the language-model head.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Number of decoder layers.
    pub layers: usize,
    /// Longest sequence the model was made for, in tokens.
    pub max_positions: usize,
    /// Epsilon of the root-mean-square norms.
    pub norm_epsilon: f64,
    /// Attention heads.
    pub attention: Attention,
    /// Rotary position embedding.
    pub rotary: Rotary,
    /// Feed-forward layer.
    pub feed_forward: FeedForward,
    /// Whether the head is the embedding matrix.
    pub tied_head: bool,
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
    /// Whether the four projections have biases.
    pub bias: bool,
}

/// Gated feed-forward layer, silu(gate) · up.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedForward {
    /// Width between the projections.
    pub width: usize,
    /// Whether the three projections have biases.
    pub bias: bool,
}

/// Rotary position embedding over whole heads.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotary {
    /// Base of the geometric series of wavelengths.
    pub theta: f64,
    /// How the frequencies are stretched for longer contexts.
    pub scaling: RotaryScaling,
}

/// Context extension of rotary frequencies.
#[derive(Clone, Debug, PartialEq)]
pub enum RotaryScaling {
    /// Frequencies as they are.
    None,
    /// All frequencies divided by a factor (Chen et al. 2023, "Extending context window … positional interpolation").
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Low frequencies divided, high ones kept, smooth in between (Llama 3.1).
    Llama3 {
        /// The divisor of low frequencies.
        factor: f64,
        /// Wavelengths above `original_positions / low` are low.
        low: f64,
        /// Wavelengths below `original_positions / high` are high.
        high: f64,
        /// Context length before extension.
        original_positions: f64,
    },
}

impl Rotary {
    /// Radians per position for each of `head_dim / 2` rotation planes, fastest first.
    pub fn inverse_frequencies(&self, head_dim: usize) -> Vec<f32> {
        let base = |i: usize| (1.0 / self.theta.powf(2.0 * i as f64 / head_dim as f64)) as f32;
        (0..head_dim / 2)
            .map(|i| self.scaling.stretch(f64::from(base(i))) as f32)
            .collect()
    }
}

impl RotaryScaling {
    fn stretch(&self, frequency: f64) -> f64 {
        match *self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 {
                factor,
                low,
                high,
                original_positions,
            } => {
                let turns = original_positions * frequency / std::f64::consts::TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                frequency * (kept + (1.0 - kept) / factor)
            }
        }
    }
}

impl DecoderSpec {
    /// Number of weights, tied ones once.
    pub fn parameters(&self) -> usize {
        self.weight_shapes()
            .values()
            .map(|shape| shape.iter().product::<usize>())
            .sum()
    }

    /// Name (as in the safetensors file) and shape of every weight, tied ones once.
    pub fn weight_shapes(&self) -> std::collections::BTreeMap<String, Vec<usize>> {
        let mut shapes = std::collections::BTreeMap::new();
        let queries = self.attention.heads * self.attention.head_dim;
        let keys = self.attention.kv_heads * self.attention.head_dim;
        for layer in 0..self.layers {
            let projections = [
                ("self_attn.q_proj", queries, self.width, self.attention.bias),
                ("self_attn.k_proj", keys, self.width, self.attention.bias),
                ("self_attn.v_proj", keys, self.width, self.attention.bias),
                ("self_attn.o_proj", self.width, queries, self.attention.bias),
                (
                    "mlp.gate_proj",
                    self.feed_forward.width,
                    self.width,
                    self.feed_forward.bias,
                ),
                (
                    "mlp.up_proj",
                    self.feed_forward.width,
                    self.width,
                    self.feed_forward.bias,
                ),
                (
                    "mlp.down_proj",
                    self.width,
                    self.feed_forward.width,
                    self.feed_forward.bias,
                ),
            ];
            for (name, outputs, inputs, bias) in projections {
                shapes.insert(
                    format!("model.layers.{layer}.{name}.weight"),
                    vec![outputs, inputs],
                );
                if bias {
                    shapes.insert(format!("model.layers.{layer}.{name}.bias"), vec![outputs]);
                }
            }
            for name in ["input_layernorm", "post_attention_layernorm"] {
                shapes.insert(
                    format!("model.layers.{layer}.{name}.weight"),
                    vec![self.width],
                );
            }
        }
        shapes.insert("model.norm.weight".into(), vec![self.width]);
        shapes.insert(
            "model.embed_tokens.weight".into(),
            vec![self.vocabulary, self.width],
        );
        if !self.tied_head {
            shapes.insert("lm_head.weight".into(), vec![self.vocabulary, self.width]);
        }
        shapes
    }

    /// Floating-point operations of one token's forward pass: 2 per matrix weight and 4·layers·width·context of attention
    /// (reference: Kaplan et al. 2020, §2.1), `context` being the number of tokens attended to.
    pub fn forward_flops(&self, context: f64) -> f64 {
        let matrices: usize = self
            .weight_shapes()
            .values()
            .filter(|s| s.len() == 2)
            .map(|s| s[0] * s[1])
            .sum();
        let embedding = if self.tied_head {
            0
        } else {
            self.vocabulary * self.width
        };
        let queries = (self.attention.heads * self.attention.head_dim) as f64;
        2.0 * (matrices - embedding) as f64 + 4.0 * self.layers as f64 * queries * context
    }
}
