//! Rotary settings in both styles: `rope_theta` beside `rope_scaling`, and transformers 5's `rope_parameters`.

use serde_json::{Map, Value};

use super::base::Defaults;
use super::config_file::ConfigFile;
use crate::error::Result;
use crate::spec::{Rotary, RotaryScaling};

/// Settings that are read; any other is refused.
const READ: [&str; 11] = [
    "attention_factor",
    "factor",
    "high_freq_factor",
    "long_factor",
    "low_freq_factor",
    "original_max_position_embeddings",
    "partial_rotary_factor",
    "rope_theta",
    "rope_type",
    "short_factor",
    "type",
];

/// The object that holds rotary settings, with the key it was found under.
pub(super) struct RopeSettings<'a> {
    config: &'a ConfigFile,
    key: &'static str,
    values: Map<String, Value>,
}

/// The rotation of a model's layers, or of those of the kind that `defaults` names.
pub(super) fn rotary(config: &ConfigFile, head_dim: usize, defaults: &Defaults) -> Result<Rotary> {
    let all = RopeSettings::read(config)?;
    let own = defaults
        .rope_layer_type
        .and_then(|kind| all.of_layer_type(kind));
    own.unwrap_or(all).rotary(head_dim, defaults)
}

impl<'a> RopeSettings<'a> {
    pub(super) fn read(config: &'a ConfigFile) -> Result<Self> {
        let key = match config.get("rope_parameters") {
            Some(_) => "rope_parameters",
            None => "rope_scaling",
        };
        let values = match config.get(key) {
            None => Map::new(),
            Some(Value::Object(values)) => values.clone(),
            Some(_) => return Err(config.bad(key, "an object")),
        };
        Ok(Self {
            config,
            key,
            values,
        })
    }

    /// The settings of one kind of layer, where each kind has its own.
    pub(super) fn of_layer_type(&self, layer_type: &str) -> Option<Self> {
        let values = self.values.get(layer_type)?.as_object()?.clone();
        Some(Self {
            config: self.config,
            key: self.key,
            values,
        })
    }

    pub(super) fn rotary(&self, head_dim: usize, defaults: &Defaults) -> Result<Rotary> {
        let config = self.config;
        if let Some((name, _)) = self
            .values
            .iter()
            .find(|(name, value)| !value.is_null() && !READ.contains(&name.as_str()))
        {
            return Err(config.unsupported(self.key, &format!(" because of {name}")));
        }
        let theta = match self.number("rope_theta") {
            Some(theta) => theta,
            None => config.positive("rope_theta", defaults.rope_theta)?,
        };
        let share = match self.number("partial_rotary_factor") {
            Some(share) => share,
            None => config.positive("partial_rotary_factor", defaults.rotated_share)?,
        };
        let dimensions = (head_dim as f64 * share) as usize;
        if dimensions == 0 || !dimensions.is_multiple_of(2) || dimensions > head_dim {
            let problem = format!(
                "even and a part of the head where it is rotated; {dimensions} of {head_dim} dimensions would be"
            );
            return Err(config.bad("head_dim", &problem));
        }
        let scaling = self.scaling(dimensions / 2)?;
        Ok(Rotary {
            dimensions,
            theta,
            scaling,
        })
    }

    fn scaling(&self, planes: usize) -> Result<RotaryScaling> {
        let kind = self
            .values
            .get("rope_type")
            .or_else(|| self.values.get("type"));
        let kind = kind
            .filter(|kind| !kind.is_null())
            .map_or(Some("default"), Value::as_str);
        match kind {
            Some("default") => Ok(RotaryScaling::None),
            Some("linear") => Ok(RotaryScaling::Linear {
                factor: self.required("factor")?,
            }),
            Some("llama3") => Ok(RotaryScaling::Llama3 {
                factor: self.required("factor")?,
                low: self.required("low_freq_factor")?,
                high: self.required("high_freq_factor")?,
                original_positions: self.required("original_max_position_embeddings")?,
            }),
            Some("longrope" | "su") => self.long_rope(planes),
            _ => Err(self
                .config
                .unsupported(self.key, " (default, linear, llama3 and longrope are)")),
        }
    }

    fn long_rope(&self, planes: usize) -> Result<RotaryScaling> {
        const ORIGINAL: &str = "original_max_position_embeddings";
        let original = match self.config.optional_count(ORIGINAL)? {
            Some(original) => original,
            None => self.required(ORIGINAL)? as usize,
        };
        let factor = match self.number("factor") {
            Some(factor) => factor,
            None => self.config.count("max_position_embeddings")? as f64 / original as f64,
        };
        // The magnitude that the LongRoPE authors give for a context extended by this factor.
        let usual = if factor > 1.0 {
            (1.0 + factor.ln() / (original as f64).ln()).sqrt()
        } else {
            1.0
        };
        Ok(RotaryScaling::LongRope {
            short: self.divisors("short_factor", planes)?,
            long: self.divisors("long_factor", planes)?,
            original_positions: original,
            magnitude: self.number("attention_factor").unwrap_or(usual),
        })
    }

    fn divisors(&self, name: &str, planes: usize) -> Result<Vec<f64>> {
        let list = self
            .values
            .get(name)
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let divisors: Option<Vec<f64>> = list.map(|x| x.as_f64().filter(|&x| x > 0.0)).collect();
        divisors
            .filter(|divisors| divisors.len() == planes)
            .ok_or_else(|| {
                self.config.bad(
                    self.key,
                    &format!("complete: {name} must be {planes} positive numbers"),
                )
            })
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.values
            .get(name)
            .and_then(Value::as_f64)
            .filter(|&x| x > 0.0 && x.is_finite())
    }

    fn required(&self, name: &str) -> Result<f64> {
        self.number(name).ok_or_else(|| {
            self.config.bad(
                self.key,
                &format!("complete: {name} is missing or no positive number"),
            )
        })
    }
}
