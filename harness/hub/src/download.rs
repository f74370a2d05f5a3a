//! One model's files from the hub into the cache, in the layout that Hugging Face's own tools share.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};

use crate::error::{HubError, Result, io};
use crate::settings::HubSettings;

const CONFIG: &str = "config.json";
const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// What describes a model and its tokenizer; taken where the repository has it.
const SMALL_FILES: [&str; 10] = [
    CONFIG,
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
];

/// How a download goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubEvent {
    /// A file begins.
    FileStarted {
        /// Its name in the repository.
        name: String,
        /// Its size.
        bytes: u64,
    },
    /// More of it is there.
    FileAdvanced {
        /// What is there.
        bytes: u64,
    },
    /// It is whole.
    FileFinished,
    /// Something worth a line.
    Message(String),
}

/// The hub as the settings describe it.
pub struct Hub {
    settings: HubSettings,
}

impl Hub {
    /// Asks nobody anything yet.
    pub fn new(settings: HubSettings) -> Self {
        Self { settings }
    }

    /// The folder in the cache with the files of `model` (`ORG/NAME`) at `revision`, after downloading what is missing.
    ///
    /// Offline, or while the hub cannot be reached, it is what was downloaded last.
    ///
    /// # Errors
    /// When the hub has no such model, refuses it or cannot be reached and the cache does not have it, or a file cannot be
    /// written.
    pub fn model(
        &self,
        model: &str,
        revision: &str,
        observer: &mut dyn FnMut(HubEvent),
    ) -> Result<PathBuf> {
        let fetch = Fetch {
            settings: &self.settings,
            model,
            revision,
        };
        match self.settings.offline {
            Some(variable) => fetch.cached().ok_or_else(|| HubError::Offline {
                model: model.to_owned(),
                variable,
                cache: self.settings.cache.clone(),
            }),
            None => fetch.online(observer),
        }
    }
}

/// One model at one revision.
struct Fetch<'a> {
    settings: &'a HubSettings,
    model: &'a str,
    revision: &'a str,
}

