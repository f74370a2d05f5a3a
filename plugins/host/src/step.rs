//! One step's tensors behind generation-tagged handles. It refuses every handle that it did not issue in this step, and batches that a method did not declare.

mod hidden;

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use candle_core::{DType, Tensor};
use harness_abi::{Distribution, Handle, Level, Measure, Model, Operation, Positions, Role};

use crate::error::plain;
use crate::fault::{Computed, Fault, Find};
use crate::source::{MeasureRequest, StepSource};
use crate::{HostError, MethodDescription, Need, compute, random};

/// A step in progress.
pub(crate) struct Step<'a> {
    source: &'a dyn StepSource,
    method: &'a MethodDescription,
    generation: u32,
    state: RefCell<State>,
}

/// Scalars and messages of a step, in order.
#[derive(Default)]
pub(crate) struct StepLog {
    pub(crate) scalars: Vec<(String, f64)>,
    pub(crate) messages: Vec<(Level, String)>,
}

#[derive(Default)]
struct State {
    /// By the low half of a handle, less one; `None` once released.
    slots: Vec<Option<Computed>>,
    batches: BTreeMap<(Model, Role), Computed>,
    /// Whether the source has measured the policy, and whether with gradients.
    saw_policy: bool,
    saw_gradient: bool,
    source_failure: Option<HostError>,
    log: StepLog,
    log_fault: Option<Fault>,
    host_panic: Option<Box<dyn Any + Send>>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(source: &'a dyn StepSource, method: &'a MethodDescription) -> Self {
        // Starts high, so that no small number that a method makes up is ever a step's.
        static STEPS: AtomicU32 = AtomicU32::new(0x4861_0000);
        Self {
            source,
            method,
            generation: STEPS.fetch_add(1, Ordering::Relaxed),
            state: RefCell::default(),
        }
    }

    /// Tells this step from every other in the process.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Issues a handle.
    pub(crate) fn issue(&self, computed: Computed) -> Handle {
        let slots = &mut self.state.borrow_mut().slots;
        slots.push(Some(computed));
        Handle(u64::from(self.generation) << 32 | slots.len() as u64)
    }

    pub(crate) fn find(&self, handle: Handle) -> Find {
        let state = self.state.borrow();
        match self.slot(handle).and_then(|slot| state.slots.get(slot)) {
            Some(Some(Ok(tensor))) => Find::Tensor(tensor.clone()),
            Some(Some(Err(fault))) => Find::Poisoned(fault.clone()),
            Some(None) | None => Find::Stale,
        }
    }

    /// Forgets a handle; whether it was good.
    pub(crate) fn release(&self, handle: Handle) -> bool {
        let slots = &mut self.state.borrow_mut().slots;
        let slot = self.slot(handle).and_then(|slot| slots.get_mut(slot));
        slot.and_then(Option::take).is_some()
    }

    fn slot(&self, handle: Handle) -> Option<usize> {
        let (generation, number) = (handle.0 >> 32, handle.0 & u64::from(u32::MAX));
        let slot = usize::try_from(number).ok()?.checked_sub(1)?;
        (generation == u64::from(self.generation)).then_some(slot)
    }

