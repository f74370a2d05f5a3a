//! Floating-point operations of training. Knows lengths of texts, not of their tokens.

use harness_model::DecoderSpec;

use super::record::Cost;
use crate::answers::TextPair;

/// Bytes of a token of English text, about.
const BYTES_A_TOKEN: f64 = 4.0;

impl Cost {
    /// Three forward passes a trained token, one a token of a frozen reference; a token attends to half of a sequence on average,
    /// and sequences are as long as the forget set's.
    pub fn of_training(
        spec: &DecoderSpec,
        forget: &[TextPair],
        steps: usize,
        tokens: usize,
        reference_tokens: usize,
    ) -> Self {
        let lengths = forget
            .iter()
            .map(|pair| pair.prompt.len() + pair.answer.len());
        let mean_bytes = lengths.sum::<usize>() as f64 / forget.len().max(1) as f64;
        let context = mean_bytes / BYTES_A_TOKEN / 2.0;
        Self {
            steps,
            tokens: tokens + reference_tokens,
            flops: spec.forward_flops(context) * (3 * tokens + reference_tokens) as f64,
        }
    }
}
