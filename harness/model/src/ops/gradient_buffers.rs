//! Where weights' gradients are added up during a backward pass: in buffers that live as long as the training does.
//!
//! candle allocates, zeroes and adds a tensor for every gradient; for weights that is most of a small batch's time. A backward
//! pass inside [`GradientBuffers::collect`] adds the gradients of the weights it names here instead, and returns none.

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, TensorId, bail};
use faer::Accum;

thread_local! {
    /// Of the backward pass that runs on this thread; candle runs one on the thread that asks for it.
    static COLLECTING: RefCell<Option<GradientBuffers>> = const { RefCell::new(None) };
}

/// One f32 gradient for each of some weights.
#[derive(Clone, Debug, Default)]
pub(crate) struct GradientBuffers {
    buffers: Vec<Buffer>,
    /// The number of each weight's buffer.
    numbers: HashMap<TensorId, usize>,
}

#[derive(Clone, Debug)]
struct Buffer {
    weight: TensorId,
    values: Vec<f32>,
    /// Whether anything was added since the last clearing; if not, the values mean nothing.
    is_set: bool,
}

impl Buffer {
    fn add(&mut self, write: impl FnOnce(&mut [f32], Accum)) {
        let accumulate = if self.is_set {
            Accum::Add
        } else {
            Accum::Replace
        };
        self.is_set = true;
        write(&mut self.values, accumulate);
    }
}

impl GradientBuffers {
    /// Empty buffers for `weights`.
    pub(crate) fn new<'a>(weights: impl Iterator<Item = &'a Tensor>) -> Self {
        let buffer = |weight: &Tensor| Buffer {
            weight: weight.id(),
            values: vec![0.0; weight.elem_count()],
            is_set: false,
        };
        let buffers: Vec<Buffer> = weights.map(buffer).collect();
        let numbers = buffers.iter().enumerate();
        Self {
            numbers: numbers.map(|(i, buffer)| (buffer.weight, i)).collect(),
            buffers,
        }
    }

    /// Runs a backward pass that adds to these buffers.
    pub(crate) fn collect(&mut self, backward: impl FnOnce() -> Result<GradStore>) -> Result<()> {
        COLLECTING.set(Some(std::mem::take(self)));
        let result = backward().and_then(|rest| add_to_buffers(&rest));
        *self = COLLECTING.take().unwrap_or_default();
        result
    }

    /// The gradient of `weight`, in its layout, if there is one.
    pub(crate) fn get(&self, weight: &Tensor) -> Option<&[f32]> {
        let buffer = &self.buffers[*self.numbers.get(&weight.id())?];
        buffer.is_set.then_some(&buffer.values)
    }

    /// All gradients there are, in the order of the weights, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let set = self.buffers.iter_mut().filter(|buffer| buffer.is_set);
        set.map(|buffer| &mut buffer.values[..])
    }

    /// Forgets all gradients and keeps the memory.
    pub(crate) fn clear(&mut self) {
        for buffer in &mut self.buffers {
            buffer.is_set = false;
        }
    }

    fn of(&mut self, weight: &Tensor) -> Option<&mut Buffer> {
        Some(&mut self.buffers[*self.numbers.get(&weight.id())?])
    }
}

/// Adds what operations other than this crate's own left of a backward pass to the buffers that are being collected.
///
/// # Errors
/// When none are: these gradients would be lost.
pub(crate) fn add_to_buffers(gradients: &GradStore) -> Result<()> {
    COLLECTING.with_borrow_mut(|collecting| {
        let Some(buffers) = collecting else {
            bail!("gradients of checkpointed layers go to a gradient set; use its backward pass");
        };
        for buffer in &mut buffers.buffers {
            if let Some(gradient) = gradients.get_id(buffer.weight) {
                let gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
                buffer.add(|sum, accumulate| add_all(sum, accumulate, &[gradient]));
            }
        }
        Ok(())
    })
}

/// What a backward pass returns for `weight`, whose gradient `write` replaces or adds to: nothing where it is frozen or was
/// added to a buffer, else a tensor.
pub(super) fn weight_gradient(
    weight: &Tensor,
    write: impl FnOnce(&mut [f32], Accum),
) -> Result<Option<Tensor>> {
    if !weight.track_op() {
        return Ok(None);
    }
    COLLECTING.with_borrow_mut(|collecting| {
        if let Some(buffer) = collecting.as_mut().and_then(|buffers| buffers.of(weight)) {
            buffer.add(write);
            return Ok(None);
        }
        let mut values = vec![0f32; weight.elem_count()];
        write(&mut values, Accum::Replace);
        Tensor::from_vec(values, weight.shape(), weight.device()).map(Some)
    })
}

/// Writes or adds `parts`, each as long as `sum`, one after the other.
pub(super) fn add_all<P: AsRef<[f32]>>(sum: &mut [f32], accumulate: Accum, parts: &[P]) {
    if matches!(accumulate, Accum::Replace) {
        sum.fill(0.0);
    }
    for part in parts {
        let pairs = sum.iter_mut().zip(part.as_ref());
        pairs.for_each(|(sum, part)| *sum += part);
    }
}
