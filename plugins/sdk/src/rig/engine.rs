//! The rig's tensors: arrays of dual numbers behind handles. It refuses exactly what the harness refuses: shapes, stale handles, undeclared data.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use harness_abi::{
    Distribution, Handle, Level, Measure, Model, Operation, Positions, Progress, Role,
};

use super::batch::Batch;
use super::dual::{self, Dual};
use super::{Batches, Outcome};
use crate::engine::{self, Question};
use crate::{Error, Needs, Result};

/// A tensor, or what failed.
type Slot = Result<Array>;

#[derive(Clone)]
struct Array {
    dimensions: Vec<usize>,
    elements: Vec<Dual>,
}

/// One step.
pub(super) struct RigEngine {
    generation: u32,
    batches: Batches,
    needs: Needs,
    epoch: f64,
    slots: RefCell<Vec<Slot>>,
    logged: RefCell<Vec<(String, Result<f64>)>>,
}

impl RigEngine {
    pub(super) fn new(batches: Batches, needs: Needs, epoch: f64) -> Self {
        static STEPS: AtomicU32 = AtomicU32::new(1);
        Self {
            generation: STEPS.fetch_add(1, Ordering::Relaxed),
            batches,
            needs,
            epoch,
            slots: RefCell::default(),
            logged: RefCell::default(),
        }
    }

    /// The loss and its derivatives.
    pub(super) fn outcome(&self, loss: Handle) -> Result<Outcome> {
        let loss = self.scalar(loss)?;
        if !loss.value.is_finite() {
            return Err(Error::new(format!("the loss is {}", loss.value)));
        }
        let logged = self.logged.take().into_iter();
        let logged = logged.map(|(name, value)| value.map(|value| (name, value)));
        let gradients = self.policy_roles().map(|role| {
            let range = self.variables(role);
            (
                role,
                range.map(|variable| loss.derivative(variable)).collect(),
            )
        });
        Ok(Outcome {
            loss: loss.value,
            logged: logged.collect::<Result<_>>()?,
            gradients: gradients.collect(),
        })
    }

    fn policy_roles(&self) -> impl Iterator<Item = Role> {
        let keys = self.batches.keys();
        keys.filter_map(|&(model, role)| (model == Model::Policy).then_some(role))
    }

    /// Indices of the variables that stand for the policy's numbers in `role`.
    fn variables(&self, role: Role) -> std::ops::Range<usize> {
        let numbers = |role| self.batches[&(Model::Policy, role)].numbers();
        let start = self
            .policy_roles()
            .take_while(|&earlier| earlier != role)
            .map(numbers)
            .sum();
        start..start + numbers(role)
    }

    /// The batch, if the rig holds it and the method declared it.
    fn batch(&self, model: Model, role: Role) -> Result<&Batch> {
        let name = format!("{} numbers of the {} batch", model.name(), role.name());
        let reference = match model {
            Model::Policy => Needs::NONE,
            Model::Reference => Needs::REFERENCE,
        };
        if !self.needs.cover(Needs::of_role(role).and(reference)) {
            return Err(Error::new(format!("{name}: not declared in NEEDS")));
        }
        let batch = self.batches.get(&(model, role));
        let batch =
            batch.ok_or_else(|| Error::new(format!("{name}: not given to the test rig")))?;
        let policy = self.batches.get(&(Model::Policy, role)).unwrap_or(batch);
        let counts = batch.counts(Positions::Answer)?;
        if policy.counts(Positions::Answer)? != counts || counts.contains(&0) {
            return Err(Error::new(format!(
                "{name}: sequences need at least one token, and as many under the reference as under the policy"
            )));
        }
        Ok(batch)
    }

    /// What stands for the policy's numbers in `role`.
    fn numbers(&self, role: Role) -> Result<Vec<Dual>> {
        let values: Vec<f64> = match self.batch(Model::Policy, role)? {
            Batch::Logprobs(sequences) => sequences.iter().flatten().copied().collect(),
            Batch::Logits(sequences) => {
                let rows = sequences.iter().flatten();
                rows.flat_map(|row| row.logits.iter().copied()).collect()
            }
        };
        let variables = self.variables(role);
        Ok(values
            .into_iter()
            .zip(variables)
            .map(|(value, variable)| Dual::variable(value, variable))
            .collect())
    }

