//! Where the cache is, who we are and whether we may use the network, from the variables that Hugging Face's own tools read.

use std::path::PathBuf;

use crate::error::{HubError, Result, io};

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
/// Either forbids downloads.
const OFFLINE: [&str; 2] = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];
/// The first that is set names the cache itself.
const CACHE: [&str; 2] = ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"];
const TOKEN: [&str; 2] = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];

/// How to reach the hub, and where to keep what comes from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubSettings {
    /// The cache's folder: one `models--ORG--NAME` a model.
    pub cache: PathBuf,
    /// Address of the hub, without a slash at the end.
    pub endpoint: String,
    /// Access token.
    pub token: Option<String>,
    /// The variable that forbids downloads, if one does.
    pub offline: Option<&'static str>,
}

impl HubSettings {
    /// Reads the environment.
    ///
    /// # Errors
    /// When there is no home folder and no other place is named.
    pub fn from_environment() -> Result<Self> {
        Self::from_variables(&|name| std::env::var(name).ok())
    }

    /// Reads `HF_HUB_CACHE`, `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` and their older names; an empty variable
    /// counts as unset.
    ///
    /// # Errors
    /// As [`Self::from_environment`].
    pub fn from_variables(variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let home = set("HF_HOME").map(PathBuf::from).or_else(|| {
            let cache = set("XDG_CACHE_HOME").map(PathBuf::from);
            let cache = cache.or_else(|| Some(PathBuf::from(set("HOME")?).join(".cache")))?;
            Some(cache.join("huggingface"))
        });
        let named = CACHE.into_iter().find_map(set).map(PathBuf::from);
        let cache = named.or_else(|| Some(home.clone()?.join("hub")));
        let cache = cache.ok_or(HubError::NoCache)?;
        let token_file = set("HF_TOKEN_PATH")
            .map(PathBuf::from)
            .or_else(|| Some(home?.join("token")));
        let stored = || std::fs::read_to_string(token_file?).ok();
        let token = TOKEN.into_iter().find_map(set).or_else(stored);
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        Ok(Self {
            cache: std::path::absolute(&cache).map_err(io(&cache))?,
            endpoint: endpoint.trim().trim_end_matches('/').to_owned(),
            token: token
                .map(|token| token.trim().to_owned())
                .filter(|token| !token.is_empty()),
            offline: OFFLINE
                .into_iter()
                .find(|name| set(name).is_some_and(|value| is_true(&value))),
        })
    }
}

fn is_true(value: &str) -> bool {
    let value = value.trim().to_ascii_uppercase();
    ["1", "ON", "YES", "TRUE"].contains(&value.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use std::path::Path;

    use super::HubSettings;

    fn settings(variables: &[(&str, &str)]) -> HubSettings {
        let find = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        HubSettings::from_variables(&find).unwrap()
    }

    #[test]
    fn the_nearest_variable_names_the_cache() {
        let mut variables = vec![("HOME", "/h")];
        for (name, value, cache) in [
            ("", "", "/h/.cache/huggingface/hub"),
            ("XDG_CACHE_HOME", "/x", "/x/huggingface/hub"),
            ("HF_HOME", "/f", "/f/hub"),
            ("HUGGINGFACE_HUB_CACHE", "/old", "/old"),
            ("HF_HUB_CACHE", "/new", "/new"),
            ("HF_HUB_CACHE", "", "/old"),
        ] {
            variables.insert(0, (name, value));
            assert_eq!(settings(&variables).cache, Path::new(cache), "{name}");
        }
    }

    #[test]
    fn tokens_and_switches() {
        let found = settings(&[
            ("HF_HOME", "/nowhere"),
            ("HUGGING_FACE_HUB_TOKEN", " old\n"),
            ("HF_HUB_OFFLINE", "0"),
            ("TRANSFORMERS_OFFLINE", "yes"),
            ("HF_ENDPOINT", "http://mirror/"),
        ]);
        assert_eq!(found.token.as_deref(), Some("old"));
        assert_eq!(found.offline, Some("TRANSFORMERS_OFFLINE"));
        assert_eq!(found.endpoint, "http://mirror");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "stored\n").unwrap();
        let home = folder.path().to_str().unwrap();
        let found = settings(&[("HF_HOME", home)]);
        assert_eq!(found.token.as_deref(), Some("stored"));
        assert_eq!(
            settings(&[("HF_HOME", home), ("HF_TOKEN", "mine")])
                .token
                .as_deref(),
            Some("mine")
        );
    }
}
