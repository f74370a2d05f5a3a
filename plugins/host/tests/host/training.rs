//! Methods that own their loop, on a model of two parameters: what they may do, and what they are told when they do wrong.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, Var, bail};
use harness_host::{
    FinishedStep, HostError, LoadedMethod, MethodInstance, ParameterMap, ParameterOptimizer,
    Progress, Role, StepSource, Tier, TrainingRun,
};
use serde_json::{Value, json};

use crate::common::{Batches, fixture, method};

const STEPS: usize = 3;

/// Log-probabilities of three forget tokens: −a² − Σ b².
struct Run {
    parameters: BTreeMap<String, Var>,
    records: RefCell<Vec<FinishedStep>>,
    batches: Cell<usize>,
    spawned: RefCell<BTreeMap<u32, ParameterMap>>,
    seed: u64,
    stops_after: usize,
}

impl Run {
    fn new() -> Self {
        let var = |values: &[f32], shape: &[usize]| {
            let tensor = Tensor::from_slice(values, shape, &Device::Cpu).unwrap();
            Var::from_tensor(&tensor).unwrap()
        };
        Self {
            parameters: BTreeMap::from([
                ("layers.0.a".to_owned(), var(&[0.5, -1.5, 2.0], &[3])),
                (
                    "layers.1.b".to_owned(),
                    var(&[1.0, 3.0, -0.25, 0.0], &[2, 2]),
                ),
            ]),
            records: RefCell::default(),
            batches: Cell::new(0),
            spawned: RefCell::default(),
            seed: 5,
            stops_after: usize::MAX,
        }
    }

    /// All elements in the order of the names.
    fn values(&self) -> Vec<f32> {
        let flat = |var: &Var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        self.parameters.values().flat_map(flat).collect()
    }

    fn train(&self, act: &str) -> std::result::Result<u64, HostError> {
        self.train_with(&trainer(&json!({ "act": act })))
    }

    fn train_with(&self, instance: &MethodInstance) -> std::result::Result<u64, HostError> {
        instance.train(self).map(|trained| trained.finished_steps)
    }
}

fn logprobs(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    a.sqr()?.neg()?.broadcast_sub(&b.sqr()?.sum_all()?)
}

fn trainer(options: &Value) -> MethodInstance {
    let method = LoadedMethod::open(&fixture("trainer")).unwrap();
    method.create(options).unwrap()
}

impl StepSource for Run {
    fn token_logprobs(&self, _: Role) -> Result<Tensor> {
        let [a, b] = ["layers.0.a", "layers.1.b"].map(|name| self.parameters[name].as_tensor());
        logprobs(a, b)
    }

    fn spawned_token_logprobs(&self, model: u32, _: Role) -> Result<Tensor> {
        let set = &self.spawned.borrow()[&model];
        logprobs(&set["layers.0.a"], &set["layers.1.b"])
    }

    fn reference_token_logprobs(&self, _: Role) -> Result<Tensor> {
        bail!("there is no original here")
    }

    fn answer_lengths(&self, _: Role) -> Vec<usize> {
        vec![2, 1]
    }

    fn progress(&self, _: Progress) -> f64 {
        STEPS as f64
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}

impl TrainingRun for Run {
    fn next_batch(&self) -> Result<()> {
        self.batches.set(self.batches.get() + 1);
        Ok(())
    }

    fn parameters(&self) -> &BTreeMap<String, Var> {
        &self.parameters
    }

    fn gradients(&self, loss: &Tensor) -> Result<ParameterMap> {
        let gradients = loss.backward()?;
        let gradient = |(name, var): (&String, &Var)| {
            Some((name.clone(), gradients.get(var.as_tensor())?.clone()))
        };
        Ok(self.parameters.iter().filter_map(gradient).collect())
    }

    fn parameters_changed(&self) {}

    fn learning_rate(&self) -> f64 {
        0.5
    }

    fn is_cancelled(&self) -> bool {
        self.records.borrow().len() >= self.stops_after
    }

    fn optimizer(&self, kind: &str, _: &Value) -> Result<Box<dyn ParameterOptimizer>> {
        if kind == "sgd" {
            return Ok(Box::new(Descent(self.parameters.clone())));
        }
        bail!("no optimiser is called `{kind}`")
    }

    fn spawn(&self, model: u32, parameters: &ParameterMap) -> Result<()> {
        let before = self.spawned.borrow_mut().insert(model, parameters.clone());
        assert!(before.is_none() && model >= 16);
        Ok(())
    }

    fn drop_model(&self, model: u32) {
        assert!(self.spawned.borrow_mut().remove(&model).is_some());
    }

