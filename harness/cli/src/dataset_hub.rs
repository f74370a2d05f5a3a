//! The hub as the data sets' way to files that no folder has, with bars for what is downloaded. Decides nothing: the hub
//! crate knows the protocol, the data crate what it needs.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use harness_bench::Event;
use harness_data::{Listing, Remote, RemoteError};
use harness_hub::{Hub, HubEvent, HubSettings};

use crate::progress::Terminal;

const BYTES_PER_MEGABYTE: u64 = 1_000_000;

/// A hub that reads the environment when it is first asked something.
#[derive(Default)]
pub(crate) struct DatasetHub {
    terminal: Mutex<Terminal>,
    /// Whether only the cache is asked.
    offline: bool,
}

impl DatasetHub {
    /// The hub's cache alone.
    pub(crate) fn cache() -> Self {
        Self {
            offline: true,
            ..Self::default()
        }
    }

    fn ask<T>(
        &self,
        question: impl FnOnce(&Hub, &mut dyn FnMut(HubEvent)) -> harness_hub::Result<T>,
    ) -> Result<T, RemoteError> {
        let mut settings = HubSettings::from_environment()?;
        if self.offline {
            settings.offline = settings.offline.or(Some("HF_HUB_OFFLINE"));
        }
        let hub = Hub::new(settings);
        let mut terminal = self.terminal.lock().unwrap_or_else(PoisonError::into_inner);
        let mut show = |event| terminal.show(in_megabytes(event));
        Ok(question(&hub, &mut show)?)
    }
}

impl Remote for DatasetHub {
    fn list(&self, dataset: &str, revision: &str) -> Result<Listing, RemoteError> {
        let found = self.ask(|hub, observer| hub.dataset(dataset, revision, observer))?;
        Ok(Listing {
            revision: revision.to_owned(),
            commit: found.commit,
            files: found.files,
            from_cache: found.from_cache,
        })
    }

    fn fetch(&self, dataset: &str, listing: &Listing, file: &str) -> Result<PathBuf, RemoteError> {
        self.ask(|hub, observer| {
            hub.dataset_file(dataset, &listing.revision, &listing.commit, file, observer)
        })
    }

    fn download(&self, url: &str) -> Result<PathBuf, RemoteError> {
        self.ask(|hub, observer| hub.address(url, observer))
    }
}

/// A download as a stage that counts megabytes.
pub(crate) fn in_megabytes(event: HubEvent) -> Event {
    let megabytes = |bytes: u64| bytes.div_ceil(BYTES_PER_MEGABYTE) as usize;
    match event {
        HubEvent::FileStarted { name, bytes } => Event::StageStarted {
            name,
            total: Some(megabytes(bytes)),
            unit: "MB",
        },
        HubEvent::FileAdvanced { bytes } => Event::StageAdvanced {
            work_done: None,
            done: megabytes(bytes),
            remark: "MB".into(),
        },
        HubEvent::FileFinished => Event::StageFinished {
            remark: "downloaded".into(),
        },
        HubEvent::Message(text) => Event::Message(text),
    }
}
