//! Methods that own their loop, on the tiny model: a short run that must end by itself, with finite weights, and twice the same. It refuses to
//! judge what was learned.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{Error, Result as CandleResult};
use harness_bench::unlearn::{BatchSource, LoopParts, OwnLoop, RememberedAnswers, TrainingOptions};
use harness_host::{HostError, LoadedMethod, Role, Trained};
use harness_model::train::AnswerBatch;
use harness_model::{Decoder, PassFlops};
use serde_json::Value;

use super::tiny::{IN_ORDER, TURNED, Tiny};
use crate::text;

/// Optimiser steps that a run may take.
const STEPS: usize = 4;

/// The tiny batches again and again, their rows turned every other time.
struct Turning<'a> {
    tiny: &'a Tiny,
    method: &'a LoadedMethod,
    drawn: usize,
}

impl BatchSource for Turning<'_> {
    fn draw(&mut self) -> CandleResult<BTreeMap<Role, AnswerBatch>> {
        self.drawn += 1;
        let order = if self.drawn % 2 == 1 {
            IN_ORDER
        } else {
            TURNED
        };
        Ok(self.tiny.step(self.method, order).batches)
    }

    fn epoch(&self) -> f64 {
        self.drawn.saturating_sub(1) as f64
    }

    fn documents(&self, _: Role) -> Vec<usize> {
        IN_ORDER.into()
    }

    fn remembered(&self, _: &Decoder, _: Role) -> CandleResult<Option<RememberedAnswers>> {
        Ok(None)
    }
}

/// Lets a new instance train the tiny model.
pub(super) fn train(
    tiny: &Tiny,
    method: &LoadedMethod,
    options: &Value,
) -> Result<Trained, HostError> {
    let settings = TrainingOptions {
        steps: STEPS,
        learning_rate: 1e-3,
        ..TrainingOptions::default()
    };
    let batches = Turning {
        tiny,
        method,
        drawn: 0,
    };
    let freeze = |values: &_| {
        let weights = tiny.weights.with_values(values).map_err(Error::wrap)?;
        Decoder::new(tiny.policy.spec().clone(), &weights).map_err(Error::wrap)
    };
    let run = OwnLoop::new(LoopParts {
        policy: &tiny.policy,
        original: Some(&tiny.reference),
        variables: &tiny.variables,
        freeze: &freeze,
        batches: RefCell::new(Box::new(batches)),
        costs: [&tiny.policy, &tiny.reference].map(|model| PassFlops::frozen(model.spec())),
        options: &settings,
        report: RefCell::new(Box::new(|_, _| Ok(true))),
    });
    method.create(options)?.train(&run)
}

/// The bits of all weights.
fn bits(tiny: &Tiny) -> Result<Vec<u32>, String> {
    let mut bits = Vec::new();
    for variable in tiny.variables.values() {
        let values = variable
            .flatten_all()
            .and_then(|flat| flat.to_vec1::<f32>());
        bits.extend(values.map_err(text)?.into_iter().map(f32::to_bits));
    }
    Ok(bits)
}

/// Whether a run ends by itself, with finite weights.
pub(super) fn ends(method: &LoadedMethod, options: &Value) -> Result<String, String> {
    let trained = train(&Tiny::new()?, method, options).map_err(text)?;
    Ok(format!("after {} of {STEPS} steps", trained.finished_steps))
}

/// Whether the same run leaves the same weights.
pub(super) fn repeats(method: &LoadedMethod, options: &Value) -> Result<String, String> {
    let weights = || {
        let tiny = Tiny::new()?;
        train(&tiny, method, options).map_err(text)?;
        bits(&tiny)
    };
    if weights()? == weights()? {
        return Ok("all weights".into());
    }
    Err("the same run left other weights the second time".into())
}
