//! `harness tasks list`: names of tasks, groups and tags, as a table or as JSON.

use anyhow::Result;
use clap::{Args, ValueEnum};
use harness_report::{Align, Table};
use harness_task::TaskLibrary;
use serde_json::{Value, json};

use super::Folders;

/// List tasks, groups and tags by name
#[derive(Args)]
pub(super) struct List {
    /// What to list
    #[arg(value_enum, value_name = "KIND", default_value = "tasks")]
    kind: Kind,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folders: Folders,
}

/// lm-eval's words.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Kind {
    /// Everything that can be asked for
    Tasks,
    /// Groups only
    Groups,
    /// Single tasks only
    Subtasks,
    /// Tags only
    Tags,
}

/// A line of the list.
struct Line {
    name: String,
    kind: &'static str,
    /// The file; of a tag, its tasks.
    place: String,
}

impl List {
    pub(super) fn run(self) -> Result<()> {
        let library = self.folders.library()?;
        let lines = self.lines(&library);
        if self.json {
            let lines: Vec<Value> = lines.iter().map(Line::json).collect();
            return crate::output::print(&format!("{:#}\n", Value::from(lines)));
        }
        let mut table = Table::new(&[
            ("Name", Align::Left),
            ("Kind", Align::Left),
            ("Where", Align::Left),
        ]);
        for line in lines {
            table.push(vec![line.name, line.kind.into(), line.place]);
        }
        crate::output::print(&table.plain())
    }

    fn lines(&self, library: &TaskLibrary) -> Vec<Line> {
        let has = |kind| self.kind == Kind::Tasks || self.kind == kind;
        let mut lines = Vec::new();
        let mut add = |name: &str, kind, place: String| {
            lines.push(Line {
                name: name.to_owned(),
                kind,
                place,
            });
        };
        if has(Kind::Subtasks) {
            for (name, file) in library.tasks() {
                add(name, "task", file.display().to_string());
            }
        }
        if has(Kind::Groups) {
            for (name, file) in library.groups() {
                add(name, "group", file.display().to_string());
            }
        }
        if has(Kind::Tags) {
            for (name, tasks) in library.tags() {
                add(name, "tag", tasks.join(", "));
            }
        }
        if self.kind == Kind::Tasks {
            for (file, error) in library.broken() {
                add(&file.display().to_string(), "broken", error.to_string());
            }
        }
        lines
    }
}

impl Line {
    fn json(&self) -> Value {
        match self.kind {
            "tag" => {
                let tasks: Vec<&str> = self.place.split(", ").collect();
                json!({"name": self.name, "kind": self.kind, "tasks": tasks})
            }
            "broken" => json!({"file": self.name, "kind": self.kind, "error": self.place}),
            kind => json!({"name": self.name, "kind": kind, "file": self.place}),
        }
    }
}
