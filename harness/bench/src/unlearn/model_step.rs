//! One step's batches on a model and its frozen original, as a method's host asks for them. Hidden states are computed once a step and
//! role; it refuses roles that have no batch.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{Device, Error, Result, Tensor, bail};
use harness_host::{Measure, MeasureRequest, Model, Progress, Role, StepSource};
use harness_model::train::{AnswerBatch, Positions};
use harness_model::{Comparison, Decoder};

/// Log-probabilities of the original that need not be computed again, or `None` where they must be.
pub type Remembered<'a> = dyn Fn(Role) -> Option<Result<Tensor>> + 'a;

/// What a method sees of a step.
pub struct ModelStep<'a> {
    /// The model being trained.
    pub policy: &'a Decoder,
    /// The frozen original, for methods that compare with it.
    pub reference: Option<&'a Decoder>,
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
    hidden: BTreeMap<(Model, Role), Tensor>,
    layers: BTreeMap<(Model, Role), Vec<Tensor>>,
    /// Tokens through the trained model.
    pub tokens: usize,
    /// Tokens through the original.
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

    fn decoder(&self, model: Model) -> Result<&Decoder> {
        match (model, self.reference) {
            (Model::Policy, _) => Ok(self.policy),
            (Model::Reference, Some(reference)) => Ok(reference),
            (Model::Reference, None) => bail!("the original model is not kept in this run"),
        }
    }

    fn count(&self, model: Model, tokens: usize) {
        let mut passes = self.passes.borrow_mut();
        match model {
            Model::Policy => passes.tokens += tokens,
            Model::Reference => passes.reference_tokens += tokens,
        }
    }

    /// The trained model has other weights now: what was computed with the old ones is void.
    pub(super) fn forget_policy(&self) {
        let mut passes = self.passes.borrow_mut();
        passes
            .hidden
            .retain(|(model, _), _| *model != Model::Policy);
        passes
            .layers
            .retain(|(model, _), _| *model != Model::Policy);
    }

    fn hidden(&self, model: Model, role: Role) -> Result<Tensor> {
        if let Some(hidden) = self.passes.borrow().hidden.get(&(model, role)) {
            return Ok(hidden.clone());
        }
        let batch = self.batch(role)?;
        let hidden = self.decoder(model)?.hidden(batch.packed());
        let hidden = hidden.map_err(Error::wrap)?;
        self.count(model, batch.tokens());
        let key = (model, role);
        self.passes.borrow_mut().hidden.insert(key, hidden.clone());
        Ok(hidden)
    }

    /// The output of each layer but the last.
    fn layer(&self, model: Model, role: Role, layer: usize) -> Result<Tensor> {
        let known = self.passes.borrow().layers.contains_key(&(model, role));
        if !known {
            let batch = self.batch(role)?;
            let states = self.decoder(model)?.hidden_states(batch.packed());
            let mut states = states.map_err(Error::wrap)?;
            self.count(model, batch.tokens());
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
        Ok(match model {
            Model::Policy => output.clone(),
            Model::Reference => output.detach(),
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
        let logprobs = batch.logprobs_of(self.decoder(model)?, &hidden);
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
        let teacher_hidden = match request.teacher {
            Model::Policy => None,
            Model::Reference => Some(self.hidden(Model::Reference, request.role)?),
        };
        let teacher = match &teacher_hidden {
            None => None,
            Some(hidden) => Some((self.decoder(Model::Reference)?, hidden)),
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
            .compare(&hidden, &rows, teacher, shifted, comparison)
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
