//! What must hold for the methods' losses whatever the model says: identities of the formulas, over hundreds of draws of random logits, through
//! the libraries. Sources of the formulas are the papers that the methods' READMEs name.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod logits;

use harness_host::{LoadedMethod, MethodPath, Role, StepLoss};
use serde_json::{Value, json};

use logits::{Batch, Draws, LogitStep, VOCABULARY, logprobs};

const DRAWS: u64 = 200;

fn method(id: &str) -> LoadedMethod {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().unwrap().to_owned();
    MethodPath::new(vec![folder]).open(id).unwrap()
}

/// A step's loss and the gradient by a role's logits, row by row.
struct Outcome {
    loss: StepLoss,
    gradient: Vec<Vec<f64>>,
}

impl Outcome {
    fn logged(&self, name: &str) -> f64 {
        let found = self.loss.logged.iter().find(|(logged, _)| logged == name);
        found.unwrap().1
    }
}

fn run(method: &LoadedMethod, options: &Value, step: &LogitStep, role: Role) -> Outcome {
    let loss = method.create(options).unwrap().loss(step).unwrap();
    let gradients = loss.loss.backward().unwrap();
    let variable = step.batches[&role].policy.as_tensor();
    let gradient = gradients.get(variable);
    let gradient: Vec<Vec<f32>> = gradient.map_or_else(
        || vec![vec![0.0; VOCABULARY]; variable.dims()[0]],
        |gradient| gradient.to_vec2().unwrap(),
    );
    let wide = |row: Vec<f32>| row.into_iter().map(f64::from).collect();
    Outcome {
        loss,
        gradient: gradient.into_iter().map(wide).collect(),
    }
}

#[track_caller]
fn assert_close(found: f64, expected: f64, scale: f64, what: &str) {
    let error = (found - expected).abs();
    assert!(
        error <= 2e-5 * scale.max(1.0),
        "{what}: {found}, not {expected}"
    );
}

#[track_caller]
fn assert_rows_close(found: &[Vec<f64>], expected: &[Vec<f64>], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert_close(*found, *expected, expected.abs(), what);
    }
}

/// Gradient by the logits of a sum over answer tokens of `weight(sequence, token) · log p(token)`.
fn gradient_of_logprobs(batch: &Batch, weight: impl Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
    let mut places = batch
        .answers
        .iter()
        .enumerate()
        .flat_map(|(sequence, &count)| (0..count).map(move |token| (sequence, token)));
    let rows = batch.policy_rows();
    let rows = rows.iter().zip(&batch.labels);
    rows.map(|(row, label)| {
        let Some(label) = *label else {
            return vec![0.0; VOCABULARY];
        };
        let (sequence, token) = places.next().unwrap();
        let by_logit = |(place, logprob): (usize, &f64)| {
            weight(sequence, token) * (f64::from(u8::from(place == label)) - logprob.exp())
        };
        logprobs(row).iter().enumerate().map(by_logit).collect()
    })
    .collect()
}

fn sums(batch: &Batch, logits: &[Vec<f64>]) -> Vec<f64> {
    let answers = batch.answer_logprobs(logits);
    answers.iter().map(|tokens| tokens.iter().sum()).collect()
}

/// Forget, alternate and retain batches.
fn step(draws: &mut Draws, at_original: bool) -> LogitStep {
    let mut batch = || Batch::random(draws, 3, at_original);
    let roles = [Role::Forget, Role::Alternate, Role::Retain];
    roles
        .into_iter()
        .fold(LogitStep::default(), |step, role| step.with(role, batch()))
}

#[test]
fn npo_and_dpo_start_at_two_over_beta_times_log_two_with_the_gradient_of_ascent() {
    let (npo, dpo) = (method("npo"), method("dpo"));
    for seed in 0..DRAWS {
        let mut draws = Draws::new(seed);
        let beta = draws.between(0.05, 2.0);
        let options = json!({ "beta": beta, "alpha": 0.0 });
        let step = step(&mut draws, true);
        let forget = &step.batches[&Role::Forget];
        let ascent = gradient_of_logprobs(forget, |_, _| 1.0 / 3.0);
        for method in [&npo, &dpo] {
            let outcome = run(method, &options, &step, Role::Forget);
            let expected = 2.0 / beta * 2.0f64.ln();
            assert_close(outcome.logged("forget_loss"), expected, expected, "loss");
            assert_rows_close(&outcome.gradient, &ascent, "gradient");
        }
        let alternate = &step.batches[&Role::Alternate];
        let descent = gradient_of_logprobs(alternate, |_, _| -1.0 / 3.0);
        let outcome = run(&dpo, &options, &step, Role::Alternate);
        assert_rows_close(&outcome.gradient, &descent, "gradient of the other answer");
    }
}

