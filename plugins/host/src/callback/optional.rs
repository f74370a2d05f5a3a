//! The C functions beyond token log-probabilities and expressions: measures, values, random numbers, progress, hidden states. It refuses
//! garbage like its parent.

use std::ffi::c_void;

use candle_core::{Device, Tensor};
use harness_abi::{
    Distribution, HIDDEN_STATES, Handle, HiddenStates, Measure, Progress, Status, TRAINER, Text,
};

use super::{
    MAX_RANK, MAX_VALUES, count_of, issue, model_of, positions_of, role, trainer, unknown,
    with_step,
};
use crate::fault::Fault;
use crate::source::MeasureRequest;
use crate::text::{self, read_slice};

static HIDDEN: HiddenStates = HiddenStates {
    struct_size: size_of::<HiddenStates>(),
    width: Some(hidden_width),
    squared_distance: Some(squared_distance),
    length: Some(hidden_length),
};

pub(super) unsafe extern "C" fn measure(
    context: *mut c_void,
    measure: u32,
    role_code: u32,
    positions: u32,
    teacher: u32,
    shift: f64,
    stand_in: u32,
) -> Handle {
    const NAME: &str = "measure";
    issue(context, |step| {
        step.measure(&MeasureRequest {
            measure: Measure::from_code(measure).ok_or_else(|| unknown(NAME, NAME, measure))?,
            role: role(NAME, role_code)?,
            positions: positions_of(NAME, positions)?,
            teacher: model_of(NAME, teacher)?,
            contrast: None,
            shift,
            stand_in,
        })
    })
}

pub(super) unsafe extern "C" fn read(
    context: *mut c_void,
    tensor: Handle,
    values: *mut f64,
    capacity: usize,
    length: *mut usize,
) -> Status {
    with_step(context, Status::ERROR, |step| {
        let held = |values: Vec<f32>| {
            step.source()
                .held(Tensor::new(values, &Device::Cpu)?)?
                .to_vec1::<f32>()
        };
        let Some(found) = step
            .values(tensor)
            .ok()
            .and_then(|values| held(values).ok())
        else {
            return Status::ERROR;
        };
        let is_place = !values.is_null() && values.is_aligned();
        if found.len() > capacity || !is_place || length.is_null() || !length.is_aligned() {
            return Status::ERROR;
        }
        for (place, &value) in found.iter().enumerate() {
            // SAFETY: the method lends room for `capacity` numbers, which is no less than there are.
            unsafe { values.add(place).write(f64::from(value)) };
        }
        // SAFETY: non-null and aligned; the method lends it for the call.
        unsafe { length.write(found.len()) };
        Status::OK
    })
}

pub(super) unsafe extern "C" fn random(
    context: *mut c_void,
    stream: u64,
    distribution: u32,
    dimensions: *const usize,
    rank: usize,
) -> Handle {
    const NAME: &str = "random";
    issue(context, |step| {
        let distribution = Distribution::from_code(distribution)
            .ok_or_else(|| unknown(NAME, "distribution", distribution))?;
        // SAFETY: a method lends a valid array for the duration of the call.
        let dimensions = unsafe { read_slice(dimensions, rank, MAX_RANK) }
            .ok_or_else(|| Fault::new(NAME, "its shape is null, misaligned or too long"))?;
        match count_of(dimensions) {
            Some(count) if count <= MAX_VALUES => step.random(stream, distribution, dimensions),
            _ => Err(Fault::new(
                NAME,
                format!("shape {dimensions:?} is too large"),
            )),
        }
    })
}

pub(super) unsafe extern "C" fn progress(context: *mut c_void, quantity: u32) -> f64 {
    with_step(context, f64::NAN, |step| {
        Progress::from_code(quantity).map_or(f64::NAN, |quantity| step.source().progress(quantity))
    })
}

pub(super) unsafe extern "C" fn extension(context: *mut c_void, name: Text) -> *const c_void {
    with_step(context, std::ptr::null(), |step| {
        // SAFETY: a method lends valid text for the duration of the call.
        match unsafe { text::read(name) }.as_deref() {
            Some(HIDDEN_STATES) => (&raw const HIDDEN).cast(),
            Some(TRAINER) if step.training().is_some() => (&raw const trainer::TABLE).cast(),
            _ => std::ptr::null(),
        }
    })
}

unsafe extern "C" fn hidden_width(context: *mut c_void) -> usize {
    with_step(context, 0, |step| step.source().hidden_width())
}

unsafe extern "C" fn squared_distance(
    context: *mut c_void,
    role_code: u32,
    positions: u32,
    layer: u32,
    target: Handle,
) -> Handle {
    const NAME: &str = "squared_distance";
    issue(context, |step| {
        let (role, positions) = (role(NAME, role_code)?, positions_of(NAME, positions)?);
        step.squared_distance(role, positions, layer, target)
    })
}

unsafe extern "C" fn hidden_length(
    context: *mut c_void,
    model: u32,
    role_code: u32,
    positions: u32,
    layer: u32,
) -> Handle {
    const NAME: &str = "length";
    issue(context, |step| {
        let model = model_of(NAME, model)?;
        let (role, positions) = (role(NAME, role_code)?, positions_of(NAME, positions)?);
        step.hidden_length(model, role, positions, layer)
    })
}
