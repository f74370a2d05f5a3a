//! Models and data sets of the Hugging Face hub, and files at addresses: brings them into the hub's local cache and says
//! where they are.
//!
//! Writes into the cache and nowhere else; uploads nothing, and opens no model and no data set. Without the feature
//! `download` it only looks into the cache.

mod address;
mod cache;
mod error;
mod hub;
#[cfg_attr(not(feature = "download"), path = "absent.rs")]
mod online;
mod settings;

pub use cache::Kind;
pub use error::{HubError, Result};
pub use hub::{DatasetFiles, Hub, HubEvent, Observer};
pub use settings::HubSettings;

/// The revision that an id without one stands for.
pub const MAIN: &str = "main";
