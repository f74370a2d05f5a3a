//! From config.json to a [`DecoderSpec`](crate::DecoderSpec): one file a family. A family or setting that the decoder does
//! not compute exactly is refused by name, never ignored.

mod config_file;
mod llama;

use std::path::Path;

pub(crate) use config_file::ConfigFile;

use crate::error::{ModelError, Result};
use crate::spec::DecoderSpec;

const SUPPORTED: &str = "llama";

/// Reads `config.json` of a model directory.
///
/// # Errors
/// When the file is missing or malformed, or the family or one of its settings is not supported.
pub fn read_spec(directory: &Path) -> Result<DecoderSpec> {
    let config = ConfigFile::read(&directory.join("config.json"))?;
    match config.text("model_type")?.as_str() {
        "llama" => llama::spec(&config),
        other => Err(ModelError::Unsupported {
            path: config.path().to_owned(),
            setting: format!("model_type \"{other}\""),
            detail: format!(" (supported: {SUPPORTED})"),
        }),
    }
}
