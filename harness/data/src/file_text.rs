//! The text of a file, taken out of gzip or Zstandard where its name says so; refuses what is not UTF-8.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::DataError;

/// Endings of compressed files.
pub(crate) const COMPRESSIONS: [&str; 2] = [".gz", ".zst"];

/// Reads a file to its end. A byte order mark is dropped.
pub(crate) fn read(path: &Path) -> Result<String, DataError> {
    let bytes = bytes(path)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].split(|&byte| byte == b'\n').count() as u64;
        DataError::corrupt_line(path, line, "not UTF-8; convert the file to it")
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

fn bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    let file = File::open(path).map_err(DataError::io(path))?;
    let mut bytes = Vec::new();
    let compressed = |error: std::io::Error| {
        DataError::corrupt(path, format!("not a readable compressed file: {error}"))
    };
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("gz") => {
            let read = flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes);
            read.map_err(compressed)?;
        }
        Some("zst") => {
            let decoder = zstd::Decoder::new(file).map_err(compressed)?;
            { decoder }.read_to_end(&mut bytes).map_err(compressed)?;
        }
        _ => {
            { file }
                .read_to_end(&mut bytes)
                .map_err(DataError::io(path))?;
        }
    }
    Ok(bytes)
}
