//! Where the file at an address is kept: below `downloads` in the hub's cache, under a hash of the address and its own
//! name. Downloads nothing.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::cache::is_inside;

const FOLDER: &str = "downloads";

/// Where the file of an address is, or will be; nothing for what is no address of a file.
pub(crate) fn place(cache: &Path, url: &str) -> Option<PathBuf> {
    let rest = (url.strip_prefix("https://")).or_else(|| url.strip_prefix("http://"))?;
    let path = rest.split(['?', '#']).next()?;
    let (_, name) = path.rsplit_once('/')?;
    let hash = Sha256::digest(url.as_bytes());
    let hash = u128::from_be_bytes(*hash.as_slice().first_chunk()?);
    let folder = cache.join(FOLDER).join(format!("{hash:032x}"));
    is_inside(name).then(|| folder.join(name))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::place;

    #[test]
    fn files_keep_their_names_and_addresses_their_distance() {
        let of = |url| place(Path::new("/c"), url);
        let (one, two) = (of("https://h/a/x.csv?v=1"), of("https://h/a/x.csv?v=2"));
        assert!(
            [&one, &two]
                .into_iter()
                .flatten()
                .all(|file| file.ends_with("x.csv"))
        );
        assert!(one.is_some() && one != two);
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