    fn push(&self, slot: Slot) -> Handle {
        let mut slots = self.slots.borrow_mut();
        slots.push(slot);
        Handle(u64::from(self.generation) << 32 | slots.len() as u64)
    }

    fn get(&self, handle: Handle) -> Slot {
        let slots = self.slots.borrow();
        let index = (handle.0 & u64::from(u32::MAX)) as usize;
        match index.checked_sub(1).and_then(|index| slots.get(index)) {
            Some(slot) if handle.0 >> 32 == u64::from(self.generation) => slot.clone(),
            _ => Err(Error::new("the tensor belongs to another step")),
        }
    }

    fn scalar(&self, handle: Handle) -> Result<Dual> {
        let array = self.get(handle)?;
        match array.elements.as_slice() {
            [element] if array.dimensions.is_empty() => Ok(element.clone()),
            _ => Err(Error::new(format!(
                "expected a scalar, got shape {:?}",
                array.dimensions
            ))),
        }
    }

    fn tokens(&self, model: Model, role: Role) -> Slot {
        let batch = self.batch(model, role)?;
        Ok(vector(match (model, batch) {
            (Model::Policy, batch) => batch.logprobs(&self.numbers(role)?),
            (Model::Reference, Batch::Logprobs(sequences)) => sequences
                .iter()
                .flatten()
                .map(|&value| Dual::constant(value))
                .collect(),
            (Model::Reference, Batch::Logits(sequences)) => {
                let logits = sequences.iter().flatten().flat_map(|row| &row.logits);
                let constants: Vec<Dual> = logits.map(|&logit| Dual::constant(logit)).collect();
                batch.logprobs(&constants)
            }
        }))
    }

    fn lengths(&self, role: Role, positions: Positions) -> Result<Vec<usize>> {
        if positions != Positions::Answer && !self.needs.cover(Needs::EVERY_POSITION) {
            return Err(Error::new("every position: not declared in NEEDS"));
        }
        self.batch(Model::Policy, role)?.counts(positions)
    }

    fn sum_sequences(&self, role: Role, positions: Positions, values: Handle) -> Slot {
        let (lengths, values) = (self.lengths(role, positions)?, self.get(values)?);
        if values.dimensions != [lengths.iter().sum::<usize>()] {
            return Err(mismatch("sequence_sum", &[&values]));
        }
        let mut rest = values.elements.as_slice();
        let elements = lengths.iter().map(|&length| {
            let (sequence, tail) = rest.split_at(length);
            rest = tail;
            dual::sum(sequence)
        });
        Ok(vector(elements.collect()))
    }

    fn measures(&self, asked: &Question) -> Slot {
        self.lengths(asked.role, asked.positions)?;
        let own = self.batch(Model::Policy, asked.role)?;
        let teacher = match asked.measure {
            Measure::LogitSpread => own,
            _ => self.batch(model_of(asked.teacher)?, asked.role)?,
        };
        let what = (asked.measure, asked.positions);
        let numbers = self.numbers(asked.role)?;
        own.measures(&numbers, teacher, what, (asked.shift, asked.stand_in))
            .map(vector)
    }

    fn compute(&self, operation: Operation, inputs: &[Handle], scalars: &[f64]) -> Slot {
        let inputs: Vec<Array> = inputs
            .iter()
            .map(|&input| self.get(input))
            .collect::<Result<_>>()?;
        match inputs.as_slice() {
            [a] => Ok(unary(operation, a, scalars.first().copied())),
            [a, b] => binary(operation, a, b),
            _ => Err(Error::new(format!(
                "{} of {} tensors",
                operation.name(),
                inputs.len()
            ))),
        }
    }
}

fn model_of(code: u32) -> Result<Model> {
    Model::from_code(code).ok_or_else(|| Error::new("the test rig has no second models"))
}

fn vector(elements: Vec<Dual>) -> Array {
    Array {
        dimensions: vec![elements.len()],
        elements,
    }
}

