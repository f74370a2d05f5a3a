//! A method that owns its loop and does, right or wrong, what its option asks for. For the host's tests; it refuses to be useful.

use harness_sdk::prelude::*;

options! {
    /// Trains on demand.
    pub struct FixtureTrainer {
        /// What to do.
        act: String = String::from("step"),
        /// What a name must match.
        pattern: String = String::from(".*"),
    }
}

/// One step of plain descent.
fn step(run: &Training, optimizer: &Optimizer) -> Result<Tensor> {
    let loss = run.next_batch()?.nll(Forget);
    optimizer.step(&run.gradients(&loss), 0.5)?;
    run.finish_step(&loss)?;
    Ok(loss)
}

/// w ← max((2w + 1)² − w / 4, −w) · [w > 1], with numbers about w in the log.
fn algebra(run: &Training) -> Result<()> {
    let batch = run.next_batch()?;
    let w = run.weights();
    let log = |name, value| batch.log(name, &batch.constant(value));
    log("norm", w.norm()?);
    log("dot", w.dot(&(&w + 1.0))?);
    log("median", w.quantile(0.5)?);
    log("low", w.quantile(0.1)?);
    let along = &w + 1.0;
    log("left", w.without_component_along(&along)?.dot(&along)?);
    run.finish_step(&batch.nll(Forget))?;
    let curve = (2.0 * &w + 1.0).square() - &w / 4.0;
    run.set_weights(&(curve.maximum(&-&w) * w.above(1.0)))
}

/// Keeps a second model over a step; logs its numbers after it, and what the trained model's were before.
fn keep_second(run: &Training) -> Result<()> {
    let before = run.next_batch()?.nll(Forget).value()?;
    let second = run.spawn(&run.weights())?;
    step(run, &run.sgd()?)?;
    let batch = run.next_batch()?;
    batch.log("before", &batch.constant(before));
    batch.log(
        "second",
        &-batch.second_token_logprobs(&second, Forget).mean(),
    );
    batch.log("after", &batch.nll(Forget));
    run.finish_step(&batch.nll(Forget))
}

impl Trainer for FixtureTrainer {
    const ID: &'static str = "fixture_trainer";
    const NEEDS: Needs = Needs::NONE;

    fn train(&self, run: &Training) -> Result<()> {
        match self.act.as_str() {
            "nothing" => Ok(()),
            "step" => step(run, &run.sgd()?).map(drop),
            "algebra" => algebra(run),
            "too many steps" => {
                let optimizer = run.sgd()?;
                loop {
                    step(run, &optimizer)?;
                }
            }
            "too many steps, unheard" => {
                let optimizer = run.sgd()?;
                for _ in 0..=run.steps_left() {
                    let _ = step(run, &optimizer);
                }
                Ok(())
            }
            "until stopped" => {
                let optimizer = run.sgd()?;
                while !run.cancelled() {
                    step(run, &optimizer)?;
                }
                Ok(())
            }
            "panic" => {
                step(run, &run.sgd()?)?;
                panic!("told to panic")
            }
            "gradients of old weights" => {
                let loss = step(run, &run.sgd()?)?;
                // The value outlives the step; the gradient does not.
                loss.value()?;
                run.gradients(&loss).check()
            }
            "tensor of an old batch" => {
                let loss = run.next_batch()?.nll(Forget);
                run.next_batch()?;
                run.gradients(&loss).check()
            }
            "undeclared" => run.next_batch()?.nll(Retain).check(),
            "broken set" => {
                let set = (run.weights() * 0.0).log();
                run.update(&set, 1.0)
            }
            "broken weights" => {
                let set = (run.weights() * 0.0 + 1e38) * 3.0;
                run.update(&set, 1.0)?;
                run.update(&set, 1.0)
            }
            "broken gradients" => {
                let loss = run.next_batch()?.nll(Forget);
                let gradients = run.gradients(&loss) / 0.0;
                run.sgd()?.step(&gradients, 0.5).map(drop)
            }
            "optimizer" => run.optimizer(&self.pattern, "{}").map(drop),
            "zero" => {
                let chosen = run.select(&self.pattern);
                run.set_weights(&(run.weights() * (1.0 - chosen)))
            }
            "draw" => run.set_weights(&run.normal(3)),
            "turn round" => {
                let before = run.weights();
                step(run, &run.sgd()?)?;
                run.scale_change(&before, -2.0)
            }
            other => with_second_model(run, other),
        }
    }
}

/// What goes wrong, or well, with a second model.
fn with_second_model(run: &Training, act: &str) -> Result<()> {
    match act {
        "second model" => keep_second(run),
        "gradient of a second model" => {
            let batch = run.next_batch()?;
            let second = run.spawn(&run.weights())?;
            let loss = batch.second_token_logprobs(&second, Forget).mean();
            run.gradients(&loss).check()
        }
        "dropped model" => {
            let batch = run.next_batch()?;
            let teacher = Teacher::second(&run.spawn(&run.weights())?);
            batch.divergence(Forget, Positions::Answer, teacher).check()
        }
        "broken second model" => run.spawn(&(run.weights() * 0.0).log()).map(drop),
        other => Err(Error::new(format!("act `{other}` is unknown"))),
    }
}

export_trainer!(FixtureTrainer);
