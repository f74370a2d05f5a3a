//! Files at addresses anywhere: asked for by the tag of what is there already, written beside and renamed. The hub's token
//! goes to the hub only.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Response;

use super::repository::{request_failure, unreachable};
use crate::error::{Result, io};
use crate::hub::{HubEvent, Observer, Wanted};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
const PIECE_BYTES: usize = 1 << 16;
const NOT_MODIFIED: u16 = 304;

/// Brings the file, unless it is there and has not changed.
pub(crate) fn address(wanted: Wanted<'_>, place: &Path, observer: Observer<'_>) -> Result<()> {
    let config = Agent::config_builder()
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .build();
    let settings = wanted.settings;
    // By its tag the server knows which state of the file is here.
    let tag_file = place.with_file_name(".etag");
    let mut request = Agent::new_with_config(config).get(wanted.id);
    if wanted.id.starts_with(&format!("{}/", settings.endpoint))
        && let Some(token) = &settings.token
    {
        request = request.header("Authorization", format!("Bearer {token}"));
    }
    if let (true, Ok(tag)) = (place.is_file(), std::fs::read_to_string(&tag_file)) {
        request = request.header("If-None-Match", tag);
    }
    let response = request
        .call()
        .map_err(|error| request_failure(wanted, &error))?;
    if response.status() == NOT_MODIFIED {
        return Ok(());
    }
    let header = |name: &str| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
    let (tag, bytes) = (header("etag"), header("content-length"));
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    observer(HubEvent::FileStarted {
        name: name.into_owned(),
        bytes: bytes
            .as_deref()
            .and_then(|bytes| bytes.parse().ok())
            .unwrap_or_default(),
    });
    if let Some(folder) = place.parent() {
        std::fs::create_dir_all(folder).map_err(io(folder))?;
    }
    write(wanted, place, response, observer)?;
    match tag {
        Some(tag) => std::fs::write(&tag_file, tag).map_err(io(&tag_file))?,
        // Without a tag nobody can tell whether it has changed.
        None => drop(std::fs::remove_file(&tag_file)),
    }
    observer(HubEvent::FileFinished);
    Ok(())
}

fn write(
    wanted: Wanted<'_>,
    place: &Path,
    response: Response<ureq::Body>,
    observer: Observer<'_>,
) -> Result<()> {
    let partial = place.with_file_name(".partial");
    let mut file = File::create(&partial).map_err(io(&partial))?;
    let mut body = response.into_body().into_reader();
    let mut piece = vec![0; PIECE_BYTES];
    let mut done = 0;
    loop {
        let read = body
            .read(&mut piece)
            .map_err(|error| unreachable(wanted, error.to_string()))?;
        if read == 0 {
            break;
        }
        file.write_all(&piece[..read]).map_err(io(&partial))?;
        done += read as u64;
        observer(HubEvent::FileAdvanced { bytes: done });
    }
    std::fs::rename(&partial, place).map_err(io(place))
}
