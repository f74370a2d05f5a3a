//! Where the file at an address is kept: below `downloads` in the hub's cache, under a hash of the address and its own
//! name, with the tag by which the server knows its state. Downloads nothing.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

const FOLDER: &str = "downloads";

/// The place of one address.
pub(crate) struct Address {
    pub(crate) folder: PathBuf,
    pub(crate) file: PathBuf,
    /// The file's entity tag, in a file of its own.
    pub(crate) tag: PathBuf,
}

impl Address {
    /// Nothing for what is no address of a file.
    pub(crate) fn new(cache: &Path, url: &str) -> Option<Self> {
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"))?;
        let path = rest.split(['?', '#']).next()?;
        let (_, name) = path.rsplit_once('/')?;
        if !crate::cache::is_inside(name) {
            return None;
        }
        let hash = Sha256::digest(url.as_bytes());
        let hash = u128::from_be_bytes(*hash.as_slice().first_chunk()?);
        let folder = cache.join(FOLDER).join(format!("{hash:032x}"));
        Some(Self {
            file: folder.join(name),
            tag: folder.join(".etag"),
            folder,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Address;

    #[test]
    fn files_keep_their_names_and_addresses_their_distance() {
        let of = |url| Address::new(Path::new("/c"), url);
        let (one, two) = (of("https://h/a/x.csv?v=1"), of("https://h/a/x.csv?v=2"));
        let files = [one, two].map(|place| place.map(|place| place.file));
        assert!(files.iter().flatten().all(|file| file.ends_with("x.csv")));
        assert!(files[0].is_some() && files[0] != files[1]);
        for none in [
            "ftp://h/x",
            "https://host",
            "https://h/",
            "https://h/..",
            "x.csv",
        ] {
            assert!(of(none).is_none(), "{none}");
        }
    }
}
