//! Where a model computes, by name. Refuses devices that this build has no code for.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;
use candle_core::utils::cuda_is_available;
use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result, first_line};

/// A device, not yet opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceName {
    /// The processor, with fused operations.
    #[default]
    Cpu,
    /// NVIDIA GPU of this number, counted from 0.
    Cuda(usize),
}

impl DeviceName {
    /// # Errors
    /// When the device is not there or cannot be used.
    pub fn open(self) -> Result<Device> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(number) => Device::new_cuda(number).map_err(|error| {
                ModelError::BadInput(format!("device {self}: {}", first_line(&error)))
            }),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda(number) => write!(formatter, "cuda:{number}"),
        }
    }
}

impl FromStr for DeviceName {
    type Err = ModelError;

    /// Reads `cpu`, `cuda` or `cuda:N`.
    fn from_str(name: &str) -> Result<Self> {
        let number = match name.split_once(':') {
            None if name == "cpu" => return Ok(Self::Cpu),
            None if name == "cuda" => Some(0),
            Some(("cuda", number)) => number.parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if cuda_is_available() => Ok(Self::Cuda(number)),
            Some(_) => Err(ModelError::BadInput(format!(
                "device {name}: this build computes on cpu only; one for NVIDIA GPUs is made with \
                 `cargo build --release -p harness-cli --features cuda`"
            ))),
            None => {
                let hint = harness_spelling::hint(name, ["cpu", "cuda"]);
                Err(ModelError::BadInput(format!(
                    "device {name}: cpu, cuda and cuda:N are understood{hint}"
                )))
            }
        }
    }
}
