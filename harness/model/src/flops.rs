//! Floating-point operations of passes through a decoder, in the one place that counts them: matrix products and attention, a
//! multiplication and an addition being two. It leaves out norms, activations and whatever else is small beside them.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::packed::PackedBatch;
use crate::spec::{DecoderSpec, Layer, LinearPart};

/// What passes through a decoder cost, forward and back to its variables (reference: Kaplan et al. 2020, §2.1).
#[derive(Clone, Debug)]
pub struct PassFlops {
    layers: Vec<LayerMatrices>,
    head: Matrices,
    /// Width of all query heads together.
    queries: usize,
    /// The lowest layer that gradients reach; as many as there are layers where they reach none.
    lowest: usize,
    /// Whether layers run again for their gradients.
    recomputes: bool,
}

/// Elements that every row is multiplied with.
#[derive(Clone, Copy, Debug, Default)]
struct Matrices {
    all: usize,
    trained: usize,
}

#[derive(Clone, Copy, Debug)]
struct LayerMatrices {
    matrices: Matrices,
    /// Rows that a row sees at most.
    window: Option<usize>,
}

impl PassFlops {
    /// Of a decoder in which variables are trained: some of its weights, or an adapter beside them; `elements` has the number of
    /// elements of each, by name. With `recomputes`, layers run again for their gradients.
    pub fn new(spec: &DecoderSpec, elements: &BTreeMap<String, usize>, recomputes: bool) -> Self {
        let is_trained = |name: &String| elements.contains_key(name);
        let mut lowest = None;
        let mut layers = Vec::new();
        for (index, layer) in spec.layers.iter().enumerate() {
            let parts = spec.layer_parts(index);
            let linears = parts.linears();
            let parts_of = linears
                .iter()
                .map(|part| Matrices::of(spec, part, elements));
            let matrices = parts_of.fold(Matrices::default(), Matrices::and);
            let mut names = parts.shapes().into_iter().map(|(name, _)| name);
            if matrices.trained > 0 || names.any(|name| is_trained(&name)) {
                lowest = lowest.or(Some(index));
            }
            layers.push(LayerMatrices {
                matrices,
                window: layer.window,
            });
        }
        let head = spec
            .head_part()
            .map_or_else(|| spec.embedding_shape().0, |part| weight_name(&part));
        let mut below = [Some(spec.embedding_shape()), spec.position_shape()]
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
            .chain(
                spec.projections_around()
                    .map(|[into, _]| weight_name(&into)),
            );
        if below.any(|name| is_trained(&name)) {
            lowest = Some(0);
        }
        let head_elements = spec.vocabulary * spec.embedding.width;
        Self {
            lowest: lowest.unwrap_or(layers.len()),
            head: Matrices {
                all: head_elements,
                trained: if is_trained(&head) { head_elements } else { 0 },
            },
            layers,
            queries: spec.attention.heads * spec.attention.head_dim,
            recomputes,
        }
    }

    /// Of a decoder that is not trained.
    pub fn frozen(spec: &DecoderSpec) -> Self {
        Self::new(spec, &BTreeMap::new(), false)
    }

    /// Running all layers on a batch.
    pub fn forward(&self, batch: &PackedBatch) -> f64 {
        self.layers_forward(batch, 0..self.layers.len())
    }

    /// Gradients of the variables in the first `layers` layers, of something that was computed from the output of the last of
    /// them.
    pub fn backward(&self, batch: &PackedBatch, layers: usize) -> f64 {
        let reached = self.lowest.min(layers)..layers;
        let again = if self.recomputes { 1.0 } else { 0.0 };
        let run = (1.0 + again) * self.layers_forward(batch, reached.clone());
        let rows = batch.len() as f64;
        let own = self.layers[reached.clone()].iter();
        let trained: f64 = own
            .map(|layer| 2.0 * rows * layer.matrices.trained as f64)
            .sum();
        // Attention has two products without weights; each of them has two gradients.
        run + trained + self.attention(batch, reached)
    }

    /// The head on some rows.
    pub fn head_forward(&self, rows: usize) -> f64 {
        2.0 * rows as f64 * self.head.all as f64
    }

    /// Gradients of the head's rows, and of the head where it is trained.
    pub fn head_backward(&self, rows: usize) -> f64 {
        2.0 * rows as f64 * (self.head.all + self.head.trained) as f64
    }

    /// A training step on a batch with a loss of `head_rows` rows' logits: forward and backward, through everything.
    pub fn training_step(&self, batch: &PackedBatch, head_rows: usize) -> f64 {
        let layers = self.forward(batch) + self.backward(batch, self.layers.len());
        layers + self.head_forward(head_rows) + self.head_backward(head_rows)
    }

    fn layers_forward(&self, batch: &PackedBatch, layers: Range<usize>) -> f64 {
        let own = self.layers[layers.clone()].iter();
        let elements: usize = own.map(|layer| layer.matrices.all).sum();
        2.0 * batch.len() as f64 * elements as f64 + self.attention(batch, layers)
    }

    fn attention(&self, batch: &PackedBatch, layers: Range<usize>) -> f64 {
        let seen = |layer: &LayerMatrices| -> f64 {
            let most = layer.window.unwrap_or(usize::MAX);
            let rows = batch.positions().iter();
            rows.map(|&position| (position as usize + 1).min(most) as f64)
                .sum()
        };
        let seen: f64 = self.layers[layers].iter().map(seen).sum();
        4.0 * self.queries as f64 * seen
    }
}

