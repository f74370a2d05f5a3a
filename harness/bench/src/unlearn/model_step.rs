//! One step's batches on a model and its frozen original, as a method's host asks for them. Hidden states are computed once a step and
//! role; it refuses roles that have no batch.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use candle_core::{Device, Error, Result, Tensor, bail};
use harness_host::{Measure, MeasureRequest, Model, Progress, Role, StepSource};
use harness_model::train::{AnswerBatch, Positions};
use harness_model::{Comparison, Decoder, PassFlops};

/// Log-probabilities of the original that need not be computed again, or `None` where they must be.
pub type Remembered<'a> = dyn Fn(Role) -> Option<Result<Tensor>> + 'a;

/// The frozen models that a method has made, by their codes.
pub type SpawnedModels = Rc<RefCell<BTreeMap<u32, Decoder>>>;

/// What a method sees of a step.
pub struct ModelStep<'a> {
    /// The model being trained.
    pub policy: &'a Decoder,
    /// The frozen original, for methods that compare with it.
    pub reference: Option<&'a Decoder>,
    /// Frozen models that the method has made.
    pub spawned: SpawnedModels,
    /// The step's batches; whole sequences where the method asks for every position.
    pub batches: BTreeMap<Role, AnswerBatch>,
    /// Where the original's log-probabilities may be known already.
    pub remembered: Option<&'a Remembered<'a>>,
    /// Steps done, steps of the run, epochs of the forget set.
    pub progress: [f64; 3],
    /// Seed of the method's random numbers.
    pub seed: u64,
    /// What random numbers are, where a recording says so.
    pub random: Option<Tensor>,
    /// What went through the models.
    pub passes: RefCell<Passes>,
}

/// What was computed in a step.
#[derive(Debug, Default)]
pub struct Passes {
    /// Whole passes through the layers.
    forward: Vec<(Model, Role)>,
    /// Rows that a head was applied to.
    head_rows: Vec<(Model, usize)>,
    /// Of the trained model: rows that a loss goes back through the head from, and layers that it goes back through by role.
    head_rows_back: usize,
    layers_back: BTreeMap<Role, usize>,
    hidden: BTreeMap<(Model, Role), Tensor>,
    layers: BTreeMap<(Model, Role), Vec<Tensor>>,
    /// Tokens through the trained model.
    pub tokens: usize,
    /// Tokens through frozen models.
    pub reference_tokens: usize,
}

fn positions_of(positions: harness_host::Positions) -> Positions {
    match positions {
        harness_host::Positions::Answer => Positions::Answer,
        harness_host::Positions::AnswerInputs => Positions::AnswerInputs,
        harness_host::Positions::Every => Positions::Every,
    }
}

