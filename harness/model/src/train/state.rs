//! A training run between two steps, as one safetensors file: the variables and what their optimiser keeps of them. It refuses a
//! file of another run's variables; what else a run is made of follows from its settings and the number of steps.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{Tensor, Var};

use super::optimizer::{Kept, Optimizer};
use crate::error::{Result, bad_file};
use crate::safetensors_file::{StoredTensor, read_safetensors, write_safetensors};

const VARIABLE: &str = "variable/";
const KEPT: &str = "optimizer/";

/// Writes the variables of `optimizer` with its state.
///
/// # Errors
/// When the file cannot be written.
pub fn write_training_state(file: &Path, optimizer: &dyn Optimizer) -> Result<()> {
    let variables = optimizer.variables();
    let mut stored: Vec<(String, StoredTensor)> = variables
        .iter()
        .map(|(name, variable)| {
            let tensor = StoredTensor::Tensor(variable.as_tensor());
            (format!("{VARIABLE}{name}"), tensor)
        })
        .collect();
    stored.extend(optimizer.kept().into_iter().map(|(name, kept)| {
        let tensor = match kept {
            Kept::Values(values, shape) => StoredTensor::Values(values, shape),
            Kept::Tensor(tensor) => StoredTensor::Tensor(tensor),
        };
        (format!("{KEPT}{name}"), tensor)
    }));
    write_safetensors(stored, file)
}

/// Puts the variables of `optimizer`, and what it keeps, where they were after `steps` steps.
///
/// # Errors
/// When the file is damaged or belongs to other variables; then some may have changed.
pub fn read_training_state(file: &Path, optimizer: &mut dyn Optimizer, steps: usize) -> Result<()> {
    let device = optimizer.variables().values().next();
    let device = device.map_or(candle_core::Device::Cpu, |variable| {
        variable.device().clone()
    });
    let mut stored = read_safetensors(file, &device)?;
    let mut take = |name: &str, like: &Var| {
        let tensor = stored.remove(name);
        tensor
            .filter(|tensor| tensor.shape() == like.shape())
            .ok_or_else(|| {
                let problem = format!("{name} is missing or of another shape than this run's");
                bad_file(file, problem)
            })
    };
    let mut kept: BTreeMap<String, Tensor> = BTreeMap::new();
    for (name, variable) in optimizer.variables() {
        variable.set(&take(&format!("{VARIABLE}{name}"), variable)?)?;
        for part in optimizer.kept_parts() {
            let part = format!("{part}/{name}");
            let tensor = take(&format!("{KEPT}{part}"), variable)?;
            kept.insert(part, tensor);
        }
    }
    if let Some(name) = stored.keys().next() {
        return Err(bad_file(file, format!("{name} is nothing of this run's")));
    }
    optimizer.restore(&kept, steps)
}
