//! The result of a custom operation that was computed before candle asks for it, on whatever device. It is given out once.

use std::sync::Mutex;

use candle_core::backend::BackendStorage as _;
use candle_core::{CpuStorage, CudaStorage, Result, Shape, Storage, Tensor, bail};

/// What the forward pass of a custom operation returns.
///
/// A custom operation sees the storages of its arguments and no tensors, so a result that takes tensors to compute is
/// computed before the operation is applied.
pub(crate) struct Precomputed(Mutex<Option<Tensor>>);

impl Precomputed {
    /// `result`, f32, without what led to it.
    pub(crate) fn new(result: &Tensor) -> Result<Self> {
        let own = result.detach().force_contiguous()?;
        Ok(Self(Mutex::new(Some(own))))
    }

    /// The result on the CPU.
    ///
    /// # Errors
    /// When it was taken before.
    pub(crate) fn cpu(&self) -> Result<(CpuStorage, Shape)> {
        let result = self.take()?;
        let values = result.flatten_all()?.to_vec1::<f32>()?;
        Ok((CpuStorage::F32(values), result.shape().clone()))
    }

    /// The result on a CUDA device.
    ///
    /// # Errors
    /// When it was taken before or lies elsewhere.
    pub(crate) fn cuda(&self) -> Result<(CudaStorage, Shape)> {
        let result = self.take()?;
        let (storage, layout) = result.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, result.shape().clone())),
            _ => bail!("an operation's arguments and its result lie on different devices"),
        }
    }

    fn take(&self) -> Result<Tensor> {
        let taken = self.0.lock().ok().and_then(|mut result| result.take());
        taken.ok_or_else(|| candle_core::Error::msg("a precomputed result was asked for twice"))
    }
}
