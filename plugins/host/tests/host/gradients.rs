//! The loss and its gradient across the boundary equal the same formula computed on candle directly, down to the logits.

use crate::common::method;
use candle_core::{D, DType, Device, Result, Tensor, Var};
use harness_host::{Progress, Role, StepSource};
use serde_json::{Value, json};

const FORGET: [usize; 3] = [3, 1, 4];
const RETAIN: [usize; 2] = [2, 3];
const VOCABULARY: usize = 7;

/// A model whose weights are its logits: one row a token, of which the first entry is the label's.
struct Logits {
    forget: Var,
    retain: Var,
    reference: Tensor,
}

impl Logits {
    fn new(scale: f64) -> Self {
        let logits = |tokens: usize, phase: f64| {
            let count = tokens * VOCABULARY;
            let values: Vec<f32> = (0..count)
                .map(|i| (scale * (phase + 1.7 * i as f64).sin()) as f32)
                .collect();
            Tensor::from_vec(values, (tokens, VOCABULARY), &Device::Cpu).unwrap()
        };
        let var = |tensor| Var::from_tensor(&tensor).unwrap();
        Self {
            forget: var(logits(FORGET.iter().sum(), 0.3)),
            retain: var(logits(RETAIN.iter().sum(), 0.9)),
            reference: logits(FORGET.iter().sum(), 0.35),
        }
    }
}

fn label_logprobs(logits: &Tensor) -> Result<Tensor> {
    let normalised = logits.broadcast_sub(&logits.log_sum_exp(D::Minus1)?.unsqueeze(1)?)?;
    normalised.narrow(1, 0, 1)?.squeeze(1)
}

impl StepSource for Logits {
    fn token_logprobs(&self, role: Role) -> Result<Tensor> {
        match role {
            Role::Forget => label_logprobs(&self.forget),
            _ => label_logprobs(&self.retain),
        }
    }

    fn reference_token_logprobs(&self, _role: Role) -> Result<Tensor> {
        label_logprobs(&self.reference)
    }

    fn answer_lengths(&self, role: Role) -> Vec<usize> {
        match role {
            Role::Forget => FORGET.to_vec(),
            _ => RETAIN.to_vec(),
        }
    }

    fn progress(&self, _: Progress) -> f64 {
        0.0
    }

    fn seed(&self) -> u64 {
        0
    }
}

/// Row sums by plain slicing.
fn row_sums(tokens: &Tensor, lengths: &[usize]) -> Result<Tensor> {
    let mut start = 0;
    let rows = lengths.iter().map(|&length| {
        start += length;
        tokens.narrow(0, start - length, length)?.sum_all()
    });
    Tensor::stack(&rows.collect::<Result<Vec<_>>>()?, 0)
}

fn grad_diff(source: &Logits, gamma: f64, alpha: f64) -> Result<Tensor> {
    let forget = source.token_logprobs(Role::Forget)?.mean_all()?;
    let retain = source.token_logprobs(Role::Retain)?.mean_all()?.neg()?;
    (forget * gamma)? + (retain * alpha)?
}

fn npo(source: &Logits, beta: f64) -> Result<Tensor> {
    let policy = row_sums(&source.token_logprobs(Role::Forget)?, &FORGET)?;
    let reference = row_sums(&source.reference_token_logprobs(Role::Forget)?, &FORGET)?;
    // -log sigmoid(-z) = log(1 + e^z), without care for overflow.
    let softplus = ((policy - reference)? * beta)?
        .exp()?
        .affine(1.0, 1.0)?
        .log()?;
    let forget = (softplus.mean_all()? * (2.0 / beta))?;
    forget + source.token_logprobs(Role::Retain)?.mean_all()?.neg()?
}

/// Largest difference relative to the largest element.
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    let values = |t: &Tensor| {
        let flat = t.flatten_all().unwrap().to_dtype(DType::F64).unwrap();
        flat.to_vec1::<f64>().unwrap()
    };
    let (a, b) = (values(a), values(b));
    let largest = b.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    let differences = a.iter().zip(&b).map(|(x, y)| (x - y).abs());
    assert!(largest > 0.0, "a gradient of zeros proves nothing");
    differences.fold(0.0, f64::max) / largest
}

#[track_caller]
fn assert_same(id: &str, options: &Value, direct: impl Fn(&Logits) -> Result<Tensor>) {
    let source = Logits::new(1.5);
    let step = method(id).create(options).unwrap().loss(&source).unwrap();
    let expected = direct(&source).unwrap();
    assert!(
        distance(&step.loss, &expected) < 1e-6,
        "{} {expected}",
        step.loss
    );
    let (across, direct) = (step.loss.backward().unwrap(), expected.backward().unwrap());
    for var in [&source.forget, &source.retain] {
        let error = distance(across.get(var).unwrap(), direct.get(var).unwrap());
        assert!(error < 1e-6, "{id}: gradients differ by {error}");
    }
}

#[test]
fn grad_diff_equals_its_direct_computation() {
    assert_same(
        "grad_diff",
        &json!({"gamma": 0.7, "alpha": 1.9}),
        |source| grad_diff(source, 0.7, 1.9),
    );
}

#[test]
fn npo_equals_its_direct_computation() {
    for beta in [0.1, 1.0] {
        assert_same("npo", &json!({ "beta": beta }), |source| npo(source, beta));
    }
}

#[test]
fn npo_at_the_reference_has_the_gradient_of_gradient_ascent_on_sequences() {
    let mut source = Logits::new(1.0);
    source.reference = source.forget.as_tensor().copy().unwrap();
    let options = json!({"alpha": 0.0});
    let step = method("npo")
        .create(&options)
        .unwrap()
        .loss(&source)
        .unwrap();
    assert!(
        (f64::from(step.value) - 20.0 * 2.0_f64.ln()).abs() < 1e-5,
        "{}",
        step.value
    );
    let ascent = row_sums(&source.token_logprobs(Role::Forget).unwrap(), &FORGET).unwrap();
    let expected = ascent.mean_all().unwrap().backward().unwrap();
    let got = step.loss.backward().unwrap();
    let error = distance(
        got.get(&source.forget).unwrap(),
        expected.get(&source.forget).unwrap(),
    );
    assert!(error < 1e-6, "gradients differ by {error}");
}

#[test]
fn npo_stays_finite_far_from_the_reference() {
    let mut source = Logits::new(200.0);
    source.reference = (&source.reference * -1.0).unwrap();
    let options = json!({"beta": 5.0});
    let step = method("npo")
        .create(&options)
        .unwrap()
        .loss(&source)
        .unwrap();
    let gradients = step.loss.backward().unwrap();
    let gradient = gradients.get(&source.forget).unwrap();
    let total = gradient
        .abs()
        .unwrap()
        .sum_all()
        .unwrap()
        .to_scalar::<f32>()
        .unwrap();
    assert!(total.is_finite() && total > 0.0, "{total}");
}