    /// The tensor that `operation` is asked to work on.
    fn input(&self, operation: &str, handle: Handle) -> Computed {
        match self.find(handle) {
            Find::Tensor(tensor) => Ok(tensor),
            Find::Poisoned(fault) => Err(fault),
            Find::Stale => Err(Fault::new(
                operation,
                format!(
                    "handle {:#018x} is stale: of another step, released, or never issued",
                    handle.0
                ),
            )),
        }
    }

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
        }
        let values = self.source.measure(request);
        self.provided(NAME, request.role, values, lengths.iter().sum())
    }

    pub(crate) fn source(&self) -> &dyn StepSource {
        self.source
    }

    pub(crate) fn random(
        &self,
        stream: u64,
        distribution: Distribution,
        dimensions: &[usize],
    ) -> Computed {
        let recorded = self.source.recorded_random();
        if let Some(recorded) = recorded.filter(|recorded| recorded.dims() == dimensions) {
            return Ok(recorded.clone());
        }
        let count = dimensions.iter().product();
        let values = random::values(self.source.seed(), stream, distribution, count);
        let tensor = Tensor::from_vec(values, dimensions, &self.source.device());
        tensor.map_err(|error| Fault::new("random", plain(&error)))
    }

    /// The values of a tensor, row-major.
    pub(crate) fn values(&self, handle: Handle) -> Result<Vec<f32>, Fault> {
        let tensor = self.input("read", handle)?;
        let values = tensor.flatten_all().and_then(|flat| flat.to_vec1());
        values.map_err(|error| Fault::new("read", plain(&error)))
    }

    pub(crate) fn apply(
        &self,
        operation: Operation,
        inputs: &[Handle],
        scalars: &[f64],
    ) -> Computed {
        let name = operation.name();
        let input = |&handle: &Handle| self.input(name, handle);
        let inputs: Vec<Tensor> = inputs.iter().map(input).collect::<Result<_, _>>()?;
        compute::apply(operation, &inputs, scalars).map_err(|cause| Fault::new(name, cause))
    }

    pub(crate) fn constant(&self, values: &[f64], dimensions: &[usize]) -> Computed {
        let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
        let tensor = Tensor::from_vec(values, dimensions, &self.source.device());
        tensor.map_err(|error| Fault::new("constant", plain(&error)))
    }

    /// Records a scalar; a failure is kept for the end of the step.
    pub(crate) fn log_scalar(&self, name: String, value: Handle) -> Result<(), Fault> {
        let operation = format!("log {name}");
        let recorded = self.input(&operation, value).and_then(|value| {
            let number = value.to_scalar::<f32>();
            let number = number.map_err(|error| Fault::new(&operation, plain(&error)))?;
            self.record(&operation, name, number)
        });
        recorded.inspect_err(|fault| {
            self.state
                .borrow_mut()
                .log_fault
                .get_or_insert(fault.clone());
        })
    }

    fn record(&self, operation: &str, name: String, number: f32) -> Result<(), Fault> {
        let scalars = &mut self.state.borrow_mut().log.scalars;
        if scalars.iter().any(|(logged, _)| *logged == name) {
            return Err(Fault::new(operation, "already logged in this step"));
        }
        scalars.push((name, f64::from(number)));
        Ok(())
    }

    pub(crate) fn log_message(&self, level: Level, text: String) {
        self.state.borrow_mut().log.messages.push((level, text));
    }

    /// Whether a loss could have a gradient: false when the caller only evaluates.
    pub(crate) fn is_differentiable(&self) -> bool {
        let state = self.state.borrow();
        let policy = |((model, _), batch): (&(Model, Role), &Computed)| {
            (*model == Model::Policy).then(|| batch.as_ref().is_ok_and(Tensor::track_op))
        };
        let mut batches = state.batches.iter().filter_map(policy);
        let saw_any = state.saw_policy || !state.batches.is_empty();
        !saw_any || state.saw_gradient || batches.any(|differentiable| differentiable)
    }

    /// The harness's own failure, if there was one.
    pub(crate) fn source_failure(&self) -> Result<(), HostError> {
        self.state
            .borrow_mut()
            .source_failure
            .take()
            .map_or(Ok(()), Err)
    }

    /// What the method logged, unless a scalar could not be.
    pub(crate) fn into_log(self) -> Result<StepLog, Fault> {
        let state = self.state.into_inner();
        state.log_fault.map_or(Ok(state.log), Err)
    }

    /// Keeps a panic of the harness's own code until the method has returned.
    pub(crate) fn keep_panic(&self, payload: Box<dyn Any + Send>) {
        self.state.borrow_mut().host_panic.get_or_insert(payload);
    }

    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.state.borrow_mut().host_panic.take()
    }

    /// Refuses what the method did not declare: it might not be there, and its cost was not announced.
    fn permit(&self, operation: &str, model: Model, role: Role) -> Result<(), Fault> {
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
            Model::Reference => batch.detach(),
        })
    }

    /// What the source gave for a policy's batch, if it has the expected number of values.
    fn provided(
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

    fn lengths(
        &self,
        operation: &str,
        role: Role,
        positions: Positions,
    ) -> Result<Cow<'a, [usize]>, Fault> {
        self.permit(operation, Model::Policy, role)?;
        if positions != Positions::Answer {
            self.require(operation, Need::EveryPosition)?;
            let lengths = self.source.position_counts(role, positions);
            return lengths.map(Cow::Owned).map_err(|error| {
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
        Ok(Cow::Borrowed(lengths))
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
