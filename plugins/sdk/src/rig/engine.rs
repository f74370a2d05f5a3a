//! The rig's tensors: arrays of dual numbers behind handles. It refuses exactly what the harness refuses: shapes, stale handles, undeclared data.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};

use harness_abi::{Handle, Level, Model, Operation, Role};

use super::dual::{self, Dual};
use super::{Batches, Outcome, batch};
use crate::{Error, Needs, Result, engine};

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
    slots: RefCell<Vec<Slot>>,
    logged: RefCell<Vec<(String, Result<f64>)>>,
}

impl RigEngine {
    pub(super) fn new(batches: Batches, needs: Needs) -> Self {
        static STEPS: AtomicU32 = AtomicU32::new(1);
        Self {
            generation: STEPS.fetch_add(1, Ordering::Relaxed),
            batches,
            needs,
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

    /// Indices of the variables that stand for the policy's tokens in `role`.
    fn variables(&self, role: Role) -> std::ops::Range<usize> {
        let tokens = |role| {
            self.batches[&(Model::Policy, role)]
                .iter()
                .map(Vec::len)
                .sum::<usize>()
        };
        let start = self
            .policy_roles()
            .take_while(|&earlier| earlier != role)
            .map(tokens)
            .sum();
        start..start + tokens(role)
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
        let sequences = batch(&self.batches, self.needs, model, role)?;
        let values = sequences.iter().flatten().copied();
        let elements: Vec<Dual> = match model {
            Model::Policy => values
                .zip(self.variables(role))
                .map(|(value, variable)| Dual::variable(value, variable))
                .collect(),
            Model::Reference => values.map(Dual::constant).collect(),
        };
        Ok(Array {
            dimensions: vec![elements.len()],
            elements,
        })
    }

    fn lengths(&self, role: Role) -> Result<Vec<usize>> {
        let sequences = batch(&self.batches, self.needs, Model::Policy, role)?;
        Ok(sequences.iter().map(Vec::len).collect())
    }

    fn sum_sequences(&self, role: Role, values: Handle) -> Slot {
        let (lengths, values) = (self.lengths(role)?, self.get(values)?);
        if values.dimensions != [lengths.iter().sum::<usize>()] {
            return Err(mismatch("sequence_sum", &[&values]));
        }
        let mut rest = values.elements.as_slice();
        let elements = lengths.iter().map(|&length| {
            let (sequence, tail) = rest.split_at(length);
            rest = tail;
            dual::sum(sequence)
        });
        Ok(Array {
            elements: elements.collect(),
            dimensions: vec![lengths.len()],
        })
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
    fn token_logprobs(&self, model: Model, role: Role) -> Handle {
        self.push(self.tokens(model, role))
    }

    fn answer_tokens(&self, role: Role) -> Handle {
        self.push(self.lengths(role).map(|lengths| {
            Array {
                dimensions: vec![lengths.len()],
                elements: lengths
                    .iter()
                    .map(|&tokens| Dual::constant(tokens as f64))
                    .collect(),
            }
        }))
    }

    fn sequence_sum(&self, role: Role, values: Handle) -> Handle {
        self.push(self.sum_sequences(role, values))
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
}
