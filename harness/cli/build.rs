//! Puts the SDK's sources into the binary, so that `harness methods new` needs no repository. It refuses to build without them.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// What a method's crate needs: folders of `plugins`, each with a Cargo.toml and sources.
const CRATES: [&str; 2] = ["abi", "sdk"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR")?).join("../..");
    let plugins = root.join("plugins").canonicalize()?;
    let mut files = Vec::new();
    for name in CRATES {
        files.push(plugins.join(name).join("Cargo.toml"));
        collect(&plugins.join(name).join("src"), &mut files)?;
    }
    files.sort();
    let mut table = format!(
        "/// Files of the SDK by their path below `plugins`.\nconst SOURCES: [(&str, &str); {}] = [\n",
        files.len()
    );
    for file in &files {
        println!("cargo::rerun-if-changed={}", file.display());
        let name = file.strip_prefix(&plugins)?.to_string_lossy();
        let path = file.to_string_lossy();
        writeln!(table, "    ({name:?}, include_str!({path:?})),")?;
    }
    table.push_str("];\n");
    let out = Path::new(&std::env::var("OUT_DIR")?).join("sdk_sources.rs");
    Ok(std::fs::write(out, table)?)
}

/// All files of a folder and of those in it; cargo looks again when a folder changes.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
