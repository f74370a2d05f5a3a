//! Models of the Hugging Face hub: brings a model's files into the hub's local cache and says where they are.
//!
//! Writes into the cache and nowhere else; uploads nothing, and opens no model.

mod download;
mod error;
mod settings;

pub use download::{Hub, HubEvent};
pub use error::{HubError, Result};
pub use settings::HubSettings;

/// The revision that a model id without one stands for.
pub const MAIN: &str = "main";