#[test]
fn each_sequence_of_npo_weighs_twice_its_share_of_p_to_the_beta() {
    let npo = method("npo");
    for seed in 0..DRAWS {
        let mut draws = Draws::new(seed);
        let beta = draws.between(0.05, 2.0);
        let step = step(&mut draws, false);
        let forget = &step.batches[&Role::Forget];
        let own = sums(forget, &forget.policy_rows());
        let original = sums(forget, &forget.original_rows());
        // 2 p^β / (p^β + p_ref^β), without powers of small numbers.
        let weight = |row: usize| 2.0 / (1.0 + (beta * (original[row] - own[row])).exp());
        let expected = gradient_of_logprobs(forget, |row, _| weight(row) / 3.0);
        let options = json!({ "beta": beta, "alpha": 0.0 });
        let outcome = run(&npo, &options, &step, Role::Forget);
        assert_rows_close(&outcome.gradient, &expected, "gradient");
    }
}

#[test]
fn as_beta_goes_to_zero_npo_has_the_gradient_of_ascent() {
    let npo = method("npo");
    for seed in 0..DRAWS {
        let step = step(&mut Draws::new(seed), false);
        let forget = &step.batches[&Role::Forget];
        let ascent = gradient_of_logprobs(forget, |_, _| 1.0 / 3.0);
        let outcome = run(
            &npo,
            &json!({ "beta": 1e-6, "alpha": 0.0 }),
            &step,
            Role::Forget,
        );
        assert_rows_close(&outcome.gradient, &ascent, "gradient");
    }
}

#[test]
fn simnpo_pushes_an_answer_by_two_over_its_length_times_a_sigmoid_of_the_margin() {
    let simnpo = method("simnpo");
    for seed in 0..DRAWS {
        let mut draws = Draws::new(seed);
        let (beta, delta) = (draws.between(0.1, 5.0), draws.between(0.0, 2.0));
        let step = step(&mut draws, false);
        let forget = &step.batches[&Role::Forget];
        let own = sums(forget, &forget.policy_rows());
        let count = |row: usize| forget.answers[row] as f64;
        // S is the sum of losses: its slope is -(2/n) σ(β(δ − S/n)), and falls on every token.
        let slope = |row: usize| {
            let margin = beta * (delta + own[row] / count(row));
            -2.0 / count(row) / (1.0 + (-margin).exp())
        };
        let expected = gradient_of_logprobs(forget, |row, _| -slope(row) / 3.0);
        let options = json!({ "beta": beta, "delta": delta, "gamma": 1.0, "alpha": 0.0 });
        let outcome = run(&simnpo, &options, &step, Role::Forget);
        assert_rows_close(&outcome.gradient, &expected, "gradient");
    }
}

#[test]
fn wga_lowers_the_mean_probability_of_tokens() {
    let wga = method("wga");
    for seed in 0..DRAWS {
        let step = step(&mut Draws::new(seed), false);
        let forget = &step.batches[&Role::Forget];
        let own = forget.answer_logprobs(&forget.policy_rows());
        let tokens = forget.answers.iter().sum::<usize>() as f64;
        // ∇p = p ∇log p.
        let expected = gradient_of_logprobs(forget, |row, token| own[row][token].exp() / tokens);
        let outcome = run(&wga, &json!({ "alpha": 0.0 }), &step, Role::Forget);
        assert_rows_close(&outcome.gradient, &expected, "gradient");
    }
}

