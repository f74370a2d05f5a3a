//! Where weights' gradients are added up during a backward pass: in buffers that live as long as the training does.
//!
//! candle allocates, zeroes and adds a tensor for every gradient; for weights that is most of a small batch's time. A backward
//! pass inside [`GradientBuffers::collect`] adds the gradients of the weights it names here instead, and returns none.

use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::{Result, Tensor, TensorId};
use faer::Accum;

thread_local! {
    /// Of the backward pass that runs on this thread; candle runs one on the thread that asks for it.
    static COLLECTING: RefCell<Option<GradientBuffers>> = const { RefCell::new(None) };
}

/// One f32 gradient for each of some weights.
#[derive(Clone, Debug, Default)]
pub(crate) struct GradientBuffers(HashMap<TensorId, Buffer>);

#[derive(Clone, Debug)]
struct Buffer {
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
            values: vec![0.0; weight.elem_count()],
            is_set: false,
        };
        Self(
            weights
                .map(|weight| (weight.id(), buffer(weight)))
                .collect(),
        )
    }

    /// Runs a backward pass that adds to these buffers.
    pub(crate) fn collect<R>(&mut self, backward: impl FnOnce() -> R) -> R {
        COLLECTING.set(Some(std::mem::take(self)));
        let result = backward();
        *self = COLLECTING.take().unwrap_or_default();
        result
    }

    /// Adds `gradient`, in the layout of `weight`.
    pub(crate) fn add_values(&mut self, weight: &Tensor, gradient: &[f32]) {
        if let Some(buffer) = self.0.get_mut(&weight.id()) {
            buffer.add(|sum, accumulate| add_all(sum, accumulate, &[gradient]));
        }
    }

    /// The gradient of `weight`, in its layout, if there is one.
    pub(crate) fn get(&self, weight: &Tensor) -> Option<&[f32]> {
        let buffer = self.0.get(&weight.id())?;
        buffer.is_set.then_some(&buffer.values)
    }

    /// As [`Self::get`], to be changed.
    pub(crate) fn get_mut(&mut self, weight: &Tensor) -> Option<&mut [f32]> {
        let buffer = self.0.get_mut(&weight.id())?;
        buffer.is_set.then_some(&mut buffer.values)
    }

    /// Forgets all gradients and keeps the memory.
    pub(crate) fn clear(&mut self) {
        for buffer in self.0.values_mut() {
            buffer.is_set = false;
        }
    }
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
        let buffers = collecting.as_mut();
        if let Some(buffer) = buffers.and_then(|buffers| buffers.0.get_mut(&weight.id())) {
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