impl ModelStep<'_> {
    fn batch(&self, role: Role) -> Result<&AnswerBatch> {
        let batch = self.batches.get(&role);
        batch.ok_or_else(|| Error::Msg(format!("there is no {} set in this run", role.name())))
    }

    /// A model, sharing its weights.
    fn decoder(&self, model: Model) -> Result<Decoder> {
        match (model, self.reference) {
            (Model::Policy, _) => Ok(self.policy.clone()),
            (Model::Reference, Some(reference)) => Ok(reference.clone()),
            (Model::Reference, None) => bail!("the original model is not kept in this run"),
            (Model::Spawned(code), _) => {
                let spawned = self.spawned.borrow().get(&code).cloned();
                spawned.ok_or_else(|| Error::Msg(format!("there is no model {code} in this run")))
            }
        }
    }

    fn count(&self, model: Model, role: Role, tokens: usize) {
        let mut passes = self.passes.borrow_mut();
        passes.forward.push((model, role));
        match model {
            Model::Policy => passes.tokens += tokens,
            Model::Reference | Model::Spawned(_) => passes.reference_tokens += tokens,
        }
    }

    /// What was computed with this model's weights is void.
    pub(super) fn forget(&self, gone: Model) {
        let mut passes = self.passes.borrow_mut();
        passes.hidden.retain(|(model, _), _| *model != gone);
        passes.layers.retain(|(model, _), _| *model != gone);
    }

    /// The trained model has other weights now.
    pub(super) fn forget_policy(&self) {
        self.forget(Model::Policy);
        let mut passes = self.passes.borrow_mut();
        passes.head_rows_back = 0;
        passes.layers_back.clear();
    }

    fn hidden(&self, model: Model, role: Role) -> Result<Tensor> {
        if let Some(hidden) = self.passes.borrow().hidden.get(&(model, role)) {
            return Ok(hidden.clone());
        }
        let batch = self.batch(role)?;
        let hidden = self.decoder(model)?.hidden(batch.packed());
        let hidden = hidden.map_err(Error::wrap)?;
        self.count(model, role, batch.tokens());
        let key = (model, role);
        self.passes.borrow_mut().hidden.insert(key, hidden.clone());
        Ok(hidden)
    }

    /// Notes that the head was applied to `rows` rows.
    fn count_head(&self, model: Model, role: Role, rows: usize) {
        let mut passes = self.passes.borrow_mut();
        passes.head_rows.push((model, rows));
        if model == Model::Policy {
            passes.head_rows_back += rows;
            let layers = self.policy.spec().layers.len();
            passes.layers_back.insert(role, layers);
        }
    }

    /// Floating-point operations of the passes since this was last asked, `costs` being those of the trained model and of a
    /// frozen one.
    pub fn take_forward_flops(&self, costs: &[PassFlops; 2]) -> f64 {
        let mut passes = self.passes.borrow_mut();
        let [policy, reference] = costs;
        let of = |model| match model {
            Model::Policy => policy,
            Model::Reference | Model::Spawned(_) => reference,
        };
        let layers = passes.forward.drain(..).filter_map(|(model, role)| {
            let batch = self.batches.get(&role)?;
            Some(of(model).forward(batch.packed()))
        });
        let layers: f64 = layers.sum();
        let head = passes.head_rows.drain(..);
        layers
            + head
                .map(|(model, rows)| of(model).head_forward(rows))
                .sum::<f64>()
    }

    /// Floating-point operations of the gradients of a loss over everything that the trained model has given.
    pub fn backward_flops(&self, policy: &PassFlops) -> f64 {
        let passes = self.passes.borrow();
        let layers = passes.layers_back.iter().filter_map(|(role, &layers)| {
            let batch = self.batches.get(role)?;
            Some(policy.backward(batch.packed(), layers))
        });
        layers.sum::<f64>() + policy.head_backward(passes.head_rows_back)
    }

    /// The output of each layer but the last.
    fn layer(&self, model: Model, role: Role, layer: usize) -> Result<Tensor> {
        let known = self.passes.borrow().layers.contains_key(&(model, role));
        if !known {
            let batch = self.batch(role)?;
            let states = self.decoder(model)?.hidden_states(batch.packed());
            let mut states = states.map_err(Error::wrap)?;
            self.count(model, role, batch.tokens());
            // The last is what the head sees, after the final norm; the first is no layer's output.
            let last = states.pop();
            let mut passes = self.passes.borrow_mut();
            passes.layers.insert((model, role), states.split_off(1));
            if let Some(last) = last {
                passes.hidden.entry((model, role)).or_insert(last);
            }
        }
        let passes = self.passes.borrow();
        let layers = &passes.layers[&(model, role)];
        let Some(output) = layers.get(layer) else {
            bail!(
                "layer {layer}: layers from 0 to {} can be steered",
                layers.len().saturating_sub(1)
            );
        };
        let output = output.clone();
        drop(passes);
        Ok(match model {
            Model::Policy => {
                let mut passes = self.passes.borrow_mut();
                let layers = passes.layers_back.entry(role).or_default();
                *layers = (*layers).max(layer + 1);
                output
            }
            Model::Reference | Model::Spawned(_) => output.detach(),
        })
    }

    /// The output of a layer at these positions [positions, width].
    fn layer_at(
        &self,
        model: Model,
        role: Role,
        positions: harness_host::Positions,
        layer: usize,
    ) -> Result<Tensor> {
        let rows = self.batch(role)?.rows(positions_of(positions));
        let rows: Vec<u32> = rows.into_iter().map(|row| row as u32).collect();
        let rows = Tensor::new(rows, self.policy.device())?;
        self.layer(model, role, layer)?.index_select(&rows, 0)
    }

    fn logprobs(&self, model: Model, role: Role) -> Result<Tensor> {
        let hidden = self.hidden(model, role)?;
        let batch = self.batch(role)?;
        self.count_head(model, role, batch.rows(Positions::Answer).len());
        let logprobs = batch.logprobs_of(&self.decoder(model)?, &hidden);
        logprobs.map_err(Error::wrap)
    }
}

