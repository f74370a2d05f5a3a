//! What a step asks of its source: batches, positions, measures. It refuses batches that the method did not declare, and numbers of another
//! shape than was asked for.

use candle_core::{DType, Tensor};
use harness_abi::{Handle, Measure, Positions, Role};

use super::Step;
use crate::error::plain;
use crate::fault::{Computed, Fault};
use crate::source::{MeasureRequest, Model};
use crate::{HostError, Need, compute};

impl Step<'_> {
    pub(crate) fn token_logprobs(&self, model: Model, role: Role) -> Computed {
        self.permit("token_logprobs", model, role)?;
        if let Some(batch) = self.state.borrow().batches.get(&(model, role)) {
            return batch.clone();
        }
        let batch = self.fetch(model, role).map_err(|cause| {
            let fault = Fault::new("token_logprobs", &cause);
            self.fail_source(role, cause);
            fault
        });
        self.state
            .borrow_mut()
            .batches
            .insert((model, role), batch.clone());
        batch
    }

    pub(crate) fn position_counts(&self, role: Role, positions: Positions) -> Computed {
        let counts = self.lengths("position_counts", role, positions)?;
        let counts: Vec<f32> = counts.iter().map(|&count| count as f32).collect();
        let tensor = Tensor::new(counts, &self.source.device());
        tensor.map_err(|error| Fault::new("position_counts", plain(&error)))
    }

    pub(crate) fn sequence_sum(
        &self,
        role: Role,
        positions: Positions,
        values: Handle,
    ) -> Computed {
        let values = self.input("sequence_sum", values)?;
        let lengths = self.lengths("sequence_sum", role, positions)?;
        compute::sequence_sum(&values, &lengths).map_err(|cause| Fault::new("sequence_sum", cause))
    }

    pub(crate) fn measure(&self, request: &MeasureRequest) -> Computed {
        const NAME: &str = "measure";
        let lengths = self.lengths(NAME, request.role, request.positions)?;
        if request.measure != Measure::LogitSpread {
            self.permit(NAME, request.teacher, request.role)?;
            if request.shift.is_nan() {
                return Err(Fault::new(NAME, "its shift is NaN"));
            }
            if let Some((second, alpha)) = request.contrast {
                self.permit(NAME, second, request.role)?;
                if !alpha.is_finite() {
                    return Err(Fault::new(NAME, format!("its alpha is {alpha}")));
                }
            }
        }
        let values = self.source.measure(request);
        self.provided(NAME, request.role, values, lengths.iter().sum())
    }

    /// Refuses what the method did not declare: it might not be there, and its cost was not announced.
    pub(super) fn permit(&self, operation: &str, model: Model, role: Role) -> Result<(), Fault> {
        if let Some(training) = &self.training {
            training.require_batch(operation)?;
        }
        if let Model::Spawned(code) = model {
            let known = self.training.as_ref();
            if !known.is_some_and(|training| training.has_model(code)) {
                return Err(no_model(operation, code));
            }
        }
        let reference = (model == Model::Reference).then_some(Need::Reference);
        [Need::of_role(role), reference]
            .into_iter()
            .flatten()
            .try_for_each(|need| self.require(operation, need))
    }

    fn require(&self, operation: &str, need: Need) -> Result<(), Fault> {
        if self.method.needs(need) {
            return Ok(());
        }
        let cause = format!(
            "the method does not declare that it needs `{}`",
            need.name()
        );
        Err(Fault::new(operation, cause))
    }

    fn fetch(&self, model: Model, role: Role) -> Result<Tensor, String> {
        let batch = match model {
            Model::Policy => self.source.token_logprobs(role),
            Model::Reference => self.source.reference_token_logprobs(role),
            Model::Spawned(code) => self.source.spawned_token_logprobs(code, role),
        };
        let batch = batch.map_err(|error| plain(&error))?;
        let tokens: usize = self.source.answer_lengths(role).iter().sum();
        if batch.dims() != [tokens] {
            return Err(format!(
                "{} log-probabilities have shape {:?}, expected [{tokens}]",
                model.name(),
                batch.dims()
            ));
        }
        let batch = batch.to_dtype(DType::F32).map_err(|error| plain(&error))?;
        Ok(match model {
            Model::Policy => batch,
            Model::Reference | Model::Spawned(_) => batch.detach(),
        })
    }

    /// What the source gave for a policy's batch, if it has the expected number of values.
    pub(super) fn provided(
        &self,
        operation: &str,
        role: Role,
        values: candle_core::Result<Tensor>,
        expected: usize,
    ) -> Computed {
        let values = values.and_then(|values| values.to_dtype(DType::F32));
        let values = values.map_err(|error| plain(&error)).and_then(|values| {
            let shape = values.dims();
            let fits = shape == [expected];
            let cause = format!("{operation} has shape {shape:?}, expected [{expected}]");
            if fits { Ok(values) } else { Err(cause) }
        });
        let mut state = self.state.borrow_mut();
        state.saw_policy = true;
        state.saw_gradient |= values.as_ref().is_ok_and(Tensor::track_op);
        drop(state);
        values.map_err(|cause| {
            let fault = Fault::new(operation, &cause);
            self.fail_source(role, cause);
            fault
        })
    }

    pub(super) fn lengths(
        &self,
        operation: &str,
        role: Role,
        positions: Positions,
    ) -> Result<Vec<usize>, Fault> {
        self.permit(operation, Model::Policy, role)?;
        if positions != Positions::Answer {
            self.require(operation, Need::EveryPosition)?;
            let lengths = self.source.position_counts(role, positions);
            return lengths.map_err(|error| {
                let cause = plain(&error);
                self.fail_source(role, cause.clone());
                Fault::new(operation, cause)
            });
        }
        let lengths = self.source.answer_lengths(role);
        if lengths.is_empty() || lengths.contains(&0) {
            let cause = format!("answer lengths are {lengths:?}, expected at least 1 each");
            self.fail_source(role, cause.clone());
            return Err(Fault::new(operation, cause));
        }
        Ok(lengths)
    }

    fn fail_source(&self, role: Role, cause: String) {
        let failure = HostError::Source {
            plugin: self.method.id.clone(),
            role,
            cause,
        };
        self.state
            .borrow_mut()
            .source_failure
            .get_or_insert(failure);
    }
}

/// Why a code of a spawned model leads nowhere.
pub(crate) fn no_model(operation: &str, code: u32) -> Fault {
    let cause = format!(
        "model code {code} names no model: it was dropped, or never spawned in this training"
    );
    Fault::new(operation, cause)
}