impl Fetch<'_> {
    fn repo(&self, revision: &str) -> Repo {
        Repo::with_revision(self.model.to_owned(), RepoType::Model, revision.to_owned())
    }

    /// The snapshot that the cache has for this revision, which may be a commit.
    fn cached(&self) -> Option<PathBuf> {
        let cache = Cache::new(self.settings.cache.clone()).repo(self.repo(self.revision));
        let by_name = cache
            .get(CONFIG)
            .and_then(|file| Some(file.parent()?.to_owned()));
        let snapshot = by_name.unwrap_or_else(|| cache.pointer_path(self.revision));
        snapshot.join(CONFIG).is_file().then_some(snapshot)
    }

    fn online(&self, observer: &mut dyn FnMut(HubEvent)) -> Result<PathBuf> {
        let api = self.api()?;
        let listing = match api.repo(self.repo(self.revision)).info() {
            Ok(listing) => listing,
            Err(error) => {
                let error = self.failure(error);
                let cached = self.cached().filter(|_| is_outage(&error)).ok_or(error)?;
                observer(HubEvent::Message(format!(
                    "{} cannot be reached; {} is taken from the cache as it was last downloaded",
                    self.settings.endpoint, self.model
                )));
                return Ok(cached);
            }
        };
        let names: BTreeSet<&str> =
            (listing.siblings.iter().map(|file| file.rfilename.as_str())).collect();
        // Files are asked for by commit: a push in the middle cannot mix two states.
        let commit = self.checked_commit(&listing.sha)?;
        let repo = api.repo(self.repo(commit));
        let cache = Cache::new(self.settings.cache.clone());
        let snapshot = cache.repo(self.repo(commit)).pointer_path(commit);
        let mut take = |name: &str| self.take(&repo, &snapshot, name, observer);
        self.require(&names, CONFIG, "it is no model for transformers")?;
        for name in SMALL_FILES.iter().filter(|name| names.contains(**name)) {
            take(name)?;
        }
        if names.contains(SINGLE) {
            take(SINGLE)?;
        } else {
            let formats = "weights are read from safetensors, one file or shards with an index";
            self.require(&names, INDEX, formats)?;
            take(INDEX)?;
            for shard in self.shards(&snapshot.join(INDEX))? {
                take(&shard)?;
            }
        }
        let whole = cache.repo(self.repo(self.revision)).create_ref(commit);
        whole.map_err(io(&snapshot))?;
        Ok(snapshot)
    }

    fn api(&self) -> Result<Api> {
        let builder = ApiBuilder::from_cache(Cache::new(self.settings.cache.clone()))
            .with_endpoint(self.settings.endpoint.clone())
            .with_token(self.settings.token.clone())
            .with_user_agent("harness", env!("CARGO_PKG_VERSION"))
            .with_progress(false);
        builder.build().map_err(|error| self.failure(error))
    }

    /// Downloads one file unless the snapshot has it.
    fn take(
        &self,
        repo: &ApiRepo,
        snapshot: &Path,
        name: &str,
        observer: &mut dyn FnMut(HubEvent),
    ) -> Result<()> {
        if snapshot.join(name).is_file() {
            return Ok(());
        }
        let progress = FileProgress {
            observer,
            done: 0,
            started: false,
        };
        let fetched = repo.download_with_progress(name, progress);
        fetched
            .map(drop)
            .map_err(|error| match self.failure(error) {
                HubError::Unreachable {
                    model,
                    endpoint,
                    cause,
                    cache,
                } => HubError::Unreachable {
                    model,
                    endpoint,
                    cause: format!("{name}: {cause}"),
                    cache,
                },
                other => other,
            })
    }

    /// The shards that an index names.
    fn shards(&self, index: &Path) -> Result<BTreeSet<String>> {
        let bad = |problem: &str| HubError::BadFile {
            model: self.model.to_owned(),
            file: INDEX.to_owned(),
            problem: problem.to_owned(),
        };
        let text = std::fs::read_to_string(index).map_err(io(index))?;
        let parsed: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| bad(&error.to_string()))?;
        let map = parsed["weight_map"]
            .as_object()
            .ok_or_else(|| bad("weight_map is missing"))?;
        let plain = |name: &str| !name.is_empty() && !name.contains(['/', '\\']);
        map.values()
            .map(|file| match file.as_str() {
                Some(name) if plain(name) => Ok(name.to_owned()),
                _ => Err(bad("weight_map names something that is no file beside it")),
            })
            .collect()
    }

    fn require(&self, names: &BTreeSet<&str>, name: &str, because: &str) -> Result<()> {
        if names.contains(name) {
            return Ok(());
        }
        Err(HubError::Incomplete {
            model: self.model.to_owned(),
            missing: format!("{name}: {because}"),
        })
    }

    /// A commit becomes a folder's name.
    fn checked_commit<'b>(&self, sha: &'b str) -> Result<&'b str> {
        let is_hash = !sha.is_empty() && sha.chars().all(|c| c.is_ascii_hexdigit());
        is_hash.then_some(sha).ok_or_else(|| HubError::BadFile {
            model: self.model.to_owned(),
            file: "the hub's description".to_owned(),
            problem: format!("sha {sha:?} is no commit"),
        })
    }

    fn failure(&self, error: ApiError) -> HubError {
        let (model, endpoint) = (self.model.to_owned(), self.settings.endpoint.clone());
        let cache = self.settings.cache.clone();
        match error {
            ApiError::IoError(source) if is_of_the_disk(&source) => HubError::Io {
                path: cache,
                source,
            },
            ApiError::RequestError(error) => match *error {
                ureq::Error::StatusCode(404) => HubError::NotFound { model, endpoint },
                ureq::Error::StatusCode(status @ (401 | 403)) => HubError::Denied {
                    model,
                    endpoint,
                    status,
                    way_out: match self.settings.token {
                        None => "set HF_TOKEN to a token that may read it",
                        Some(_) => "the token that HF_TOKEN or the cache gives may not read it",
                    },
                },
                other => HubError::Unreachable {
                    model,
                    endpoint,
                    cause: other.to_string(),
                    cache,
                },
            },
            other => HubError::Unreachable {
                model,
                endpoint,
                cause: other.to_string(),
                cache,
            },
        }
    }
}

/// Whether trying again later may help, and what the cache has is as good as anything.
fn is_outage(error: &HubError) -> bool {
    matches!(error, HubError::Unreachable { .. })
}

/// The library gives one type to errors of files and of connections.
fn is_of_the_disk(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::StorageFull
            | ErrorKind::NotADirectory
            | ErrorKind::NotFound
            | ErrorKind::AlreadyExists
    )
}

/// Passes the library's calls on as events.
struct FileProgress<'a> {
    observer: &'a mut dyn FnMut(HubEvent),
    done: u64,
    started: bool,
}

impl Progress for FileProgress<'_> {
    fn init(&mut self, size: usize, filename: &str) {
        // The library begins twice: before and after it has asked for the file.
        if !self.started {
            self.started = true;
            (self.observer)(HubEvent::FileStarted {
                name: filename.to_owned(),
                bytes: size as u64,
            });
        }
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.observer)(HubEvent::FileAdvanced { bytes: self.done });
    }

    fn finish(&mut self) {
        (self.observer)(HubEvent::FileFinished);
    }
}
