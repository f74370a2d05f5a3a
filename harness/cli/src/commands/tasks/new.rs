//! `harness tasks new`: a commented YAML and a few rows that work, to be changed into one's own. Never overwrites a file.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::exit::Refused;

/// Write a new task that works: a commented YAML and a few rows
#[derive(Args)]
pub(super) struct New {
    /// Name of the task, and of the folder that is made for it
    name: String,
    /// What is asked of the model
    #[arg(long, value_enum, default_value = "choice")]
    kind: Kind,
    /// Where the folder is made
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// To choose one of several answers
    Choice,
    /// To know answers by heart: forget and retain sets
    Text,
}

impl Kind {
    /// YAML and rows.
    fn templates(self) -> (&'static str, &'static str) {
        match self {
            Self::Choice => (
                include_str!("new/choice.yaml"),
                include_str!("new/choice.jsonl"),
            ),
            Self::Text => (
                include_str!("new/text.yaml"),
                include_str!("new/text.jsonl"),
            ),
        }
    }
}

impl New {
    pub(super) fn run(self) -> Result<()> {
        let name = &self.name;
        let is_plain = |character: char| character.is_alphanumeric() || "_-.".contains(character);
        if !name.chars().all(is_plain) || !name.starts_with(char::is_alphanumeric) {
            let message = format!(
                "`{name}` is no task name: letters, digits, `_`, `-` and `.`, the first a letter or digit"
            );
            return Err(Refused(message).into());
        }
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        let (yaml, rows) = self.kind.templates();
        let yaml_file = folder.join(format!("{name}.yaml"));
        let rows_file = folder.join(format!("{name}.jsonl"));
        for file in [&yaml_file, &rows_file] {
            if file.exists() {
                return Err(Refused(format!("{} is there already", file.display())).into());
            }
        }
        write_new(&rows_file, rows)?;
        write_new(&yaml_file, &yaml.replace("NAME", name))?;
        crate::output::print(&format!(
            "{}\n{}\n",
            yaml_file.display(),
            rows_file.display()
        ))
    }
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let mut file = match File::create_new(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Refused(format!("{} is there already", path.display())).into());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot write {}", path.display()));
        }
    };
    file.write_all(text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}
