//! The gated unit of feed-forward layers, f(gate) · up, in one pass with its gradients.

use std::marker::PhantomData;

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

use super::activation::Curve;
use super::elementwise::{map2, map3};

struct Gated<C>(PhantomData<C>);

impl<C: Curve> CustomOp2 for Gated<C> {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(
        &self,
        g: &CpuStorage,
        lg: &Layout,
        u: &CpuStorage,
        lu: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let y = map2(self.name(), (g, lg), (u, lu), |gate, up| {
            C::value(gate) * up
        })?;
        Ok((CpuStorage::F32(y), lg.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let dgate = gate.apply_op3_no_bwd(up, &dy, &GatedGradient::<C>::of_gate())?;
        let dup = gate.apply_op3_no_bwd(up, &dy, &GatedGradient::<C>::of_up())?;
        Ok((Some(dgate), Some(dup)))
    }
}

/// dy·f'(gate)·up, the gradient of the gate, or dy·f(gate), that of up.
struct GatedGradient<C> {
    of_gate: bool,
    curve: PhantomData<C>,
}

impl<C> GatedGradient<C> {
    fn of_gate() -> Self {
        Self {
            of_gate: true,
            curve: PhantomData,
        }
    }

    fn of_up() -> Self {
        Self {
            of_gate: false,
            curve: PhantomData,
        }
    }
}

impl<C: Curve> CustomOp3 for GatedGradient<C> {
    fn name(&self) -> &'static str {
        "gated gradient"
    }

    fn cpu_fwd(
        &self,
        g: &CpuStorage,
        lg: &Layout,
        u: &CpuStorage,
        lu: &Layout,
        d: &CpuStorage,
        ld: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let arguments = [(g, lg), (u, lu), (d, ld)];
        let gradient = if self.of_gate {
            map3(self.name(), arguments, |gate, up, dy| {
                dy * up * C::slope(gate)
            })?
        } else {
            map3(self.name(), arguments, |gate, _, dy| dy * C::value(gate))?
        };
        Ok((CpuStorage::F32(gradient), lg.shape().clone()))
    }
}

pub(super) fn gated_by<C: Curve>(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if gate.shape() != up.shape() {
        candle_core::bail!(
            "gated: gate {:?} and up {:?} differ",
            gate.shape(),
            up.shape()
        );
    }
    gate.apply_op2(up, Gated::<C>(PhantomData))
}
