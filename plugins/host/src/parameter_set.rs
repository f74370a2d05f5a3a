//! The algebra of parameter sets on candle tensors, a parameter at a time. It refuses operations across elements, and empty selections.

use std::collections::BTreeMap;

use candle_core::{CpuStorage, Storage, Tensor, Var};
use fancy_regex::Regex;
use harness_abi::{Distribution, Operation};
use rayon::prelude::*;

use crate::error::plain;
use crate::training_run::ParameterMap;
use crate::{compute, random};

/// Elements whose products are added up at a time: the pieces are fixed, so that the sum does not depend on the number of threads.
const ELEMENTS_PER_TASK: usize = 64 * 1024;

type Outcome<T> = Result<T, String>;

/// Makes a set of what `make` gives for each parameter, on all threads.
fn each<V: Sync>(
    parameters: &BTreeMap<String, V>,
    make: impl Fn(&str, &V) -> Outcome<Tensor> + Sync,
) -> Outcome<ParameterMap> {
    parameters
        .par_iter()
        .map(|(name, value)| {
            let tensor = make(name, value).map_err(|cause| format!("{name}: {cause}"))?;
            Ok((name.clone(), tensor.detach()))
        })
        .collect()
}

/// Applies an elementwise operation to the tensors of each parameter.
pub(crate) fn combine(
    operation: Operation,
    sets: &[&ParameterMap],
    scalars: &[f64],
) -> Outcome<ParameterMap> {
    let Some(first) = sets.first() else {
        return Err("takes at least one set".to_owned());
    };
    if matches!(operation, Operation::Sum | Operation::Mean) {
        return Err("is not elementwise: sums over a set are dot products".to_owned());
    }
    each(first, |name, _| {
        let inputs: Vec<Tensor> = sets.iter().map(|set| set[name].clone()).collect();
        compute::apply(operation, &inputs, scalars)
    })
}

/// A copy of the parameters.
pub(crate) fn copy(parameters: &BTreeMap<String, Var>) -> Outcome<ParameterMap> {
    each(parameters, |_, parameter| {
        parameter.copy().map_err(|error| plain(&error))
    })
}

/// Gives every parameter the value that `value` makes of its name and its own, if any.
pub(crate) fn assign(
    parameters: &BTreeMap<String, Var>,
    value: impl Fn(&str, &Tensor) -> candle_core::Result<Option<Tensor>> + Sync,
) -> Outcome<()> {
    parameters.par_iter().try_for_each(|(name, parameter)| {
        let assigned = value(name, &parameter.as_detached_tensor()).and_then(|value| match value {
            Some(value) => parameter.set(&value.contiguous()?),
            None => Ok(()),
        });
        assigned.map_err(|error| format!("{name}: {}", plain(&error)))
    })
}

/// `given` with zeros for the parameters that are absent; a shape that is not its parameter's is refused.
pub(crate) fn complete(
    parameters: &BTreeMap<String, Var>,
    given: &ParameterMap,
) -> Outcome<ParameterMap> {
    each(parameters, |name, parameter| match given.get(name) {
        Some(tensor) if tensor.shape() == parameter.shape() => Ok(tensor.clone()),
        Some(tensor) => Err(format!(
            "shape {:?}, expected {:?}",
            tensor.dims(),
            parameter.dims()
        )),
        None => parameter.zeros_like().map_err(|error| plain(&error)),
    })
}

/// Ones for the parameters whose whole name matches.
pub(crate) fn select(parameters: &BTreeMap<String, Var>, pattern: &str) -> Outcome<ParameterMap> {
    let whole = Regex::new(&format!("^(?:{pattern})$"))
        .map_err(|error| format!("pattern `{pattern}`: {error}"))?;
    let mut chosen = BTreeMap::new();
    for name in parameters.keys() {
        let matches = whole
            .is_match(name)
            .map_err(|error| format!("pattern `{pattern}`: {error}"))?;
        chosen.insert(name.as_str(), matches);
    }
    if !chosen.values().any(|&matches| matches) {
        let near = harness_spelling::hint(pattern, chosen.keys().copied());
        let example = chosen.keys().next().copied().unwrap_or_default();
        return Err(format!(
            "no parameter's whole name matches `{pattern}`{near}; there are {} of them, such as {example}",
            chosen.len()
        ));
    }
    each(parameters, |name, parameter| {
        let same = if chosen[name] {
            parameter.ones_like()
        } else {
            parameter.zeros_like()
        };
        same.map_err(|error| plain(&error))
    })
}

/// Random numbers for each parameter, of a stream of its own by its name.
pub(crate) fn draw(
    parameters: &BTreeMap<String, Var>,
    seed: u64,
    stream: u64,
    distribution: Distribution,
) -> Outcome<ParameterMap> {
    each(parameters, |name, parameter| {
        let stream = random::named_stream(stream, name);
        let values = random::values(seed, stream, distribution, parameter.elem_count());
        Tensor::from_vec(values, parameter.shape(), parameter.device())
            .map_err(|error| plain(&error))
    })
}

/// Σ a·b, in f64 and a fixed order.
pub(crate) fn dot(a: &ParameterMap, b: &ParameterMap) -> Outcome<f64> {
    let products = a.par_iter().map(|(name, a)| {
        read(a, |a| {
            read(&b[name], |b| {
                let pieces = a
                    .par_chunks(ELEMENTS_PER_TASK)
                    .zip(b.par_chunks(ELEMENTS_PER_TASK));
                let pieces: Vec<f64> = pieces.map(|(a, b)| product(a, b)).collect();
                pieces.iter().sum()
            })
        })?
    });
    let products: Vec<f64> = products.collect::<Outcome<_>>()?;
    Ok(products.iter().sum())
}

fn product(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += f64::from(a) * f64::from(b);
        }
    }
    sums.iter().sum()
}

/// The first parameter with a value that is not finite.
pub(crate) fn first_broken<'a>(
    set: impl Iterator<Item = (&'a String, &'a Tensor)>,
) -> Outcome<Option<&'a str>> {
    for (name, tensor) in set {
        if !read(tensor, |values| {
            values.par_iter().all(|value| value.is_finite())
        })? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// The value below which this share of all elements lies, interpolated linearly between two neighbours.
pub(crate) fn quantile(set: &ParameterMap, share: f64) -> Outcome<f64> {
    if !(0.0..=1.0).contains(&share) {
        return Err(format!("its share is {share}, expected 0 to 1"));
    }
    let mut all = Vec::new();
    for tensor in set.values() {
        read(tensor, |values| all.extend_from_slice(values))?;
    }
    let Some(last) = all.len().checked_sub(1) else {
        return Err("the set is empty".to_owned());
    };
    let place = share * last as f64;
    let (_, &mut low, above) = all.select_nth_unstable_by(place as usize, f32::total_cmp);
    let high = above.iter().copied().min_by(f32::total_cmp).unwrap_or(low);
    Ok(f64::from(low) + place.fract() * (f64::from(high) - f64::from(low)))
}

/// Shows the elements, in place where they lie in memory as f32.
fn read<R>(tensor: &Tensor, show: impl FnOnce(&[f32]) -> R) -> Outcome<R> {
    {
        let (storage, layout) = tensor.storage_and_layout();
        if let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) =
            (&*storage, layout.contiguous_offsets())
        {
            return Ok(show(&values[start..end]));
        }
    }
    let copied = tensor
        .flatten_all()
        .and_then(|flat| flat.to_vec1::<f32>())
        .map_err(|error| plain(&error))?;
    Ok(show(&copied))
}
