//! One step's tensors behind generation-tagged handles. It refuses every handle that it did not issue in this step, and batches that a method did not declare.

pub(crate) mod batches;
mod hidden;

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::Tensor;
use harness_abi::{Distribution, Handle, Level, Operation, Role};

use crate::error::plain;
use crate::fault::{Computed, Fault};
use crate::slots::{Find, Slots, next_generation};
use crate::source::{Model, StepSource};
use crate::training::Training;
use crate::training_run::TrainingRun;
use crate::{HostError, MethodDescription, compute, random};

/// A step in progress, or the training of a method that owns its loop, whose steps follow each other in here.
pub(crate) struct Step<'a> {
    source: &'a dyn StepSource,
    training: Option<Training<'a>>,
    method: &'a MethodDescription,
    /// Tells this call from every other in the process.
    call: u32,
    tensors: RefCell<Slots<Tensor>>,
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
        Self {
            source,
            training: None,
            method,
            call: next_generation(),
            tensors: RefCell::default(),
            state: RefCell::default(),
        }
    }

    /// The training of a method that owns its loop, before its first batch.
    pub(crate) fn of_training(run: &'a dyn TrainingRun, method: &'a MethodDescription) -> Self {
        Self {
            training: Some(Training::new(run)),
            ..Self::new(run, method)
        }
    }

    /// Tells this call from every other in the process.
    pub(crate) fn call(&self) -> u32 {
        self.call
    }

    pub(crate) fn training(&self) -> Option<&Training<'a>> {
        self.training.as_ref()
    }

    /// Issues a handle.
    pub(crate) fn issue(&self, computed: Computed) -> Handle {
        self.tensors.borrow_mut().issue(computed)
    }

    pub(crate) fn find(&self, handle: Handle) -> Find<Tensor> {
        self.tensors.borrow().find(handle)
    }

    /// What is wrong with a handle of any kind; `None` where it is good.
    pub(crate) fn complaint(&self, handle: Handle) -> Option<String> {
        match self.find(handle) {
            Find::Good(_) => None,
            Find::Poisoned(fault) => Some(fault.to_string()),
            Find::Stale => match &self.training {
                Some(training) => training.complaint(handle),
                None => Some(format!("handle {:#018x} is stale", handle.0)),
            },
        }
    }

    /// Forgets a handle of any kind; whether it was good.
    pub(crate) fn release(&self, handle: Handle) -> bool {
        let training = self.training.as_ref();
        self.tensors.borrow_mut().release(handle)
            || training.is_some_and(|training| training.release(handle))
    }

    /// Whether the handle is one of a tensor of the current step, released or not.
    pub(crate) fn is_tensor(&self, handle: Handle) -> bool {
        self.tensors.borrow().issued(handle)
    }

    /// The batch is another: the tensors of the one before are void.
    pub(crate) fn forget_batch(&self) {
        self.tensors.take();
        self.state.borrow_mut().batches.clear();
    }

    /// The weights are others: tensors keep their values and lose their gradients.
    pub(crate) fn forget_gradients(&self) {
        self.tensors.borrow_mut().change(Tensor::detach);
        let batches = &mut self.state.borrow_mut().batches;
        batches.retain(|(model, _), _| *model != Model::Policy);
    }

    /// What was logged since it was taken before, unless a scalar could not be.
    pub(crate) fn take_log(&self) -> Result<StepLog, Fault> {
        let mut state = self.state.borrow_mut();
        let log = std::mem::take(&mut state.log);
        state.log_fault.take().map_or(Ok(log), Err)
    }

    /// The tensor that `operation` is asked to work on.
    pub(crate) fn input(&self, operation: &str, handle: Handle) -> Computed {
        match self.find(handle) {
            Find::Good(tensor) => Ok(tensor),
            Find::Poisoned(fault) => Err(fault),
            Find::Stale => Err(self.wrong_kind(operation, handle, "a tensor of the step")),
        }
    }

    /// Why a handle is not what `operation` wants.
    pub(crate) fn wrong_kind(&self, operation: &str, handle: Handle, wanted: &str) -> Fault {
        let training = self.training.as_ref();
        let kind = if self.is_tensor(handle) {
            Some("a tensor of the step")
        } else {
            training.and_then(|training| training.kind(handle))
        };
        let cause = match kind.filter(|&kind| kind != wanted) {
            Some(kind) => format!("handle {:#018x} names {kind}, not {wanted}", handle.0),
            None => format!(
                "handle {:#018x} is stale: of another step, released, or never issued",
                handle.0
            ),
        };
        Fault::new(operation, cause)
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

    /// Keeps a panic of the harness's own code until the method has returned.
    pub(crate) fn keep_panic(&self, payload: Box<dyn Any + Send>) {
        self.state.borrow_mut().host_panic.get_or_insert(payload);
    }

    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.state.borrow_mut().host_panic.take()
    }
}
