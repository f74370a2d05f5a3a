//! The run of a method that owns its loop: batches, gradients and optimisers as it asks for them, and a record of each step that it finishes.
//! It refuses to take a step by itself.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use candle_core::{Device, Error, Result, Tensor, Var, bail};
use harness_host::{
    AdapterHalf, FinishedStep, MeasureRequest, Model, ParameterMap, ParameterOptimizer, Positions,
    Progress, Role, StepSource, TrainingRun,
};
use harness_model::train::{AnswerBatch, GradientSet, Optimizer, Schedule};
use harness_model::{Decoder, PassFlops};
use serde_json::Value;

use super::job::StepRecord;
use super::model_step::{ModelStep, SpawnedModels};
use super::optimizers;
use super::options::TrainingOptions;

/// What a method that owns its loop trains.
pub struct OwnLoop<'a> {
    parts: LoopParts<'a>,
    schedule: Schedule,
    step: RefCell<Option<ModelStep<'a>>>,
    spawned: SpawnedModels,
    gradients: RefCell<GradientSet>,
    course: RefCell<Course>,
    cancelled: Cell<bool>,
    optimizer_steps: Rc<Cell<usize>>,
    last_update: Rc<Cell<(f64, f64)>>,
}

/// Who hears of a finished step, with the method's messages, and says whether to go on.
pub type Report<'a> = dyn FnMut(StepRecord, Vec<String>) -> Result<bool> + 'a;

/// What a loop works with.
pub struct LoopParts<'a> {
    /// The model being trained.
    pub policy: &'a Decoder,
    /// The frozen original, for methods that compare with it.
    pub original: Option<&'a Decoder>,
    /// What steps change.
    pub variables: &'a BTreeMap<String, Var>,
    /// A frozen model with other values of those.
    pub freeze: &'a dyn Fn(&ParameterMap) -> Result<Decoder>,
    /// Where batches come from.
    pub batches: RefCell<Box<dyn BatchSource + 'a>>,
    /// What passes through the model being trained, and through a frozen one, cost.
    pub costs: [PassFlops; 2],
    /// Budget, schedule, and what optimisers are made with.
    pub options: &'a TrainingOptions,
    /// Who hears of each finished step; an error ends the run at once.
    pub report: RefCell<Box<Report<'a>>>,
}

/// What the original says of a role's answers.
pub struct RememberedAnswers {
    /// Log-probabilities of all tokens, answers end to end.
    pub logprobs: Tensor,
    /// Tokens that went through the original for those that were not known.
    pub tokens: usize,
    /// Floating-point operations that this took.
    pub flops: f64,
}

/// Where batches come from.
pub trait BatchSource {
    /// Draws the next batch of every role.
    fn draw(&mut self) -> Result<BTreeMap<Role, AnswerBatch>>;

    /// How often the forget set had been gone through before this batch.
    fn epoch(&self) -> f64;

    /// The documents of a role in this batch.
    fn documents(&self, role: Role) -> Vec<usize>;

    /// The original's log-probabilities of a role's answers, where they need not be computed again.
    fn remembered(&self, original: &Decoder, role: Role) -> Result<Option<RememberedAnswers>>;
}

/// What happened since the last finished step.
struct Course {
    finished: usize,
    since: Instant,
    forget_documents: Vec<usize>,
    retain_documents: Vec<usize>,
    tokens: usize,
    reference_tokens: usize,
    flops: f64,
}

impl Course {
    fn new(finished: usize) -> Self {
        Self {
            finished,
            since: Instant::now(),
            forget_documents: Vec::new(),
            retain_documents: Vec::new(),
            tokens: 0,
            reference_tokens: 0,
            flops: 0.0,
        }
    }

    /// Counts what went through the models.
    fn count(&mut self, step: Option<&ModelStep<'_>>, costs: &[PassFlops; 2]) {
        if let Some(step) = step {
            self.flops += step.take_forward_flops(costs);
            let mut passes = step.passes.borrow_mut();
            self.tokens += std::mem::take(&mut passes.tokens);
            self.reference_tokens += std::mem::take(&mut passes.reference_tokens);
        }
    }
}

