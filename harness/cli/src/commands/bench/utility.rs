//! The tasks that say what a model is still good for: those that an experiment names, or else the six of the Open LLM Leaderboard with
//! its numbers of shots. A group is one task, but for the leaderboard, each of whose six counts by itself.

use anyhow::{Error, Result};
use harness_bench::experiment::{Composite, LEADERBOARD};
use harness_data::DataSource;
use harness_task::{Task, TaskError, TaskLibrary, TaskNode};

/// Parts of the group's `TruthfulQA` besides mc2, which alone the leaderboard counted.
const NOT_COUNTED: [&str; 2] = ["truthfulqa_gen", "truthfulqa_mc1"];

/// Utility tasks by name: plain ones with their tasks, and those that are one harmonic mean.
pub(super) struct Utility {
    pub(super) plain: Vec<(String, Vec<Task>)>,
    pub(super) composites: Vec<Composite>,
}

impl Utility {
    /// Loads them; `names` become those of the tasks.
    pub(super) fn load(
        names: &mut Vec<String>,
        library: &TaskLibrary,
        source: &DataSource,
    ) -> Result<Self> {
        let (mut plain, mut composites, mut loaded) = (Vec::new(), Vec::new(), Vec::new());
        for name in names.iter() {
            if name == LEADERBOARD {
                let six = leaderboard(library, source).map_err(with_way_out)?;
                loaded.extend(six.iter().map(|(name, _)| name.clone()));
                plain.extend(six);
                continue;
            }
            loaded.push(name.clone());
            let selection = library.select(std::slice::from_ref(name))?;
            if let Some(composite) = Composite::load(name, &selection, source)? {
                composites.push(composite);
                continue;
            }
            let tasks = selection.tasks.into_iter();
            let tasks = tasks.map(|spec| Task::load(spec, source));
            plain.push((name.clone(), tasks.collect::<Result<Vec<_>, _>>()?));
        }
        *names = loaded;
        Ok(Self { plain, composites })
    }
}

fn leaderboard(
    library: &TaskLibrary,
    source: &DataSource,
) -> Result<Vec<(String, Vec<Task>)>, TaskError> {
    let selection = library.select(&[LEADERBOARD.to_owned()])?;
    let mut specs = selection.tasks.into_iter();
    let mut utility = Vec::new();
    for member in selection.tree.iter().flat_map(members) {
        // The tree has the tasks in their order.
        let own: Vec<_> = specs.by_ref().take(leaves(member)).collect();
        if !NOT_COUNTED.contains(&name(member)) {
            let tasks = own.into_iter().map(|spec| Task::load(spec, source));
            utility.push((name(member).to_owned(), tasks.collect::<Result<_, _>>()?));
        }
    }
    Ok(utility)
}

fn members(node: &TaskNode) -> &[TaskNode] {
    match node {
        TaskNode::Task(_) => std::slice::from_ref(node),
        TaskNode::Group(group) => &group.children,
    }
}

fn leaves(node: &TaskNode) -> usize {
    match node {
        TaskNode::Task(_) => 1,
        TaskNode::Group(group) => group.children.iter().map(leaves).sum(),
    }
}

fn name(node: &TaskNode) -> &str {
    match node {
        TaskNode::Task(name) => name,
        TaskNode::Group(group) => &group.name,
    }
}

fn with_way_out(error: TaskError) -> Error {
    let message = format!(
        "{error}; utility is measured on the six tasks of {LEADERBOARD} where no others are named: `utility: [TASK]`, or `utility: []` for none"
    );
    Error::new(error).context(message)
}
