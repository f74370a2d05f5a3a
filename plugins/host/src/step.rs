//! One step's tensors behind generation-tagged handles. It refuses every handle that it did not issue in this step, and batches that a method did not declare.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use candle_core::{DType, Device, Tensor};
use harness_abi::{Handle, Level, Model, Operation, Role};

use crate::error::plain;
use crate::{HostError, MethodDescription, Need, compute};

/// What the training loop provides for one step.
///
/// The same role must give the same sequences in the same order under both models.
pub trait StepSource {
    /// Log-probabilities (nats) of the answer tokens under the model being trained, differentiable: f32, shape `[answer tokens of the batch]`, sequences
    /// end to end. Called at most once a step and role.
    fn token_logprobs(&self, role: Role) -> candle_core::Result<Tensor>;

    /// The same under the frozen original: constants. Called only for methods that declared [`Need::Reference`].
    fn reference_token_logprobs(&self, role: Role) -> candle_core::Result<Tensor>;

    /// Number of answer tokens of each sequence, all at least 1. `Retain` is asked for only by methods that declared [`Need::Retain`].
    fn answer_lengths(&self, role: Role) -> &[usize];
}

/// Why an operation failed: poison that spreads to everything computed from its result.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    operation: String,
    cause: String,
}

impl Fault {
    pub(crate) fn new(operation: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            operation: operation.into(),
            cause: cause.into(),
        }
    }

    pub(crate) fn report(self, plugin: String) -> HostError {
        HostError::Poisoned {
            plugin,
            operation: self.operation,
            cause: self.cause,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "operation `{}` failed: {}",
            self.operation, self.cause
        )
    }
}

type Computed = Result<Tensor, Fault>;

/// What a handle leads to.
pub(crate) enum Find {
    Tensor(Tensor),
    Poisoned(Fault),
    Stale,
}

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
        self.permit(model, role)?;
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

    pub(crate) fn answer_tokens(&self, role: Role) -> Computed {
        let lengths: Vec<f32> = self
            .lengths(role)?
            .iter()
            .map(|&tokens| tokens as f32)
            .collect();
        let tensor = Tensor::new(lengths, &self.device()?);
        tensor.map_err(|error| Fault::new("answer_tokens", plain(&error)))
    }

    pub(crate) fn sequence_sum(&self, role: Role, values: Handle) -> Computed {
        let values = self.input("sequence_sum", values)?;
        compute::sequence_sum(&values, self.lengths(role)?)
            .map_err(|cause| Fault::new("sequence_sum", cause))
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
        let tensor = Tensor::from_vec(values, dimensions, &self.device()?);
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
        let mut policy = state
            .batches
            .iter()
            .filter(|((model, _), _)| *model == Model::Policy);
        state.batches.is_empty()
            || policy.any(|(_, batch)| batch.as_ref().is_ok_and(Tensor::track_op))
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
    fn permit(&self, model: Model, role: Role) -> Result<(), Fault> {
        let undeclared = |need, name| {
            let cause = format!("the method does not declare that it needs `{name}`");
            (!self.method.needs(need)).then(|| Fault::new("token_logprobs", cause))
        };
        let retain = (role == Role::Retain).then(|| undeclared(Need::Retain, "retain"));
        let reference =
            (model == Model::Reference).then(|| undeclared(Need::Reference, "reference"));
        retain.flatten().or(reference.flatten()).map_or(Ok(()), Err)
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

    fn lengths(&self, role: Role) -> Result<&'a [usize], Fault> {
        self.permit(Model::Policy, role)?;
        let lengths = self.source.answer_lengths(role);
        if lengths.is_empty() || lengths.contains(&0) {
            let cause = format!("answer lengths are {lengths:?}, expected at least 1 each");
            self.fail_source(role, cause.clone());
            return Err(Fault::new("answer_tokens", cause));
        }
        Ok(lengths)
    }

    /// Where the step's tensors live: with the forget batch.
    fn device(&self) -> Result<Device, Fault> {
        let forget = self.token_logprobs(Model::Policy, Role::Forget)?;
        Ok(forget.device().clone())
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