impl<'a> OwnLoop<'a> {
    /// A run before its first batch.
    pub fn new(parts: LoopParts<'a>) -> Self {
        let options = parts.options;
        Self {
            schedule: Schedule {
                peak: options.learning_rate,
                warmup_steps: options.warmup_steps,
                total_steps: options.steps,
                kind: options.schedule,
            },
            step: RefCell::new(None),
            spawned: SpawnedModels::default(),
            gradients: RefCell::new(GradientSet::new(parts.variables)),
            course: RefCell::new(Course::new(0)),
            cancelled: Cell::new(false),
            optimizer_steps: Rc::default(),
            last_update: Rc::default(),
            parts,
        }
    }

    /// Asks the current step.
    fn ask<R>(&self, question: impl FnOnce(&ModelStep<'a>) -> Result<R>) -> Result<R> {
        match &*self.step.borrow() {
            Some(step) => question(step),
            None => bail!("no batch has been drawn yet"),
        }
    }
}

impl StepSource for OwnLoop<'_> {
    fn token_logprobs(&self, role: Role) -> Result<Tensor> {
        self.ask(|step| step.token_logprobs(role))
    }

    fn reference_token_logprobs(&self, role: Role) -> Result<Tensor> {
        let remembered = match self.parts.original {
            Some(original) => self.parts.batches.borrow().remembered(original, role)?,
            None => None,
        };
        if let Some(answers) = remembered {
            let mut course = self.course.borrow_mut();
            course.reference_tokens += answers.tokens;
            course.flops += answers.flops;
            return Ok(answers.logprobs);
        }
        self.ask(|step| step.reference_token_logprobs(role))
    }

    fn spawned_token_logprobs(&self, model: u32, role: Role) -> Result<Tensor> {
        self.ask(|step| step.spawned_token_logprobs(model, role))
    }

    fn answer_lengths(&self, role: Role) -> Vec<usize> {
        let lengths = self.ask(|step| Ok(step.answer_lengths(role)));
        lengths.unwrap_or_default()
    }

    fn position_counts(&self, role: Role, positions: Positions) -> Result<Vec<usize>> {
        self.ask(|step| step.position_counts(role, positions))
    }

    fn measure(&self, request: &MeasureRequest) -> Result<Tensor> {
        self.ask(|step| step.measure(request))
    }

    fn hidden_width(&self) -> usize {
        self.parts.policy.spec().width
    }

    fn hidden_squared_distance(
        &self,
        role: Role,
        positions: Positions,
        layer: usize,
        target: Option<&Tensor>,
    ) -> Result<Tensor> {
        self.ask(|step| step.hidden_squared_distance(role, positions, layer, target))
    }

    fn hidden_length(
        &self,
        model: Model,
        role: Role,
        positions: Positions,
        layer: usize,
    ) -> Result<Tensor> {
        self.ask(|step| step.hidden_length(model, role, positions, layer))
    }

    fn progress(&self, quantity: Progress) -> f64 {
        match quantity {
            Progress::Step => self.course.borrow().finished as f64,
            Progress::Steps => self.schedule.total_steps as f64,
            Progress::Epoch => self.parts.batches.borrow().epoch(),
        }
    }

    fn seed(&self) -> u64 {
        self.parts.options.seed
    }

    fn device(&self) -> Device {
        self.parts.policy.device().clone()
    }
}

