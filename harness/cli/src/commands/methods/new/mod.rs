//! `harness methods new`: a method that builds, passes its own test and runs, to be changed into one's own. Never writes into a folder that is
//! there, and needs neither a repository nor a network: the SDK comes out of the binary.

mod vendored;

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use harness_host::MethodPath;

use crate::exit::Refused;
use crate::locations::method_folders;

/// The name that the templates have.
const PLACEHOLDER: &str = "my_method";

/// Write a new method that builds, passes its test and runs
#[derive(Args)]
pub(super) struct New {
    /// Name of the method, and of the folder that is made for it
    name: String,
    /// Where the folder is made
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// What it is written in
    #[arg(long, value_enum, default_value = "rust")]
    language: Language,
    /// Folder of the SDK's crate (`plugins/sdk` of a clone), instead of a copy in the new folder
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Language {
    /// A crate that uses the SDK
    Rust,
    /// One file, the header and a Makefile
    C,
}

/// A file to be written, by its path in the new folder.
type NewFile = (PathBuf, String);

impl New {
    pub(super) fn run(self) -> Result<()> {
        check_name(&self.name)?;
        self.refuse_clash()?;
        let files = match self.language {
            Language::Rust => self.rust()?,
            Language::C if self.sdk.is_some() => {
                return Err(Refused("--sdk: a method in C needs the header only".into()).into());
            }
            Language::C => self.c(),
        };
        let folder = self.dir.join(&self.name);
        write_folder(&self.dir, &folder, &files)?;
        let build = match self.language {
            Language::Rust => "cargo test --release && cargo build --release",
            Language::C => "make",
        };
        crate::output::print(&format!(
            "{}\n\n    cd {} && {build}\n\nREADME.md there says how to check and run it.\n",
            folder.display(),
            folder.display()
        ))
    }

    /// Refuses the id of a method that is found already: one of the two could not be named.
    fn refuse_clash(&self) -> Result<()> {
        let methods = MethodPath::new(method_folders(&[])?).list()?;
        match methods.get(&self.name) {
            None => Ok(()),
            Some(library) => Err(Refused(format!(
                "there is a method `{}` already ({}): choose another name",
                self.name,
                library.display()
            ))
            .into()),
        }
    }

    fn rust(&self) -> Result<Vec<NewFile>> {
        let (sdk, whose) = match &self.sdk {
            Some(sdk) => (given_sdk(sdk)?, "that of your clone".to_owned()),
            None => (
                "harness-sdk/sdk".into(),
                format!("a copy of harness {}'s", env!("CARGO_PKG_VERSION")),
            ),
        };
        let mut files: Vec<NewFile> = vec![
            (
                "Cargo.toml".into(),
                self.fill(include_str!("rust/manifest.toml"))
                    .replace("\"SDK\"", &format!("{sdk:?}")),
            ),
            ("src/lib.rs".into(), self.fill(include_str!("rust/lib.rs"))),
            (
                "README.md".into(),
                self.fill(include_str!("rust/README.md"))
                    .replace("WHOSE_SDK", &whose),
            ),
            (".gitignore".into(), "target/\n".into()),
        ];
        if self.sdk.is_none() {
            let vendored = vendored::files()?;
            files.extend(
                vendored
                    .into_iter()
                    .map(|(name, text)| (Path::new("harness-sdk").join(name), text)),
            );
        }
        Ok(files)
    }

    fn c(&self) -> Vec<NewFile> {
        let example = include_str!("../../../../../../plugins/abi/examples/ascent.c")
            .replace("\\\"ascent\\\"", &format!("\\\"{}\\\"", self.name))
            .replace(
                "libharness_method_ascent",
                &format!("libharness_method_{}", self.name),
            );
        let header = include_str!("../../../../../../plugins/abi/harness_method.h");
        vec![
            (format!("{}.c", self.name).into(), example),
            ("harness_method.h".into(), header.into()),
            ("Makefile".into(), self.fill(include_str!("c/Makefile"))),
            ("README.md".into(), self.fill(include_str!("c/README.md"))),
            (".gitignore".into(), "build/\n".into()),
        ]
    }

    /// A template with this method's names.
    fn fill(&self, template: &str) -> String {
        let library = format!("{DLL_PREFIX}harness_method_{}{DLL_SUFFIX}", self.name);
        template
            .replace("my-method", &self.name.replace('_', "-"))
            .replace("MyMethod", &camel(&self.name))
            .replace(PLACEHOLDER, &self.name)
            .replace("LIBRARY", &library)
    }
}

/// Refuses what the contract or cargo would refuse later.
fn check_name(name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let (first, last) = (name.chars().next(), name.chars().last());
    let ends_well = last.is_some_and(|c| c != '_') && !name.contains("__");
    if first.is_some_and(|c| c.is_ascii_lowercase()) && name.chars().all(is_plain) && ends_well {
        return Ok(());
    }
    let message = format!(
        "`{name}` is no method name: a-z, 0-9 and single _ between them, the first a letter"
    );
    Err(Refused(message).into())
}

/// `my_method` as `MyMethod`.
fn camel(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(word).collect()
}

/// The full path of a folder that holds the SDK's crate.
fn given_sdk(folder: &Path) -> Result<String> {
    let manifest = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest).unwrap_or_default();
    if !text.contains("name = \"harness-sdk\"") {
        let message = format!("--sdk {}: no crate `harness-sdk` there", folder.display());
        return Err(Refused(message).into());
    }
    let path = std::fs::canonicalize(folder)
        .with_context(|| format!("cannot resolve {}", folder.display()))?;
    Ok(path.to_string_lossy().into_owned())
}

/// Writes the files beside `folder` and renames them into place, so that it is there whole or not at all.
fn write_folder(parent: &Path, folder: &Path, files: &[NewFile]) -> Result<()> {
    if folder.symlink_metadata().is_ok() {
        return Err(Refused(format!("{} is there already", folder.display())).into());
    }
    let cannot = |path: &Path| format!("cannot write {}", path.display());
    std::fs::create_dir_all(parent).with_context(|| cannot(parent))?;
    let staging = folder.with_extension(format!("new-{}", std::process::id()));
    let write = || -> Result<()> {
        for (name, text) in files {
            let path = staging.join(name);
            let within = path.parent().unwrap_or(&staging);
            std::fs::create_dir_all(within).with_context(|| cannot(within))?;
            std::fs::write(&path, text).with_context(|| cannot(&path))?;
        }
        std::fs::rename(&staging, folder).with_context(|| cannot(folder))
    };
    write().inspect_err(|_| drop(std::fs::remove_dir_all(&staging)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_contract_and_cargo_take() {
        for good in ["a", "my_method", "npo2", "self"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "", "2fast", "_x", "x_", "a__b", "My", "a-b", "a b", "ä", "../x",
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
        assert_eq!(camel("my_method2"), "MyMethod2");
    }
}
