//! The sum of two tensors of one shape, as in residual connections.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::elementwise::map2;
use super::portable::is_portable;

struct Sum;

impl CustomOp2 for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        la: &Layout,
        b: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = map2(self.name(), (a, la), (b, lb), |a, b| a + b)?;
        Ok((CpuStorage::F32(y), la.shape().clone()))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of = |tensor: &Tensor| tensor.track_op().then(|| dy.clone());
        Ok((of(a), of(b)))
    }
}

/// a + b, f32, on the threads of the other operations (candle's own pool would spin beside them).
///
/// # Errors
/// When shapes differ or a tensor is not contiguous f32.
pub fn sum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.shape() != b.shape() {
        candle_core::bail!("sum: {:?} and {:?} differ", a.shape(), b.shape());
    }
    if is_portable(a) {
        return a + b;
    }
    a.apply_op2(b, Sum)
}