impl TrainingRun for OwnLoop<'_> {
    fn next_batch(&self) -> Result<()> {
        let mut source = self.parts.batches.borrow_mut();
        let batches = source.draw()?;
        let mut course = self.course.borrow_mut();
        course
            .forget_documents
            .extend(source.documents(Role::Forget));
        course
            .retain_documents
            .extend(source.documents(Role::Retain));
        let step = ModelStep {
            policy: self.parts.policy,
            reference: self.parts.original,
            spawned: self.spawned.clone(),
            batches,
            remembered: None,
            // Asked of the run, not of its step.
            progress: [f64::NAN; 3],
            seed: self.parts.options.seed,
            random: None,
            passes: RefCell::default(),
        };
        let before = self.step.replace(Some(step));
        course.count(before.as_ref(), &self.parts.costs);
        Ok(())
    }

    fn parameters(&self) -> &BTreeMap<String, Var> {
        self.parts.variables
    }

    fn adapter_half(&self, parameter: &str) -> Option<AdapterHalf> {
        if parameter.ends_with(".lora_A.weight") {
            return Some(AdapterHalf::Down);
        }
        parameter
            .ends_with(".lora_B.weight")
            .then_some(AdapterHalf::Up)
    }

    fn gradients(&self, loss: &Tensor) -> Result<ParameterMap> {
        if let Some(step) = &*self.step.borrow() {
            let flops = step.backward_flops(&self.parts.costs[0]);
            self.course.borrow_mut().flops += flops;
        }
        let mut gradients = self.gradients.borrow_mut();
        gradients.clear();
        gradients.add_backward(loss).map_err(Error::wrap)?;
        gradients.take().map_err(Error::wrap)
    }

    fn parameters_changed(&self) {
        if let Some(step) = &*self.step.borrow() {
            step.forget_policy();
        }
    }

    fn spawn(&self, model: u32, parameters: &ParameterMap) -> Result<()> {
        let frozen = (self.parts.freeze)(parameters)?;
        self.spawned.borrow_mut().insert(model, frozen);
        Ok(())
    }

    fn drop_model(&self, model: u32) {
        self.spawned.borrow_mut().remove(&model);
        if let Some(step) = &*self.step.borrow() {
            step.forget(Model::Spawned(model));
        }
    }

    fn learning_rate(&self) -> f64 {
        self.schedule.rate(self.optimizer_steps.get())
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }

    fn optimizer(&self, kind: &str, options: &Value) -> Result<Box<dyn ParameterOptimizer>> {
        let variables = self.parts.variables;
        let rule = optimizers::new(kind, options, self.parts.options, variables.clone())?;
        Ok(Box::new(Metered {
            rule,
            steps: self.optimizer_steps.clone(),
            last_update: self.last_update.clone(),
        }))
    }

    fn finish_step(&self, finished: FinishedStep) -> Result<()> {
        let mut course = self.course.borrow_mut();
        course.count(self.step.borrow().as_ref(), &self.parts.costs);
        let done = course.finished + 1;
        let course = std::mem::replace(&mut *course, Course::new(done));
        let (learning_rate, gradient_norm) = self.last_update.take();
        let record = StepRecord {
            step: done,
            loss: f64::from(finished.loss),
            parts: finished.logged.into_iter().collect(),
            learning_rate,
            gradient_norm,
            forget_documents: course.forget_documents,
            retain_documents: course.retain_documents,
            tokens: course.tokens,
            reference_tokens: course.reference_tokens,
            flops: course.flops,
            seconds: course.since.elapsed().as_secs_f64(),
        };
        let messages = finished.messages.into_iter().map(|(_, text)| text);
        let goes_on = (self.parts.report.borrow_mut())(record, messages.collect())?;
        self.cancelled.set(!goes_on);
        Ok(())
    }
}

/// An optimiser whose steps the run counts.
struct Metered {
    rule: Box<dyn Optimizer>,
    steps: Rc<Cell<usize>>,
    /// Learning rate and gradient norm.
    last_update: Rc<Cell<(f64, f64)>>,
}

impl ParameterOptimizer for Metered {
    fn step(&mut self, gradients: &ParameterMap, learning_rate: f64) -> Result<f64> {
        let set = GradientSet::holding(self.rule.variables(), gradients).map_err(Error::wrap)?;
        let norm = self.rule.step(&set, learning_rate).map_err(Error::wrap)?;
        self.steps.set(self.steps.get() + 1);
        self.last_update.set((learning_rate, norm));
        Ok(norm)
    }
}