#[test]
fn ceu_moves_the_labels_mass_to_the_others_and_is_the_limit_of_undial() {
    let (ceu, undial) = (method("ceu"), method("undial"));
    for seed in 0..DRAWS {
        // UNDIAL's teacher is the original: the limit is where that is the policy.
        let step = step(&mut Draws::new(seed), true);
        let forget = &step.batches[&Role::Forget];
        let tokens = forget.answers.iter().sum::<usize>() as f64;
        let policy = forget.policy_rows();
        let rows = policy.iter().zip(&forget.labels);
        let expected: Vec<Vec<f64>> = rows
            .map(|(row, label)| {
                let p: Vec<f64> = logprobs(row).iter().map(|logprob| logprob.exp()).collect();
                let by_logit = |place: usize| match *label {
                    None => 0.0,
                    Some(label) if label == place => p[label],
                    Some(label) => -p[place] * p[label] / (1.0 - p[label]),
                };
                (0..VOCABULARY)
                    .map(|place| by_logit(place) / tokens)
                    .collect()
            })
            .collect();
        let ceu = run(&ceu, &json!({ "ignore_first": 0 }), &step, Role::Forget);
        assert_rows_close(&ceu.gradient, &expected, "gradient");
        let limit = run(&undial, &json!({ "beta": 1e4 }), &step, Role::Forget);
        assert_rows_close(&limit.gradient, &expected, "gradient in the limit");
        let (found, limit) = (f64::from(ceu.loss.value), f64::from(limit.loss.value));
        assert_close(found, limit, limit, "loss in the limit");
    }
}

#[test]
fn pdus_forget_loss_is_zero_exactly_where_logits_are_flat() {
    let pdu = method("pdu");
    let options = json!({ "retain_loss_eps": 1.0 });
    for seed in 0..DRAWS {
        let mut draws = Draws::new(seed);
        let level = draws.between(-9.0, 9.0) as f32;
        let step = step(&mut draws, false);
        assert!(run(&pdu, &options, &step, Role::Forget).logged("forget_loss") > 1e-3);
        let forget = &step.batches[&Role::Forget].policy;
        let flat = forget.zeros_like().unwrap().affine(1.0, f64::from(level));
        forget.set(&flat.unwrap()).unwrap();
        let loss = run(&pdu, &options, &step, Role::Forget).logged("forget_loss");
        assert!(loss < 1e-10, "{loss}");
    }
}

#[test]
fn the_divergence_from_the_original_is_zero_there_with_its_gradient_and_nowhere_else() {
    let kl_min = method("kl_min");
    let options = json!({ "gamma": 0.0 });
    for seed in 0..DRAWS {
        let at_rest = step(&mut Draws::new(seed), true);
        let outcome = run(&kl_min, &options, &at_rest, Role::Retain);
        assert_close(outcome.logged("retain_loss"), 0.0, 1.0, "divergence");
        let zero = vec![vec![0.0; VOCABULARY]; outcome.gradient.len()];
        assert_rows_close(&outcome.gradient, &zero, "gradient");
        let moved = step(&mut Draws::new(seed), false);
        let outcome = run(&kl_min, &options, &moved, Role::Retain);
        assert!(outcome.logged("retain_loss") > 1e-3);
    }
}

#[test]
fn llmus_normal_term_is_the_divergence_plus_the_originals_entropy() {
    let (llmu, kl_min) = (method("llmu"), method("kl_min"));
    let only_normal = json!({ "bad_weight": 0.0, "random_weight": 0.0 });
    for seed in 0..DRAWS {
        let batch = |seed: u64| Batch::random(&mut Draws::new(seed), 3, false);
        let step = LogitStep::default()
            .with(Role::Forget, batch(seed + DRAWS))
            .with(Role::Mismatch, batch(seed + 2 * DRAWS))
            .with(Role::Normal, batch(seed))
            .with(Role::Retain, batch(seed));
        let rows = step.batches[&Role::Normal].original_rows();
        let entropy = |row: &Vec<f64>| -> f64 {
            logprobs(row)
                .iter()
                .map(|logprob| -logprob.exp() * logprob)
                .sum()
        };
        let entropy = rows.iter().map(entropy).sum::<f64>() / rows.len() as f64;
        let normal = run(&llmu, &only_normal, &step, Role::Normal);
        let divergence = run(&kl_min, &json!({ "gamma": 0.0 }), &step, Role::Retain);
        let expected = divergence.logged("retain_loss") + entropy;
        assert_close(normal.logged("normal_loss"), expected, expected, "loss");
        assert_rows_close(&normal.gradient, &divergence.gradient, "gradient");
    }
}
