//! Nonlinearities of feed-forward layers with their exact derivatives.

use std::marker::PhantomData;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};

use super::elementwise::{map, map2};
use super::gated::gated_by;
use super::portable;
use super::vector::{exp, sigmoid, tanh};

/// A nonlinearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0).
    Relu,
    /// x·Φ(x), Φ the normal distribution function (Hendrycks & Gimpel 2016).
    Gelu,
    /// x·½(1 + tanh(√(2/π)·(x + 0.044715·x³))), the same paper's approximation.
    GeluTanh,
    /// x·σ(x).
    Silu,
}

impl Activation {
    /// The function applied to each element of x, f32.
    ///
    /// # Errors
    /// When x is not contiguous f32.
    pub fn apply(self, x: &Tensor) -> Result<Tensor> {
        if portable::is_portable(x) {
            return portable::activate(self, x);
        }
        match self {
            Self::Relu => x.apply_op1(Activate::<Relu>(PhantomData)),
            Self::Gelu => x.apply_op1(Activate::<Gelu>(PhantomData)),
            Self::GeluTanh => x.apply_op1(Activate::<GeluTanh>(PhantomData)),
            Self::Silu => x.apply_op1(Activate::<Silu>(PhantomData)),
        }
    }

    /// `self(gate) · up`, elementwise (Shazeer 2020, "GLU Variants Improve Transformer"). Both f32 of one shape.
    ///
    /// # Errors
    /// When shapes differ or a tensor is not contiguous f32.
    pub fn gate(self, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        if portable::is_portable(gate) {
            return portable::activate(self, gate)? * up;
        }
        match self {
            Self::Relu => gated_by::<Relu>(gate, up),
            Self::Gelu => gated_by::<Gelu>(gate, up),
            Self::GeluTanh => gated_by::<GeluTanh>(gate, up),
            Self::Silu => gated_by::<Silu>(gate, up),
        }
    }
}

/// A differentiable function of one number, to be inlined into vectorised loops.
pub(super) trait Curve: Send + Sync + 'static {
    fn value(x: f32) -> f32;
    fn slope(x: f32) -> f32;
}

struct Relu;
struct Gelu;
struct GeluTanh;
struct Silu;

impl Curve for Relu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        // Not f32::max, which would turn NaN into zero.
        if x < 0.0 { 0.0 } else { x }
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        if x > 0.0 { 1.0 } else { 0.0 }
    }
}

impl Curve for Gelu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x * normal_distribution(x)
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        const DENSITY_AT_ZERO: f32 = 0.398_942_3; // 1 / √(2π)
        normal_distribution(x) + x * DENSITY_AT_ZERO * exp(-0.5 * x * x)
    }
}

/// Φ(x) with an absolute error below 2e-7: Abramowitz & Stegun 1964, eq. 7.1.26 for erfc(|x|/√2), mirrored at zero.
#[inline(always)]
fn normal_distribution(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let series = 1.061_405_4 * t - 1.453_152;
    let series = series * t + 1.421_413_8;
    let series = series * t - 0.284_496_74;
    let series = series * t + 0.254_829_6;
    let tail = 0.5 * series * t * exp(-z * z);
    if x < 0.0 { tail } else { 1.0 - tail }
}

const GELU_SLOPE: f32 = 0.797_884_6; // √(2/π)
const GELU_CUBIC: f32 = 0.044_715;

impl Curve for GeluTanh {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        0.5 * x * (1.0 + tanh(GELU_SLOPE * (x + GELU_CUBIC * x * x * x)))
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let t = tanh(GELU_SLOPE * (x + GELU_CUBIC * x * x * x));
        let inner = GELU_SLOPE * (1.0 + 3.0 * GELU_CUBIC * x * x);
        0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner
    }
}

impl Curve for Silu {
    #[inline(always)]
    fn value(x: f32) -> f32 {
        x * sigmoid(x)
    }

    #[inline(always)]
    fn slope(x: f32) -> f32 {
        let s = sigmoid(x);
        s * (1.0 + x * (1.0 - s))
    }
}

struct Activate<C>(PhantomData<C>);

impl<C: Curve> CustomOp1 for Activate<C> {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let y = map(self.name(), (x, layout), C::value)?;
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let gradient = ActivateGradient::<C>(PhantomData);
        Ok(Some(x.apply_op2_no_bwd(&dy.contiguous()?, &gradient)?))
    }
}

struct ActivateGradient<C>(PhantomData<C>);

impl<C: Curve> CustomOp2 for ActivateGradient<C> {
    fn name(&self) -> &'static str {
        "activation gradient"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        d: &CpuStorage,
        ld: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let dx = map2(self.name(), (x, lx), (d, ld), |x, dy| C::slope(x) * dy)?;
        Ok((CpuStorage::F32(dx), lx.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Curve, Gelu, GeluTanh, Relu, Silu, normal_distribution};

    #[test]
    fn the_normal_distribution_is_symmetric_and_known() {
        // Φ at some points, from tables.
        for (x, want) in [
            (0.0, 0.5),
            (1.0, 0.841_344_7),
            (1.96, 0.975_002_1),
            (-3.0, 0.001_349_9),
        ] {
            assert!((normal_distribution(x) - want).abs() < 3e-7, "{x}");
        }
        for i in 0..800 {
            let x = i as f32 * 0.01;
            let sum = normal_distribution(x) + normal_distribution(-x);
            assert!((sum - 1.0).abs() < 3e-7, "{x}: {sum}");
        }
    }

    fn check_slope<C: Curve>(name: &str) {
        for i in -600..600_i32 {
            let x = i as f32 * 0.011 + 0.003;
            let h = 0.01;
            let far = C::value(x + 2.0 * h) - C::value(x - 2.0 * h);
            let near = C::value(x + h) - C::value(x - h);
            let slope = (8.0 * near - far) / (12.0 * h);
            let kink = x.abs() < 0.025;
            assert!(
                kink || (slope - C::slope(x)).abs() < 3e-4,
                "{name}'({x}): {slope} {}",
                C::slope(x)
            );
        }
    }

    #[test]
    fn slopes_are_derivatives_of_values() {
        check_slope::<Relu>("relu");
        check_slope::<Gelu>("gelu");
        check_slope::<GeluTanh>("gelu_tanh");
        check_slope::<Silu>("silu");
    }

    #[test]
    fn nan_stays_nan() {
        let values = [Relu::value, Gelu::value, GeluTanh::value, Silu::value];
        assert!(values.iter().all(|value| value(f32::NAN).is_nan()));
    }
}