    fn finish_step(&self, finished: FinishedStep) -> Result<()> {
        self.records.borrow_mut().push(finished);
        Ok(())
    }
}

struct Descent(BTreeMap<String, Var>);

impl ParameterOptimizer for Descent {
    fn step(&mut self, gradients: &ParameterMap, rate: f64) -> Result<f64> {
        let mut squares = 0.0;
        for (name, var) in &self.0 {
            let gradient = &gradients[name];
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
            if !squares.is_finite() {
                bail!("the gradient's norm is {squares}")
            }
            var.set(&(var.as_detached_tensor() - gradient.affine(rate, 0.0)?)?)?;
        }
        Ok(squares.sqrt())
    }
}

#[track_caller]
fn assert_refused(act: &str, parts: &[&str]) {
    let run = Run::new();
    let message = run.train(act).unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "{act}: `{message}` lacks `{part}`");
    }
}

#[track_caller]
fn assert_untouched(act: &str, parts: &[&str]) {
    assert_refused(act, parts);
    let run = Run::new();
    run.train(act).unwrap_err();
    assert_eq!(run.values(), Run::new().values(), "{act}");
}

#[test]
fn a_step_follows_the_gradient_and_is_logged() {
    let run = Run::new();
    assert_eq!(run.train("step").unwrap(), 1);
    // The mean over three tokens: ∂a = 2a/3, ∂b = 2b; half of each is taken off.
    let expected: Vec<f32> = Run::new()
        .values()
        .iter()
        .enumerate()
        .map(|(place, value)| if place < 3 { value - value / 3.0 } else { 0.0 })
        .collect();
    for (got, expected) in run.values().iter().zip(expected) {
        assert!((got - expected).abs() < 1e-6, "{got} is not {expected}");
    }
    let records = run.records.borrow();
    assert_eq!((records.len(), run.batches.get()), (1, 1));
    let loss = (0.25 + 2.25 + 4.0) / 3.0 + 1.0 + 9.0 + 0.0625;
    assert!((records[0].loss - loss).abs() < 1e-6);
}

#[test]
fn sets_compute_what_candle_computes() {
    let run = Run::new();
    let w = run.values();
    run.train("algebra").unwrap();
    for (&w, got) in w.iter().zip(run.values()) {
        let expected = if w > 1.0 {
            ((2.0 * w + 1.0).powi(2) - w / 4.0).max(-w)
        } else {
            0.0
        };
        assert!((got - expected).abs() < 1e-5, "{got} is not {expected}");
    }
    let records = run.records.borrow();
    let logged: BTreeMap<&str, f64> = records[0]
        .logged
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let squares: f32 = w.iter().map(|w| w * w).sum();
    let sum: f32 = w.iter().sum();
    assert!((logged["norm"] - f64::from(squares).sqrt()).abs() < 1e-6);
    assert!((logged["dot"] - f64::from(squares + sum)).abs() < 1e-6);
    assert!(logged["left"].abs() < 1e-6, "orthogonal");
    // Sorted: -1.5 -0.25 0 0.5 1 2 3.
    assert!((logged["median"] - 0.5).abs() < 1e-6);
    assert!((logged["low"] - (-1.5 + 0.6 * 1.25)).abs() < 1e-6);
}

#[test]
fn a_training_without_a_step_leaves_everything() {
    let run = Run::new();
    assert_eq!(run.train("nothing").unwrap(), 0);
    assert_eq!(run.values(), Run::new().values());
}

#[test]
fn the_budget_ends_the_steps_by_name() {
    let run = Run::new();
    let error = run.train("too many steps").unwrap_err().to_string();
    assert!(
        error.contains("`step`") && error.contains("3 steps are used up"),
        "{error}"
    );
    assert!(error.contains("--steps"), "{error}");
    assert_eq!(run.records.borrow().len(), STEPS);
    assert_refused(
        "too many steps, unheard",
        &["in `train`", "`step`", "used up"],
    );
}

#[test]
fn a_run_that_is_to_end_says_so() {
    let run = Run {
        stops_after: 2,
        ..Run::new()
    };
    assert_eq!(run.train("until stopped").unwrap(), 2);
}

#[test]
fn a_panic_is_named_and_final() {
    let instance = trainer(&json!({ "act": "panic" }));
    let run = Run::new();
    let message = run.train_with(&instance).unwrap_err().to_string();
    assert!(
        message.contains("panicked in `train`: told to panic"),
        "{message}"
    );
    let again = run.train_with(&instance).unwrap_err();
    assert!(matches!(again, HostError::AfterPanic { .. }));
}

