//! `harness methods`: what can be run, what a library is, whether it is fit to be, and the start of a new one. It refuses to load a library
//! into this process: a child does, which a crash may end.

mod check;
mod list;
mod new;
mod show;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use clap::{Args, Subcommand};
use harness_host::MethodPath;

use crate::locations::method_folders;

/// Look at unlearning methods, check them, write new ones
#[derive(Args)]
pub(crate) struct Methods {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the methods on the search path, with their options
    List(list::List),
    /// Show what a method is: its needs, its options, its library
    Show(show::Show),
    /// Check a library against the contract, and with recordings against other implementations
    Check(check::Check),
    New(new::New),
}

impl Methods {
    pub(crate) fn run(self) -> Result<()> {
        match self.action {
            Action::List(list) => list.run(),
            Action::Show(show) => show.run(),
            Action::Check(check) => check.run(),
            Action::New(new) => new.run(),
        }
    }
}

/// Which library is meant.
#[derive(Args)]
struct Named {
    /// Method, by its id or the path of its library
    #[arg(value_name = "METHOD")]
    method: String,
    /// Folder with further method libraries (repeatable)
    #[arg(long, value_name = "DIR")]
    method_path: Vec<PathBuf>,
    /// Load the library in this process (internal)
    #[arg(long, hide = true)]
    in_process: bool,
}

impl Named {
    fn library(&self) -> Result<PathBuf> {
        let path = MethodPath::new(method_folders(&self.method_path)?);
        Ok(path.find(&self.method)?)
    }

    /// Does `work` on the library in a child that runs the same command, which a crash of the library may end.
    fn in_child(&self, work: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let library = self.library()?;
        if self.in_process {
            return work(&library);
        }
        let status = same_command()?.status()?;
        match status.code() {
            Some(0) => Ok(()),
            Some(code) => std::process::exit(code),
            None => anyhow::bail!(
                "method library {}: the process that loaded it crashed ({status})",
                library.display()
            ),
        }
    }
}

/// This very command, to be run by a child.
fn same_command() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(std::env::args_os().skip(1))
        .arg("--in-process");
    Ok(command)
}
