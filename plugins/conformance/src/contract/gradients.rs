//! Gradients against central differences of the loss along directions in the space of weights. Values whose gradient the method cut, a teacher
//! that is the policy itself among them, are held where they were: it refuses to take a cut for an error.

use std::cell::{Cell, RefCell};

use candle_core::{Device, Result as CandleResult, Tensor, bail};
use harness_bench::unlearn::ModelStep;
use harness_host::{
    LoadedMethod, MeasureRequest, Model, Positions, Progress, Role, StepLoss, StepSource,
};
use harness_model::train::Gradient;
use serde_json::Value;

use super::tiny::{IN_ORDER, Tiny};
use crate::text;

/// Weights that are looked at by themselves, besides all together.
const TENSORS: usize = 3;
/// The longer step in the space of weights: such that the loss changes by about this share of it, but of a length between the two.
const SHARE: f64 = 0.005;
const LENGTHS: (f64, f64) = (0.02, 0.1);
/// Error of a slope, relative to the length of the gradient, beside what rounding the loss does.
const TOLERANCE: f64 = 0.02;

/// A step whose cut values are recorded, then held.
struct Held<'a> {
    step: ModelStep<'a>,
    /// The same, with the policy as it was for a reference.
    snapshot: ModelStep<'a>,
    cut: &'a RefCell<Vec<Tensor>>,
    /// Which of the recorded values is next; `None` while they are recorded.
    next: Option<Cell<usize>>,
}

impl StepSource for Held<'_> {
    fn token_logprobs(&self, role: Role) -> CandleResult<Tensor> {
        self.step.token_logprobs(role)
    }

    fn reference_token_logprobs(&self, role: Role) -> CandleResult<Tensor> {
        self.step.reference_token_logprobs(role)
    }

    fn answer_lengths(&self, role: Role) -> Vec<usize> {
        self.step.answer_lengths(role)
    }

    fn position_counts(&self, role: Role, positions: Positions) -> CandleResult<Vec<usize>> {
        self.step.position_counts(role, positions)
    }

    fn measure(&self, request: &MeasureRequest) -> CandleResult<Tensor> {
        if request.teacher == Model::Reference {
            return self.step.measure(request);
        }
        let teacher = Model::Reference;
        self.snapshot.measure(&MeasureRequest {
            teacher,
            ..*request
        })
    }

    fn hidden_width(&self) -> usize {
        self.step.hidden_width()
    }

    fn hidden_squared_distance(
        &self,
        role: Role,
        positions: Positions,
        layer: usize,
        target: Option<&Tensor>,
    ) -> CandleResult<Tensor> {
        self.step
            .hidden_squared_distance(role, positions, layer, target)
    }

    fn hidden_length(
        &self,
        model: Model,
        role: Role,
        positions: Positions,
        layer: usize,
    ) -> CandleResult<Tensor> {
        self.step.hidden_length(model, role, positions, layer)
    }

    fn progress(&self, quantity: Progress) -> f64 {
        self.step.progress(quantity)
    }

    fn seed(&self) -> u64 {
        self.step.seed()
    }

    fn held(&self, values: Tensor) -> CandleResult<Tensor> {
        let Some(next) = &self.next else {
            self.cut.borrow_mut().push(values.detach());
            return Ok(values);
        };
        let place = next.replace(next.get() + 1);
        match self.cut.borrow().get(place) {
            Some(held) if held.dims() == values.dims() => Ok(held.clone()),
            _ => bail!("the method cut other values than in the step before"),
        }
    }

    fn device(&self) -> Device {
        self.step.device()
    }
}

/// The tiny model's losses with cut values held.
struct Slopes<'a> {
    tiny: &'a Tiny,
    method: &'a LoadedMethod,
    options: &'a Value,
    cut: RefCell<Vec<Tensor>>,
}

