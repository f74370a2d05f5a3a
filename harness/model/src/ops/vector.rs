//! Row arithmetic that the compiler turns into vector code for the machine it runs on; no matrices, no threads.
//!
//! The build targets the baseline CPU; a [`kernel`] is compiled for AVX2 with FMA and for AVX-512, too (NEON needs
//! nothing), and the version is picked at run time, so one binary is portable and still uses the vector units.

/// Defines a function that runs its body compiled for the best vector extension that the machine has.
///
/// What the body calls must be marked `#[inline(always)]`. The body goes into a method of its own: a closure that is given to
/// `pulp` is called instead of inlined once it is of some size, and then its code is the baseline's, several times slower.
macro_rules! kernel {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident<$lifetime:lifetime $(, $generic:ident: $bound:path)?>(
            $($argument:ident: $type:ty),+ $(,)?
        ) $(-> $output:ty)? $body:block
    ) => {
        $(#[$attribute])*
        $visibility fn $name<$lifetime $(, $generic: $bound)?>($($argument: $type),+) $(-> $output)? {
            struct Arguments<$lifetime $(, $generic: $bound)?> {
                $($argument: $type,)+
                lifetime: std::marker::PhantomData<&$lifetime ()>,
            }
            impl<$lifetime $(, $generic: $bound)?> pulp::WithSimd
                for Arguments<$lifetime $(, $generic)?>
            {
                type Output = $crate::ops::output!($($output)?);

                #[inline(always)]
                #[allow(clippy::inline_always, reason = "the point of a kernel")]
                fn with_simd<S: pulp::Simd>(self, _: S) -> Self::Output {
                    let Self { $($argument,)+ lifetime: _ } = self;
                    $body
                }
            }
            pulp::Arch::new().dispatch(Arguments {
                $($argument,)+
                lifetime: std::marker::PhantomData,
            })
        }
    };
}

macro_rules! output {
    () => {
        ()
    };
    ($output:ty) => {
        $output
    };
}

pub(crate) use {kernel, output};

kernel! {
    /// Adds as many elements as both have.
    pub(crate) fn add<'a>(sum: &'a mut [f32], part: &'a [f32]) {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
}

kernel! {
    /// Σ x², in the order of [`dot`].
    pub(crate) fn square_sum<'a>(x: &'a [f32]) -> f32 {
        dot(x, x)
    }
}

/// eˣ with a relative error below 2e-7, without branches so that loops over it vectorise.
///
/// Cody–Waite range reduction to |r| ≤ ln2/2, then a degree-6 Taylor polynomial. Arguments below −87 give e⁻⁸⁷ (about
/// 1.6e-38), above 88 give e⁸⁸.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding it leaves round(x) in the low mantissa bits
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let series = 1.0 / 720.0;
    let series = series * r + 1.0 / 120.0;
    let series = series * r + 1.0 / 24.0;
    let series = series * r + 1.0 / 6.0;
    let series = series * r + 0.5;
    let series = series * r + 1.0;
    let series = series * r + 1.0;
    series * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// tanh x with an error of a few units in the last place, without branches so that loops over it vectorise.
///
/// (1 − e⁻²ˣ)/(1 + e⁻²ˣ) of |x|, but the Taylor series up to x⁹ where that difference would cancel.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let (square, decay) = (x * x, exp(-2.0 * x.abs()));
    let series = 62.0 / 2835.0;
    let series = series * square - 17.0 / 315.0;
    let series = series * square + 2.0 / 15.0;
    let series = series * square - 1.0 / 3.0;
    let series = series * square + 1.0;
    let ratio = ((1.0 - decay) / (1.0 + decay)).copysign(x);
    if square < 0.0625 { x * series } else { ratio }
}

const LANES: usize = 16;

/// Σ f(xᵢ) in a fixed order (16 running sums, then their sum), so the result does not depend on the machine's width.
#[inline(always)]
pub(crate) fn sum_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (sum, &x) in sums.iter_mut().zip(chunk) {
            *sum += f(x);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|&x| f(x)).sum::<f32>()
}

/// Puts f(xᵢ) in the place of each xᵢ and returns their sum, in the order of [`sum_of`].
#[inline(always)]
pub(crate) fn replace_and_sum(x: &mut [f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0f32; LANES];
    let mut chunks = x.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *x = f(*x);
            *sum += *x;
        }
    }
    let mut total = 0.0;
    for x in chunks.into_remainder() {
        *x = f(*x);
        total += *x;
    }
    sums.iter().sum::<f32>() + total
}

/// Σ xᵢ·yᵢ in a fixed order.
#[inline(always)]
pub(crate) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    let (x_chunks, y_chunks) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let (x_rest, y_rest) = (x_chunks.remainder(), y_chunks.remainder());
    for (x, y) in x_chunks.zip(y_chunks) {
        for ((sum, &x), &y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    let rest: f32 = x_rest.iter().zip(y_rest).map(|(&x, &y)| x * y).sum();
    sums.iter().sum::<f32>() + rest
}

/// The largest element; −∞ of an empty slice. NaN is passed over here and surfaces in the sums that follow.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let mut best = [f32::NEG_INFINITY; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (best, &x) in best.iter_mut().zip(chunk) {
            *best = if x > *best { x } else { *best };
        }
    }
    let of = |best: f32, &x: &f32| if x > best { x } else { best };
    rest.iter()
        .fold(best.iter().fold(f32::NEG_INFINITY, of), of)
}

#[cfg(test)]
mod tests {
    use super::{dot, exp, max, sum_of, tanh};

    #[test]
    fn exp_matches_the_standard_library() {
        for i in -87_000..88_000_i32 {
            let x = i as f32 / 1000.0;
            let want = f64::from(x).exp();
            let got = f64::from(exp(x));
            assert!(
                (got / want - 1.0).abs() < 3e-7,
                "exp({x}) = {got}, not {want}"
            );
        }
        assert!(exp(-1000.0) < 2e-38 && exp(f32::NAN).is_nan());
    }

    #[test]
    fn tanh_matches_the_standard_library() {
        for i in -20_000..20_000_i32 {
            let x = i as f32 / 2000.0;
            let want = f64::from(x).tanh();
            let got = f64::from(tanh(x));
            assert!(
                (got - want).abs() <= 3e-7 * want.abs(),
                "tanh({x}) = {got}, not {want}"
            );
        }
        assert!((tanh(1e30) - 1.0).abs() < 1e-7 && tanh(f32::NAN).is_nan());
    }

    #[test]
    fn reductions_cover_the_remainder() {
        let x: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert!((sum_of(&x, |x| x) - 666.0).abs() < 1e-3);
        assert!((dot(&x, &x) - 16206.0).abs() < 1e-1);
        assert!((max(&x) - 36.0).abs() < f32::EPSILON);
    }
}