impl StepSource for ModelStep<'_> {
    fn token_logprobs(&self, role: Role) -> Result<Tensor> {
        self.logprobs(Model::Policy, role)
    }

    fn reference_token_logprobs(&self, role: Role) -> Result<Tensor> {
        let remembered = self.remembered.and_then(|remembered| remembered(role));
        remembered.unwrap_or_else(|| self.logprobs(Model::Reference, role))
    }

    fn spawned_token_logprobs(&self, model: u32, role: Role) -> Result<Tensor> {
        self.logprobs(Model::Spawned(model), role)
    }

    fn answer_lengths(&self, role: Role) -> Vec<usize> {
        let batch = self.batches.get(&role);
        batch.map_or_else(Vec::new, |batch| batch.lengths(Positions::Answer).to_vec())
    }

    fn position_counts(
        &self,
        role: Role,
        positions: harness_host::Positions,
    ) -> Result<Vec<usize>> {
        Ok(self.batch(role)?.lengths(positions_of(positions)).to_vec())
    }

    fn measure(&self, request: &MeasureRequest) -> Result<Tensor> {
        let (batch, positions) = (self.batch(request.role)?, positions_of(request.positions));
        let (hidden, rows) = (
            self.hidden(Model::Policy, request.role)?,
            batch.rows(positions),
        );
        self.count_head(Model::Policy, request.role, rows.len());
        let comparison = match request.measure {
            Measure::LogitSpread => {
                return self
                    .policy
                    .logit_spread(&hidden, &rows)
                    .map_err(Error::wrap);
            }
            Measure::Divergence => Comparison::Divergence,
            Measure::CrossEntropy => Comparison::CrossEntropy,
        };
        let frozen = |model| {
            self.count_head(model, request.role, rows.len());
            Ok::<_, Error>((self.decoder(model)?, self.hidden(model, request.role)?))
        };
        let teacher = match request.teacher {
            Model::Policy => None,
            model => Some(frozen(model)?),
        };
        let second = match request.contrast {
            None => None,
            Some((Model::Policy, alpha)) => Some(((self.policy.clone(), hidden.clone()), alpha)),
            Some((model, alpha)) => Some((frozen(model)?, alpha)),
        };
        let mut labels = batch.labels(positions);
        if request.stand_in > 0 {
            let vocabulary = self.policy.spec().vocabulary;
            let stand_in = vocabulary.checked_sub(request.stand_in as usize);
            let stand_in = stand_in.map(|token| token as u32);
            for label in &mut labels {
                *label = label.or(stand_in);
            }
        }
        let shifted = (labels, request.shift as f32);
        self.policy
            .compare(
                &hidden,
                &rows,
                teacher.as_ref().map(|(model, hidden)| (model, hidden)),
                second
                    .as_ref()
                    .map(|((model, hidden), alpha)| (model, hidden, *alpha as f32)),
                shifted,
                comparison,
            )
            .map_err(Error::wrap)
    }

    fn hidden_width(&self) -> usize {
        self.policy.spec().width
    }

    fn hidden_squared_distance(
        &self,
        role: Role,
        positions: harness_host::Positions,
        layer: usize,
        target: Option<&Tensor>,
    ) -> Result<Tensor> {
        let own = self.layer_at(Model::Policy, role, positions, layer)?;
        let difference = match target {
            Some(target) => own.broadcast_sub(target)?,
            None => (own - self.layer_at(Model::Reference, role, positions, layer)?)?,
        };
        difference.sqr()?.mean(1)
    }

    fn hidden_length(
        &self,
        model: Model,
        role: Role,
        positions: harness_host::Positions,
        layer: usize,
    ) -> Result<Tensor> {
        let output = self.layer_at(model, role, positions, layer)?;
        output.sqr()?.sum(1)?.sqrt()
    }

    fn progress(&self, quantity: Progress) -> f64 {
        let [step, steps, epoch] = self.progress;
        match quantity {
            Progress::Step => step,
            Progress::Steps => steps,
            Progress::Epoch => epoch,
        }
    }

    fn seed(&self) -> u64 {
        self.seed
    }

    fn recorded_random(&self) -> Option<&Tensor> {
        self.random.as_ref()
    }

    fn device(&self) -> Device {
        self.policy.device().clone()
    }
}
