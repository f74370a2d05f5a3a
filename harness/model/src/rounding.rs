//! Weights rounded to 8 or 4 bits and widened again: what a quantized copy of the model would compute, as a plain model that
//! can be scored, and trained. Refuses other widths.

use candle_core::Tensor;
use candle_core::quantized::{GgmlDType, QTensor};

use crate::error::{ModelError, Result};
use crate::spec::{DecoderSpec, LinearPart, WeightLayout};
use crate::weights::Weights;

impl Weights {
    /// The same model with every matrix inside its layers rounded to `bits` bits: ggml's `Q8_0` and `Q4_0`, blocks of 32 weights
    /// along the inputs that share a 16-bit scale; a row's last block may be shorter. Embeddings, norms, biases and head stay
    /// as they are, as they do where models are loaded in 8 or 4 bits.
    ///
    /// # Errors
    /// When `bits` is neither 8 nor 4, or a matrix is missing or compressed already.
    pub fn rounded(&self, spec: &DecoderSpec, bits: u32) -> Result<Self> {
        let format = match bits {
            8 => GgmlDType::Q8_0,
            4 => GgmlDType::Q4_0,
            _ => {
                let message = format!("weights are rounded to 8 or 4 bits, not {bits}");
                return Err(ModelError::BadInput(message));
            }
        };
        self.refuse_compressed("round the model that was compressed")?;
        let mut rounded = self.clone();
        for index in 0..spec.layers.len() {
            for part in spec.layer_parts(index).linears() {
                let name = format!("{}.weight", part.name);
                let matrix = round(&self.get(&name)?.detach(), part, format)?;
                rounded.replace(&name, matrix);
            }
        }
        Ok(rounded)
    }
}

/// A projection's matrix, in its own layout.
fn round(weight: &Tensor, part: &LinearPart, format: GgmlDType) -> candle_core::Result<Tensor> {
    let outputs_first = match part.layout {
        WeightLayout::OutputsInputs => weight.clone(),
        WeightLayout::InputsOutputs => weight.t()?,
    };
    // Zeros at its end change nothing in a block: neither its largest weight nor, with that, its scale.
    let block = format.block_size();
    let missing = part.inputs.next_multiple_of(block) - part.inputs;
    let blocks = outputs_first.pad_with_zeros(1, 0, missing)?.contiguous()?;
    let rounded = QTensor::quantize(&blocks, format)?.dequantize(weight.device())?;
    let rounded = rounded.narrow(1, 0, part.inputs)?;
    match part.layout {
        WeightLayout::OutputsInputs => rounded.contiguous(),
        WeightLayout::InputsOutputs => rounded.t()?.contiguous(),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::round;
    use crate::spec::{LinearPart, WeightLayout};
    use candle_core::quantized::GgmlDType;

    fn rounded(values: &[f32], inputs: usize, layout: WeightLayout, bits: u32) -> Vec<f32> {
        let outputs = values.len() / inputs;
        let part = LinearPart {
            name: "projection".into(),
            inputs,
            outputs,
            bias: false,
            layout,
        };
        let format = if bits == 4 {
            GgmlDType::Q4_0
        } else {
            GgmlDType::Q8_0
        };
        let weight = Tensor::from_slice(values, &part.weight_shape(), &Device::Cpu).unwrap();
        let rounded = round(&weight, &part, format).unwrap();
        assert_eq!(rounded.dims(), weight.dims());
        rounded.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// `Q4_0` by hand: the weight of largest size, −8, makes the scale 1; every other goes to the nearest of −8 … 7.
    #[test]
    fn four_bits_are_sixteen_places() {
        let row = [-8.0, 7.4, 0.4, 0.6, -3.2];
        let want = [-8.0, 7.0, 0.0, 1.0, -3.0];
        assert_eq!(rounded(&row, 5, WeightLayout::OutputsInputs, 4), want);
        // Rows share no scale, wherever their blocks end.
        let twice: Vec<f32> = row
            .iter()
            .chain(&row)
            .enumerate()
            .map(|(i, x)| if i < 5 { *x } else { x / 16.0 })
            .collect();
        let want: Vec<f32> = want
            .iter()
            .copied()
            .chain(want.iter().map(|x| x / 16.0))
            .collect();
        assert_eq!(rounded(&twice, 5, WeightLayout::OutputsInputs, 4), want);
    }

    #[test]
    fn the_layout_changes_no_weight() {
        let rows = [[1.0f32, -0.31, 0.77], [0.02, 0.5, -0.4]];
        let across: Vec<f32> = (0..3).flat_map(|i| [rows[0][i], rows[1][i]]).collect();
        for bits in [4, 8] {
            let by_rows = rounded(&rows.concat(), 3, WeightLayout::OutputsInputs, bits);
            let by_columns = rounded(&across, 3, WeightLayout::InputsOutputs, bits);
            let turned: Vec<f32> = (0..2)
                .flat_map(|o| (0..3).map(move |i| (o, i)))
                .map(|(o, i)| by_columns[2 * i + o])
                .collect();
            assert_eq!(by_rows, turned);
        }
    }

    /// No weight moves by more than half a step, and what is rounded already stays.
    #[test]
    fn rounding_again_changes_nothing() {
        let values: Vec<f32> = (0..64)
            .map(|i| ((i * 37 % 64) as f32 - 31.5) / 50.0)
            .collect();
        for (bits, step) in [(8, 1.0 / 127.0), (4, 1.0 / 8.0)] {
            let once = rounded(&values, 64, WeightLayout::OutputsInputs, bits);
            for (x, y) in values.iter().zip(&once) {
                assert!((x - y).abs() <= 0.66 * step, "{bits} bits: {x} became {y}");
            }
            assert_eq!(rounded(&once, 64, WeightLayout::OutputsInputs, bits), once);
            assert!(once != values);
        }
    }
}
