//! A method that applies one operation of the contract, chosen by option. For the tests that compare host and rig; it refuses to unlearn.
#![allow(missing_docs, reason = "a test includes this file as a module")]

use harness_sdk::prelude::*;

options! {
    /// Applies one operation to the forget batch's log-probabilities x, and those of the retain batch, y, where it takes two.
    pub struct Operations {
        /// The operation, or an operator as in `2 - x`.
        operation: String = String::from("x + y"),
    }
}

impl Operations {
    fn apply(&self, step: &Step) -> Result<Tensor> {
        let (x, y) = (step.token_logprobs(Forget), step.token_logprobs(Retain));
        Ok(match self.operation.as_str() {
            "x + y" => x + y,
            "x - y" => x - y,
            "x * y" => x * y,
            "x / y" => x / y,
            "&x + &y" => &x + &y,
            "x - mean y" => x - y.mean(),
            "sum y / x" => y.sum() / x,
            "x + 2" => x + 2.0,
            "2 + x" => 2.0 + x,
            "x - 2" => x - 2.0,
            "2 - x" => 2.0 - x,
            "x * 2" => x * 2.0,
            "2 * x" => 2.0 * x,
            "x / 2" => x / 2.0,
            "2 / x" => 2.0 / x,
            "-x" => -x,
            "maximum" => x.maximum(&y),
            "minimum" => x.minimum(&y),
            "exp" => x.exp(),
            "log" => (-x).log(),
            "sigmoid" => x.sigmoid(),
            "log_sigmoid" => x.log_sigmoid(),
            "softplus" => x.softplus(),
            "tanh" => x.tanh(),
            "relu" => (x + 1.2).relu(),
            "square" => x.square(),
            "sqrt" => (-x).sqrt(),
            "sum" => x.sum(),
            "mean" => x.mean(),
            "detach" => x.detach() * x,
            "policy" => step.policy(Forget),
            "mean_per_sequence" => step.mean_per_sequence(Forget, &x.square()),
            "answer_tokens" => step.policy(Forget) * step.answer_tokens(Forget),
            "constants" => step.policy(Forget) * step.constants(&[0.5, -2.0]) + step.constant(3.0),
            other => return Err(Error::new(format!("operation `{other}` is unknown"))),
        })
    }
}

impl Method for Operations {
    const ID: &'static str = "operations";
    const NEEDS: Needs = Needs::RETAIN;

    fn loss(&self, step: &Step) -> Result<Tensor> {
        // Squared, so that each element's derivative is its own.
        Ok(self.apply(step)?.square().mean())
    }
}

export_method!(Operations);