fn unary(operation: Operation, a: &Array, scalar: Option<f64>) -> Array {
    let reduced = |elements| Array {
        dimensions: vec![],
        elements: vec![elements],
    };
    match operation {
        Operation::Sum => reduced(dual::sum(&a.elements)),
        Operation::Mean => reduced(dual::sum(&a.elements).scale(1.0 / a.elements.len() as f64)),
        _ => Array {
            dimensions: a.dimensions.clone(),
            elements: a
                .elements
                .iter()
                .map(|x| x.unary(operation, scalar))
                .collect(),
        },
    }
}

fn binary(operation: Operation, a: &Array, b: &Array) -> Slot {
    let dimensions = match (a.dimensions.as_slice(), b.dimensions.as_slice()) {
        (same, other) if same == other => same,
        (shape, []) | ([], shape) => shape,
        _ => return Err(mismatch(operation.name(), &[a, b])),
    };
    let count = dimensions.iter().product();
    let pairs = a
        .elements
        .iter()
        .cycle()
        .zip(b.elements.iter().cycle())
        .take(count);
    Ok(Array {
        dimensions: dimensions.to_vec(),
        elements: pairs.map(|(x, y)| x.binary(operation, y)).collect(),
    })
}

fn mismatch(operation: &str, inputs: &[&Array]) -> Error {
    let shapes: Vec<String> = inputs
        .iter()
        .map(|input| format!("{:?}", input.dimensions))
        .collect();
    Error::new(format!(
        "{operation}: shapes {} do not fit",
        shapes.join(" and ")
    ))
}

impl engine::Engine for RigEngine {
    fn token_logprobs(&self, model: u32, role: Role) -> Handle {
        self.push(model_of(model).and_then(|model| self.tokens(model, role)))
    }

    fn position_counts(&self, role: Role, positions: Positions) -> Handle {
        self.push(self.lengths(role, positions).map(|lengths| {
            let constant = |&count: &usize| Dual::constant(count as f64);
            vector(lengths.iter().map(constant).collect())
        }))
    }

    fn sequence_sum(&self, role: Role, positions: Positions, values: Handle) -> Handle {
        self.push(self.sum_sequences(role, positions, values))
    }

    fn apply(&self, operation: Operation, inputs: &[Handle], scalars: &[f64]) -> Handle {
        self.push(self.compute(operation, inputs, scalars))
    }

    fn constant(&self, values: &[f64], dimensions: &[usize]) -> Handle {
        self.push(Ok(Array {
            dimensions: dimensions.to_vec(),
            elements: values.iter().copied().map(Dual::constant).collect(),
        }))
    }

    fn log_scalar(&self, name: &str, value: Handle) {
        let value = self.scalar(value).map(|value| value.value);
        self.logged.borrow_mut().push((name.to_owned(), value));
    }

    fn log_message(&self, _level: Level, _text: &str) {}

    fn check(&self, handle: Handle) -> Result<()> {
        self.get(handle).map(|_| ())
    }

    fn release(&self, _handle: Handle) {}

    fn measure(&self, question: &Question) -> Handle {
        self.push(self.measures(question))
    }

    fn contrast_cross_entropy(
        &self,
        _: Role,
        _: Positions,
        [_, second]: [u32; 2],
        _: f64,
    ) -> Handle {
        let refused = model_of(second).map(|_| vector(Vec::new()));
        self.push(refused)
    }

    fn read(&self, handle: Handle) -> Result<Vec<f64>> {
        let array = self.get(handle)?;
        Ok(array.elements.iter().map(|element| element.value).collect())
    }

    fn random(&self, _stream: u64, _distribution: Distribution, _dimensions: &[usize]) -> Handle {
        self.push(Err(Error::new("the test rig has no random numbers")))
    }

    fn progress(&self, quantity: Progress) -> f64 {
        match quantity {
            Progress::Epoch => self.epoch,
            Progress::Step | Progress::Steps => 0.0,
        }
    }

    fn hidden_width(&self) -> Option<usize> {
        None
    }

    fn squared_distance(&self, _: Role, _: Positions, _: u32, _: Handle) -> Handle {
        self.push(Err(Error::new("the test rig has no hidden states")))
    }

    fn hidden_length(&self, _: Model, _: Role, _: Positions, _: u32) -> Handle {
        self.push(Err(Error::new("the test rig has no hidden states")))
    }
}
