//! The training of a method that owns its loop: parameter sets and optimisers behind handles, and the budget. It refuses steps beyond the
//! run's, work before the first batch, and handles of the wrong kind.

mod work;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use harness_abi::{Distribution, FIRST_SPAWNED_MODEL, Handle, Progress};
use serde_json::Value;

use crate::error::plain;
use crate::fault::Fault;
use crate::parameter_set;
use crate::slots::{Find, Slots};
use crate::step::batches::no_model;
use crate::training_run::{ParameterMap, ParameterOptimizer, TrainingRun};

const SET: &str = "a parameter set";
const OPTIMIZER: &str = "an optimiser";

type SharedOptimizer = Rc<RefCell<Box<dyn ParameterOptimizer>>>;

/// What a training has besides the tensors of its step.
pub(crate) struct Training<'a> {
    run: &'a dyn TrainingRun,
    sets: RefCell<Slots<Arc<ParameterMap>>>,
    optimizers: RefCell<Slots<SharedOptimizer>>,
    /// Codes of the spawned models that were not dropped, and the next code.
    models: RefCell<BTreeSet<u32>>,
    next_model: Cell<u32>,
    has_batch: Cell<bool>,
    optimizer_steps: Cell<u64>,
    finished_steps: Cell<u64>,
    /// The first failure of a function that changes something.
    failure: RefCell<Option<Fault>>,
}

impl<'a> Training<'a> {
    pub(crate) fn new(run: &'a dyn TrainingRun) -> Self {
        Self {
            run,
            sets: RefCell::default(),
            optimizers: RefCell::default(),
            models: RefCell::default(),
            next_model: Cell::new(FIRST_SPAWNED_MODEL),
            has_batch: Cell::new(false),
            optimizer_steps: Cell::new(0),
            finished_steps: Cell::new(0),
            failure: RefCell::new(None),
        }
    }

    pub(crate) fn run(&self) -> &'a dyn TrainingRun {
        self.run
    }

    pub(crate) fn finished_steps(&self) -> u64 {
        self.finished_steps.get()
    }

    pub(crate) fn complaint(&self, handle: Handle) -> Option<String> {
        let (set, optimizer) = (
            self.sets.borrow().find(handle),
            self.optimizers.borrow().find(handle),
        );
        match (set, optimizer) {
            (Find::Good(_), _) | (_, Find::Good(_)) => None,
            (Find::Poisoned(fault), _) | (_, Find::Poisoned(fault)) => Some(fault.to_string()),
            _ => Some(format!("handle {:#018x} is stale", handle.0)),
        }
    }

    pub(crate) fn release(&self, handle: Handle) -> bool {
        self.sets.borrow_mut().release(handle) || self.optimizers.borrow_mut().release(handle)
    }

    /// What a handle names or named, if it is a training's.
    pub(crate) fn kind(&self, handle: Handle) -> Option<&'static str> {
        if self.sets.borrow().issued(handle) {
            return Some(SET);
        }
        let is_optimizer = self.optimizers.borrow().issued(handle);
        is_optimizer.then_some(OPTIMIZER)
    }

    pub(crate) fn require_batch(&self, operation: &str) -> Result<(), Fault> {
        if self.has_batch.get() {
            return Ok(());
        }
        let cause = "no batch has been drawn yet; `next_batch` comes first";
        Err(Fault::new(operation, cause))
    }

    pub(crate) fn keep_failure(&self, fault: &Fault) {
        self.failure
            .borrow_mut()
            .get_or_insert_with(|| fault.clone());
    }

    pub(crate) fn take_failure(&self) -> Option<Fault> {
        self.failure.take()
    }

    pub(crate) fn has_model(&self, code: u32) -> bool {
        self.models.borrow().contains(&code)
    }

    pub(crate) fn drop_model(&self, code: u32) -> Result<(), Fault> {
        if !self.models.borrow_mut().remove(&code) {
            return Err(no_model("drop_model", code));
        }
        self.run.drop_model(code);
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.run.progress(Progress::Steps) as u64
    }

    /// Each optimiser step counts, and each finished step, whichever are more.
    pub(crate) fn steps_left(&self) -> u64 {
        let used = self.optimizer_steps.get().max(self.finished_steps.get());
        self.steps().saturating_sub(used)
    }

    fn require_step(&self, operation: &str, used: &Cell<u64>) -> Result<(), Fault> {
        let steps = self.steps();
        if used.get() < steps {
            return Ok(());
        }
        let cause =
            format!("the run's {steps} steps are used up; ask for `steps_left`, or raise --steps");
        Err(Fault::new(operation, cause))
    }

    pub(crate) fn issue_set(&self, computed: Result<ParameterMap, Fault>) -> Handle {
        self.sets.borrow_mut().issue(computed.map(Arc::new))
    }
}

/// What a function of the training came to, where a text alone says what failed.
fn named<T>(operation: &str, outcome: Result<T, String>) -> Result<T, Fault> {
    outcome.map_err(|cause| Fault::new(operation, cause))
}

fn provided<T>(operation: &str, outcome: candle_core::Result<T>) -> Result<T, Fault> {
    outcome.map_err(|error| Fault::new(operation, plain(&error)))
}

impl Training<'_> {
    pub(crate) fn weights(&self) -> Result<ParameterMap, Fault> {
        named("weights", parameter_set::copy(self.run.parameters()))
    }

    pub(crate) fn select(&self, pattern: &str) -> Result<ParameterMap, Fault> {
        let chosen = parameter_set::select(self.run.parameters(), pattern);
        named("select", chosen)
    }

    pub(crate) fn draw(
        &self,
        stream: u64,
        distribution: Distribution,
    ) -> Result<ParameterMap, Fault> {
        let (parameters, seed) = (self.run.parameters(), self.run.seed());
        let drawn = parameter_set::draw(parameters, seed, stream, distribution);
        named("random", drawn)
    }

    pub(crate) fn issue_optimizer(&self, kind: &str, options: &str) -> Handle {
        let optimizer = self.optimizer(kind, options);
        self.optimizers.borrow_mut().issue(optimizer)
    }

    fn optimizer(&self, kind: &str, options: &str) -> Result<SharedOptimizer, Fault> {
        const NAME: &str = "optimizer";
        let options = if options.trim().is_empty() {
            "{}"
        } else {
            options
        };
        let options: Value = serde_json::from_str(options)
            .map_err(|error| Fault::new(NAME, format!("its options are no JSON: {error}")))?;
        let optimizer = provided(NAME, self.run.optimizer(kind, &options))?;
        Ok(Rc::new(RefCell::new(optimizer)))
    }
}
