//! `harness tasks show`: what a task's YAML comes to with its includes and defaults, what a group or tag stands for, and with
//! `--doc` what a model is asked about one document.

mod document;
mod drawing;

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::Result;
use clap::{Arg, Args};
use harness_python::PythonSettings;
use harness_task::{GroupNode, Task, TaskLibrary, TaskNode};
use serde_json::{Map, Value, json};

use super::{DataFolders, Folders, count};
use crate::commands::eval::{PromptOptions, hooks};
use crate::dataset_hub::DatasetHub;
use crate::exit::Refused;
use crate::options::truth;
use document::{Reader, ShownDocument};

/// Options that say something about a document.
const WITH_DOC: [&str; 10] = [
    "model",
    "tokenizer",
    "data_dir",
    "trust_remote_code",
    "num_fewshot",
    "seed",
    "gen_kwargs",
    "apply_chat_template",
    "system_instruction",
    "fewshot_as_multiturn",
];

const EXAMPLES: &str = "Examples:
  harness tasks show mmlu
  harness tasks show arc_easy --doc 3 --num_fewshot 2 --data-dir DATA
  harness tasks show gsm8k --doc 0 --model DIR --apply_chat_template --data-dir DATA";

/// Show a task with its includes and every default, what is in a group or tag, or one document as a model is asked about it
#[derive(Args)]
#[command(after_help = EXAMPLES, mut_args(only_with_doc))]
pub(super) struct Show {
    /// A task, group, tag, pattern, YAML file or folder
    #[arg(value_name = "TASK")]
    name: String,
    /// Print JSON: groups as trees, tasks with all their keys
    #[arg(long)]
    json: bool,
    /// Show document N of the split, from 0: prompt, choices, target, and with a tokenizer the tokens
    #[arg(long, value_name = "N")]
    doc: Option<usize>,
    /// Model whose tokens are shown, cut as it would be asked: a directory, a GGUF file or a hub id
    #[arg(long, short = 'M', value_name = "DIR|GGUF|ORG/NAME")]
    model: Option<PathBuf>,
    /// Folder with tokenizer.json, where there is no model; nothing is cut
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    tokenizer: Option<PathBuf>,
    #[command(flatten)]
    prompts: PromptOptions,
    /// Run the Python functions of tasks
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", value_parser = truth)]
    trust_remote_code: Option<bool>,
    #[command(flatten)]
    data: DataFolders,
    #[command(flatten)]
    folders: Folders,
}

fn only_with_doc(option: Arg) -> Arg {
    if WITH_DOC.contains(&option.get_id().as_str()) {
        option.requires("doc")
    } else {
        option
    }
}

impl Show {
    pub(super) fn run(self) -> Result<()> {
        let library = self.folders.library()?;
        match self.doc {
            Some(doc) => self.show_document(&library, doc),
            None => self.show_names(&library),
        }
    }

    fn show_document(&self, library: &TaskLibrary, doc: usize) -> Result<()> {
        self.prompts.check()?;
        let specs = library.resolve(std::slice::from_ref(&self.name))?;
        let [spec] = specs.as_slice() else {
            let (name, number) = (&self.name, count(specs.len(), "task"));
            let message = format!("{name} is {number}; --doc shows a document of one task");
            return Err(Refused(message).into());
        };
        let reader = Reader::open(self.model.as_deref(), self.tokenizer.as_deref())?;
        let tokenizer = reader.as_ref().map(Reader::tokenizer);
        let (options, _) = self.prompts.request_options(tokenizer, &Map::new())?;
        let data = self.data.source(DatasetHub::default())?;
        let hooks = hooks(
            self.trust_remote_code == Some(true),
            PythonSettings::from_environment(),
        );
        let task = Task::load_with_hooks(spec.clone(), &data, hooks)?;
        let document = ShownDocument::of(&task, doc, &options, reader.as_ref())?;
        crate::output::print(&if self.json {
            format!("{:#}\n", json!(document))
        } else {
            drawing::drawn(&document, std::io::stdout().is_terminal())
        })
    }

    fn show_names(&self, library: &TaskLibrary) -> Result<()> {
        let names = [self.name.clone()];
        let outline = library.outline(&names)?;
        let is_one_task = matches!(outline.as_slice(), [TaskNode::Task(_)]);
        if !self.json && !is_one_task {
            return crate::output::print(&drawn(&outline));
        }
        let selection = library.select(&names)?;
        let value = if self.json {
            json!({"tree": selection.tree, "tasks": selection.tasks})
        } else {
            selection.tasks.iter().map(|task| json!(task)).collect()
        };
        let value = match value {
            Value::Array(mut tasks) if tasks.len() == 1 => tasks.remove(0),
            other => other,
        };
        crate::output::print(&format!("{value:#}\n"))
    }
}

/// Groups and tasks, a line each, indented below the group they are in.
fn drawn(nodes: &[TaskNode]) -> String {
    let mut lines = Vec::new();
    for node in nodes {
        draw(node, 0, &mut lines);
    }
    lines.join("\n") + "\n"
}

fn draw(node: &TaskNode, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match node {
        TaskNode::Task(name) => lines.push(indent + name),
        TaskNode::Group(group) => {
            lines.push(indent + &heading(group));
            for child in &group.children {
                draw(child, depth + 1, lines);
            }
        }
    }
}

fn heading(group: &GroupNode) -> String {
    let averages = group.aggregate_metric_list.iter().map(|metric| {
        let weight = if metric.weight_by_size {
            "by documents"
        } else {
            "by tasks"
        };
        format!("{} averaged {weight}", metric.metric)
    });
    let size = count(group.leaves().len(), "task");
    let facts: Vec<String> = std::iter::once(size).chain(averages).collect();
    format!("{} (group, {})", group.name, facts.join("; "))
}