impl Matrices {
    /// A projection with its adapter.
    fn of(spec: &DecoderSpec, part: &LinearPart, elements: &BTreeMap<String, usize>) -> Self {
        let count = |name: String| elements.get(&name).copied().unwrap_or(0);
        let adapter = |end: &str| {
            let (left_out, name) = (&spec.names.left_out, &part.name);
            count(format!("{left_out}{name}.lora_{end}.weight"))
        };
        let adapter = adapter("A") + adapter("B");
        Self {
            all: part.inputs * part.outputs + adapter,
            trained: count(weight_name(part)) + adapter,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            all: self.all + other.all,
            trained: self.trained + other.trained,
        }
    }
}

fn weight_name(part: &LinearPart) -> String {
    format!("{}.weight", part.name)
}

impl DecoderSpec {
    /// Floating-point operations of one token's forward pass, the head's included, `context` being the number of tokens that it
    /// sees before its window cuts.
    pub fn forward_flops(&self, context: f64) -> f64 {
        let passes = PassFlops::frozen(self);
        let seen = |layer: &Layer| {
            layer
                .window
                .map_or(context, |most| context.min(most as f64))
        };
        let seen: f64 = self.layers.iter().map(seen).sum();
        let own = passes.layers.iter().map(|layer| layer.matrices.all);
        2.0 * own.sum::<usize>() as f64
            + 4.0 * passes.queries as f64 * seen
            + passes.head_forward(1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use candle_core::Device;

    use super::PassFlops;
    use crate::packed::PackedBatch;
    use crate::spec::DecoderSpec;
    use crate::{Lora, LoraConfig, read_spec};

    /// Two layers, width 8, feed-forward 12, two heads of 4, vocabulary 50, tied.
    fn spec() -> DecoderSpec {
        let folder = tempfile::tempdir().unwrap();
        let config = serde_json::json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": 8, "intermediate_size": 12, "num_attention_heads": 2, "num_hidden_layers": 2,
            "num_key_value_heads": 2, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
            "tie_word_embeddings": true, "vocab_size": 50,
        });
        std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        read_spec(folder.path()).unwrap()
    }

    fn batch() -> PackedBatch {
        let mut batch = PackedBatch::new();
        batch.push(&[1, 2, 3]);
        batch.push(&[4, 5]);
        batch
    }

    /// Elements of a layer's matrices, and what its attention costs on the batch: 3·4/2 + 2·3/2 pairs.
    const LAYER: f64 = 4.0 * 64.0 + 3.0 * 96.0;
    const ATTENTION: f64 = 4.0 * 8.0 * 9.0;

    fn elements(spec: &DecoderSpec, chosen: impl Fn(&str) -> bool) -> BTreeMap<String, usize> {
        let all = spec.weight_shapes().into_iter();
        let chosen = all.filter(|(name, _)| chosen(name));
        chosen
            .map(|(name, shape)| (name, shape.iter().product()))
            .collect()
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-6 * b.abs().max(1.0), "{a} is not {b}");
    }

    #[test]
    fn training_all_weights_costs_three_forward_passes() {
        let spec = spec();
        let forward = 2.0 * (2.0 * 5.0 * LAYER + ATTENTION);
        for (recomputes, back) in [(false, 2.0), (true, 3.0)] {
            let flops = PassFlops::new(&spec, &elements(&spec, |_| true), recomputes);
            close(flops.forward(&batch()), forward);
            close(flops.backward(&batch(), 2), back * forward);
            close(flops.head_backward(7), 2.0 * flops.head_forward(7));
        }
        // One sequence of three tokens sees two rows on average.
        let mut three = PackedBatch::new();
        three.push(&[1, 2, 3]);
        let frozen = PassFlops::frozen(&spec);
        let whole = frozen.forward(&three) + frozen.head_forward(3);
        close(3.0 * spec.forward_flops(2.0), whole);
        close(frozen.backward(&three, 2), 0.0);
    }

    #[test]
    fn gradients_stop_at_the_lowest_trained_layer() {
        let spec = spec();
        let only = elements(&spec, |name| name.contains("layers.1.mlp.up_proj"));
        let flops = PassFlops::new(&spec, &only, false);
        let one = 2.0 * 5.0 * LAYER + 2.0 * ATTENTION + 2.0 * 5.0 * 96.0;
        close(flops.backward(&batch(), 2), one);
        close(flops.backward(&batch(), 1), 0.0);
        close(flops.head_backward(1), flops.head_forward(1));
    }

    #[test]
    fn an_adapter_costs_two_forward_passes_and_its_own_gradients() {
        let spec = spec();
        let config = LoraConfig {
            rank: 2,
            targets: vec!["q_proj".into()],
            ..LoraConfig::default()
        };
        let lora = Lora::new(&spec, config, 1, &Device::Cpu).unwrap();
        let (_, variables) = lora.trainable(1).unwrap();
        let elements = variables.iter();
        let elements = elements.map(|(name, own)| (name.clone(), own.elem_count()));
        let flops = PassFlops::new(&spec, &elements.collect(), false);
        let adapter = 2.0 * (8.0 + 8.0);
        let forward = 2.0 * (2.0 * 5.0 * (LAYER + adapter) + ATTENTION);
        close(flops.forward(&batch()), forward);
        let own = 2.0 * (2.0 * 5.0 * adapter + ATTENTION);
        close(flops.backward(&batch(), 2), forward + own);
    }
}
