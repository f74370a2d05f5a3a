//! How far a model has moved away from the original on text that neither was to forget. Knows no tasks, and refuses models with
//! different vocabularies.

use harness_model::train::{AnswerBatch, Positions, TokenizedPair};
use harness_model::{Comparison, Decoder};

use crate::answers::Estimate;
use crate::error::Result;

/// Texts that go through both models together.
const BATCH: usize = 4;

/// Mean Kullback–Leibler divergence KL(original‖model) of the next-token distributions, in nats a token, over all answer tokens of
/// `pairs`; with the standard error over pairs, each by its mean. For plain text, pairs are the windows that an encoder cuts it into.
///
/// # Errors
/// On no pairs, and when the models do not fit each other.
pub fn divergence_from_original(
    original: &Decoder,
    model: &Decoder,
    pairs: &[TokenizedPair],
) -> Result<Estimate> {
    let (mut means, mut sum, mut tokens) = (Vec::with_capacity(pairs.len()), 0.0, 0);
    for pairs in pairs.chunks(BATCH) {
        let batch = AnswerBatch::new(pairs);
        let rows = batch.rows(Positions::Answer);
        let teacher = original.hidden(batch.packed())?;
        let hidden = model.hidden(batch.packed())?;
        let divergences = model.compare(
            &hidden,
            &rows,
            Some((original, &teacher)),
            None,
            (vec![None; rows.len()], 0.0),
            Comparison::Divergence,
        )?;
        let divergences = divergences.to_vec1::<f32>()?;
        let mut rest = divergences.as_slice();
        for &length in batch.lengths(Positions::Answer) {
            let (own, others) = rest.split_at(length);
            rest = others;
            let total: f64 = own.iter().map(|&value| f64::from(value)).sum();
            means.push(total / length as f64);
            sum += total;
            tokens += length;
        }
    }
    Ok(Estimate {
        value: sum / tokens as f64,
        ..Estimate::of(&means)?
    })
}
