//! Where weights' gradients are added up during a backward pass: in buffers that live as long as the training does.
//!
//! candle allocates, zeroes and adds a tensor for every gradient; for weights that is most of a small batch's time. A backward
//! pass inside [`GradientBuffers::collect`] adds the gradients of the weights it names here instead, and returns none.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, Result, Storage, Tensor, TensorId, bail};
use faer::Accum;
use rayon::prelude::*;

use super::portable::is_portable;

const ELEMENTS_PER_TASK: usize = 16 * 1024;

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

/// A weight's gradient, where the weight is.
#[derive(Clone, Copy, Debug)]
pub enum Gradient<'a> {
    /// On the CPU: all elements, in the weight's layout.
    Values(&'a [f32]),
    /// f32, of the weight's shape: on another device, or given as a tensor.
    Tensor(&'a Tensor),
}

impl<'a> Gradient<'a> {
    /// All elements, in the weight's layout; copied from a device where they are on one.
    ///
    /// # Errors
    /// When the device fails.
    pub fn values(self) -> Result<Cow<'a, [f32]>> {
        Ok(match self {
            Self::Values(values) => Cow::Borrowed(values),
            Self::Tensor(tensor) => Cow::Owned(tensor.flatten_all()?.to_vec1()?),
        })
    }

    /// Shows all elements, in the weight's layout: in place where they lie in memory as f32.
    ///
    /// # Errors
    /// When the device fails.
    pub(crate) fn show<R>(self, show: impl FnOnce(&[f32]) -> R) -> Result<R> {
        if let Self::Tensor(tensor) = self {
            let (storage, layout) = tensor.storage_and_layout();
            if let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) =
                (&*storage, layout.contiguous_offsets())
            {
                return Ok(show(&values[start..end]));
            }
        }
        Ok(show(&self.values()?))
    }
}

#[derive(Clone, Debug)]
struct Buffer {
    weight: TensorId,
    sum: Sum,
}

/// What was added since the last clearing.
#[derive(Clone, Debug)]
enum Sum {
    /// `is_set` says whether anything was; if not, the values mean nothing.
    Values {
        values: Vec<f32>,
        is_set: bool,
    },
    Tensor(Option<Tensor>),
}

impl Buffer {
    fn new(weight: &Tensor) -> Self {
        let sum = if is_portable(weight) {
            Sum::Tensor(None)
        } else {
            Sum::Values {
                values: vec![0.0; weight.elem_count()],
                is_set: false,
            }
        };
        let weight = weight.id();
        Self { weight, sum }
    }

    fn gradient(&self) -> Option<Gradient<'_>> {
        match &self.sum {
            Sum::Values { values, is_set } => is_set.then_some(Gradient::Values(values)),
            Sum::Tensor(sum) => sum.as_ref().map(Gradient::Tensor),
        }
    }

    fn add(&mut self, gradient: &Tensor) -> Result<()> {
        match &mut self.sum {
            Sum::Values { values, is_set } => {
                let gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
                add_to(values, is_set, |sum, accumulate| {
                    add_all(sum, accumulate, &[gradient]);
                });
            }
            Sum::Tensor(sum) => {
                let whole = match sum.take() {
                    Some(sum) => (sum + gradient)?,
                    None => gradient.clone(),
                };
                // candle's gradients may hold on to the graph that they were computed with.
                *sum = Some(whole.detach());
            }
        }
        Ok(())
    }
}

fn add_to(values: &mut [f32], is_set: &mut bool, write: impl FnOnce(&mut [f32], Accum)) {
    let accumulate = if *is_set { Accum::Add } else { Accum::Replace };
    *is_set = true;
    write(values, accumulate);
}

impl GradientBuffers {
    /// Empty buffers for `weights`.
    pub(crate) fn new<'a>(weights: impl Iterator<Item = &'a Tensor>) -> Self {
        let buffers: Vec<Buffer> = weights.map(Buffer::new).collect();
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

    /// The gradient of `weight`, if there is one.
    pub(crate) fn get(&self, weight: &Tensor) -> Option<Gradient<'_>> {
        self.buffers[*self.numbers.get(&weight.id())?].gradient()
    }

    /// Moves the gradient of `weight` out, if there is one.
    pub(crate) fn take(&mut self, weight: &Tensor) -> Result<Option<Tensor>> {
        let Some(buffer) = self.of(weight) else {
            return Ok(None);
        };
        match &mut buffer.sum {
            Sum::Tensor(sum) => Ok(sum.take()),
            Sum::Values { is_set: false, .. } => Ok(None),
            Sum::Values { values, is_set } => {
                *is_set = false;
                let empty = vec![0.0; values.len()];
                let taken = std::mem::replace(values, empty);
                Tensor::from_vec(taken, weight.shape(), weight.device()).map(Some)
            }
        }
    }

    /// Buffers that hold these gradients, each with its weight.
    pub(crate) fn holding<'a>(pairs: impl Iterator<Item = (&'a Tensor, Tensor)>) -> Self {
        let buffer = |(weight, gradient): (&Tensor, Tensor)| Buffer {
            weight: weight.id(),
            sum: Sum::Tensor(Some(gradient)),
        };
        let buffers: Vec<Buffer> = pairs.map(buffer).collect();
        let numbers = buffers.iter().enumerate();
        Self {
            numbers: numbers.map(|(i, buffer)| (buffer.weight, i)).collect(),
            buffers,
        }
    }

    /// Multiplies all gradients there are by `factor`.
    pub(crate) fn scale(&mut self, factor: f32) -> Result<()> {
        for buffer in &mut self.buffers {
            match &mut buffer.sum {
                Sum::Values { values, is_set } if *is_set => values
                    .par_chunks_mut(ELEMENTS_PER_TASK)
                    .for_each(|chunk| chunk.iter_mut().for_each(|x| *x *= factor)),
                Sum::Tensor(Some(sum)) => *sum = sum.affine(f64::from(factor), 0.0)?,
                Sum::Values { .. } | Sum::Tensor(None) => {}
            }
        }
        Ok(())
    }

    /// Forgets all gradients and keeps the memory.
    pub(crate) fn clear(&mut self) {
        for buffer in &mut self.buffers {
            match &mut buffer.sum {
                Sum::Values { is_set, .. } => *is_set = false,
                Sum::Tensor(sum) => *sum = None,
            }
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
                buffer.add(gradient)?;
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
        let buffer = collecting.as_mut().and_then(|buffers| buffers.of(weight));
        if let Some(Sum::Values { values, is_set }) = buffer.map(|buffer| &mut buffer.sum) {
            add_to(values, is_set, write);
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