#[test]
fn tensors_lose_their_gradient_with_the_weights_and_their_value_with_the_batch() {
    assert_refused(
        "gradients of old weights",
        &["`gradients`", "weights have changed"],
    );
    assert_refused("tensor of an old batch", &["`gradients`", "stale"]);
    assert_refused("undeclared", &["does not declare that it needs `retain`"]);
}

#[test]
fn what_is_not_finite_reaches_no_weight() {
    assert_untouched("broken set", &["`update`", "not finite", "layers.0.a"]);
    assert_untouched("broken gradients", &["`step`", "norm"]);
    assert_refused("broken weights", &["`train` left layers.0.a"]);
}

#[test]
fn parameters_are_chosen_by_their_whole_names() {
    let run = Run::new();
    let act = |pattern: &str| trainer(&json!({ "act": "zero", "pattern": pattern }));
    run.train_with(&act(r"layers\.\d+\.b")).unwrap();
    assert_eq!(run.values(), [0.5, -1.5, 2.0, 0.0, 0.0, 0.0, 0.0]);
    let error = run.train_with(&act("layers.0.c")).unwrap_err().to_string();
    assert!(error.contains("did you mean `layers.0.a`"), "{error}");
    let error = run.train_with(&act("layers")).unwrap_err().to_string();
    assert!(error.contains("no parameter's whole name"), "{error}");
    let error = run.train_with(&act("(")).unwrap_err().to_string();
    assert!(error.contains("pattern `(`"), "{error}");
}

#[test]
fn random_sets_follow_from_seed_and_name() {
    let drawn = |seed| {
        let run = Run { seed, ..Run::new() };
        run.train("draw").unwrap();
        run.values()
    };
    assert_eq!(drawn(5), drawn(5));
    assert_ne!(drawn(5), drawn(6));
    // Two parameters do not begin alike.
    assert_ne!(drawn(5)[..3], drawn(5)[3..6]);
}

#[test]
fn a_change_is_turned_round_and_scaled() {
    let (forth, back) = (Run::new(), Run::new());
    forth.train("step").unwrap();
    back.train("turn round").unwrap();
    let start = Run::new().values();
    for ((start, forth), back) in start.iter().zip(forth.values()).zip(back.values()) {
        let expected = start - 2.0 * (forth - start);
        assert!((back - expected).abs() < 1e-5, "{back} is not {expected}");
    }
}

#[test]
fn a_second_model_stays_what_it_was_and_goes_when_it_is_dropped() {
    let run = Run::new();
    run.train("second model").unwrap();
    let records = run.records.borrow();
    let logged: BTreeMap<_, _> = records[1].logged.iter().cloned().collect();
    assert!((logged["second"] - logged["before"]).abs() < 1e-6);
    assert!((logged["second"] - logged["after"]).abs() > 1e-2);
    assert!(run.spawned.borrow().is_empty());
    assert_refused(
        "dropped model",
        &["`measure`", "model code 16 names no model"],
    );
    assert_refused("gradient of a second model", &["`gradients`", "constant"]);
    assert_untouched(
        "broken second model",
        &["`spawn`", "not finite", "layers.0.a"],
    );
}

#[test]
fn an_optimiser_of_another_name_is_refused() {
    let instance = trainer(&json!({ "act": "optimizer", "pattern": "sdg" }));
    let error = Run::new().train_with(&instance).unwrap_err().to_string();
    assert!(error.contains("`sdg`"), "{error}");
}

#[test]
fn garbage_is_answered_with_errors() {
    let method = LoadedMethod::open(&fixture("hostile_trainer")).unwrap();
    let run = Run::new();
    // Twice, so that the second training tries the context of the first.
    for _ in 0..2 {
        let instance = method.create(&json!({})).unwrap();
        let error = run.train_with(&instance).unwrap_err().to_string();
        // It goes on after each refusal; the host reports the first.
        assert!(
            error.contains("in `train`, operation `set_weights` failed"),
            "{error}"
        );
        assert!(
            error.contains("names a tensor of the step, not a parameter set"),
            "{error}"
        );
        assert_eq!(run.values(), Run::new().values());
    }
}

#[test]
fn the_tiers_are_told_apart() {
    let loss = method("npo");
    assert_eq!(loss.tier(), Tier::Loss);
    let error = loss.create(&json!({})).unwrap().train(&Run::new());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("has no `train`; it is a loss"), "{error}");
    let own = LoadedMethod::open(&fixture("trainer")).unwrap();
    assert_eq!(own.tier(), Tier::Trainer);
    let error = trainer(&json!({})).loss(&Batches::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has no `loss`; it owns its loop"),
        "{error}"
    );
}
