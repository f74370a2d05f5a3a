//! Results on standard output. A reader that has seen enough is no error; a full disk is.

use std::io::Write;

use anyhow::Result;

/// Prints `text` as it is.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}
