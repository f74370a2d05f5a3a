//! A method that does wrong whatever its options ask for, through the SDK. For the host's tests; it refuses to be useful.

use std::cell::RefCell;

use harness_sdk::prelude::*;

options! {
    /// Does wrong on demand.
    pub struct Misbehaving {
        /// What to do.
        fault: String = String::from("none"),
        /// An integer, for the option parser's tests.
        count: u64 = 3,
        /// A switch, likewise.
        switch: bool = false,
    }
}

thread_local! {
    static KEPT: RefCell<Option<Tensor>> = const { RefCell::new(None) };
}

impl Method for Misbehaving {
    const ID: &'static str = "misbehaving";
    const NEEDS: Needs = Needs::NONE;

    fn check(&self) -> Result<()> {
        assert_ne!(self.fault, "panic in create", "told to panic");
        if self.fault == "refuse" {
            return Err(Error::new("fault must not be refuse"));
        }
        Ok(())
    }

    fn loss(&self, step: &Step) -> Result<Tensor> {
        let loss = -step.nll(Forget);
        match self.fault.as_str() {
            "none" => Ok(loss),
            "messages" => {
                step.info("as you wish");
                step.warn("careful");
                Ok(loss)
            }
            "error" => Err(Error::new("told to fail")),
            "panic" => panic!("told to panic"),
            "shapes" => Ok((step.policy(Forget) + step.token_logprobs(Forget))
                .exp()
                .mean()),
            "vector" => Ok(step.policy(Forget)),
            "nan" => Ok(loss.log()),
            "constant" => Ok(loss.detach()),
            "undeclared" => Ok(loss + step.nll(Retain)),
            "undeclared reference" => Ok(loss + step.reference(Forget).mean()),
            "log vector" => {
                step.log("vector", &step.policy(Forget));
                Ok(loss)
            }
            "log twice" => {
                step.log("loss", &loss);
                step.log("loss", &loss);
                Ok(loss)
            }
            "checked" => {
                (step.policy(Forget) - step.constants(&[1.0])).check()?;
                Ok(loss)
            }
            // The tensor of an earlier step: returned as it is, and used in this step.
            "stale" => Ok(KEPT.replace(Some(loss.clone())).unwrap_or(loss)),
            "stale input" => {
                let kept = KEPT.replace(Some(loss.clone()));
                Ok(kept.map_or(loss.clone(), |kept| loss + kept))
            }
            other => Err(Error::new(format!("fault `{other}` is unknown"))),
        }
    }
}

export_method!(Misbehaving);