impl Slopes<'_> {
    fn loss(&self, is_held: bool) -> Result<StepLoss, String> {
        let snapshot = ModelStep {
            reference: Some(&self.tiny.snapshot),
            ..self.tiny.step(self.method, IN_ORDER)
        };
        let source = Held {
            step: self.tiny.step(self.method, IN_ORDER),
            snapshot,
            cut: &self.cut,
            next: is_held.then(Cell::default),
        };
        let instance = self.method.create(self.options).map_err(text)?;
        instance.loss(&source).map_err(text)
    }

    /// The loss `length` along `direction`.
    fn loss_at(&self, direction: &[(String, Vec<f64>)], length: f64) -> Result<f64, String> {
        let mut before = Vec::new();
        for (name, values) in direction {
            let variable = &self.tiny.variables[name];
            before.push((variable, variable.copy().map_err(text)?));
            let step: Vec<f32> = values.iter().map(|value| (value * length) as f32).collect();
            let moved = Tensor::from_vec(step, variable.shape(), variable.device())
                .and_then(|step| variable.as_tensor() + step)
                .and_then(|moved| variable.set(&moved));
            moved.map_err(text)?;
        }
        let loss = self.loss(true);
        for (variable, value) in before {
            variable.set(&value).map_err(text)?;
        }
        Ok(f64::from(loss?.value))
    }

    /// The slope along `direction`: two central differences, extrapolated.
    fn slope(&self, direction: &[(String, Vec<f64>)], length: f64) -> Result<f64, String> {
        let difference = |length: f64| -> Result<f64, String> {
            let rise = self.loss_at(direction, length)? - self.loss_at(direction, -length)?;
            Ok(rise / (2.0 * length))
        };
        Ok((4.0 * difference(length / 2.0)? - difference(length)?) / 3.0)
    }
}

impl Slopes<'_> {
    /// Compares the gradients of some weights with the slope along a direction, of a loss of about this size; the relative error.
    fn compare(
        &self,
        what: &str,
        chosen: &[(String, Vec<f64>)],
        seed: Option<u64>,
        size: f64,
    ) -> Result<f64, String> {
        let gradient: Vec<f64> = chosen
            .iter()
            .flat_map(|(_, values)| values)
            .copied()
            .collect();
        let direction = direction(&gradient, seed);
        let expected: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let mut rest = direction.as_slice();
        let split = chosen.iter().map(|(name, values)| {
            let (own, others) = rest.split_at(values.len());
            rest = others;
            (name.clone(), own.to_vec())
        });
        let steepness = length(&gradient);
        let step = (SHARE * size / steepness).clamp(LENGTHS.0, LENGTHS.1);
        let found = self.slope(&split.collect::<Vec<_>>(), step)?;
        // What rounding a loss of this size does to an extrapolated slope.
        let noise = 6.0 * f64::from(f32::EPSILON) * size.max(1.0) / step;
        let error = (found - expected).abs();
        if error > TOLERANCE * steepness + noise || error.is_nan() {
            return Err(format!(
                "{what}: the loss rises by {found:.5}, its gradient says {expected:.5}"
            ));
        }
        Ok((error - noise).max(0.0) / steepness.max(f64::MIN_POSITIVE))
    }
}

/// Compares the gradient with differences, along itself for all weights, and between itself and a random direction for a few.
pub(super) fn check(tiny: &Tiny, method: &LoadedMethod, options: &Value) -> Result<String, String> {
    let slopes = Slopes {
        tiny,
        method,
        options,
        cut: RefCell::default(),
    };
    let loss = slopes.loss(false)?;
    let gradients = tiny.gradients(&loss)?;
    let values = |gradient: Gradient| -> Vec<f64> {
        let values = gradient.values().unwrap_or_default();
        values.iter().map(|&value| f64::from(value)).collect()
    };
    let all: Vec<(String, Vec<f64>)> = tiny
        .variables
        .iter()
        .map(|(name, variable)| {
            let found = gradients.get(name).map(values);
            (
                name.clone(),
                found.unwrap_or_else(|| vec![0.0; variable.elem_count()]),
            )
        })
        .collect();
    let size = f64::from(loss.value).abs();
    let mut worst = slopes.compare("along the gradient", &all, None, size)?;
    for draw in 0..TENSORS {
        let chosen = (draw * 7 + 3) % all.len();
        let seed = Some(draw as u64 + 1);
        let error = slopes.compare(&all[chosen].0, &all[chosen..=chosen], seed, size)?;
        worst = worst.max(error);
    }
    Ok(format!("within {worst:.0e} of its length"))
}

/// A direction of length 1: the gradient's, mixed with a random one if there is a seed.
fn direction(gradient: &[f64], seed: Option<u64>) -> Vec<f64> {
    let mut state = seed.unwrap_or_default();
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / f64::from(1u32 << 31) - 0.5
    };
    let noise: Vec<f64> = gradient.iter().map(|_| random()).collect();
    let share = f64::from(u8::from(seed.is_some())) / length(&noise);
    let own = 1.0 / length(gradient).max(f64::MIN_POSITIVE);
    let mixed = gradient
        .iter()
        .zip(&noise)
        .map(|(g, r)| g * own + r * share);
    let mixed: Vec<f64> = mixed.collect();
    let scale = 1.0 / length(&mixed).max(f64::MIN_POSITIVE);
    mixed.iter().map(|value| value * scale).collect()
}

fn length(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}
