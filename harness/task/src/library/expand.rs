//! From names, groups and tags to leaf tasks with the settings that groups push down to them. Settings of a member win over
//! those handed down to its group, and these over the group file's own. Refuses groups that contain themselves, and one task
//! with different settings in two places, since results have one row a task.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::definition::{Definition, definition};
use super::group::GROUP_KEYS;
use super::{Entry, GroupNode, TaskLibrary, TaskNode};
use crate::TaskError;
use crate::yaml::{Loader, Mapping, Node, NodeValue, Position};

/// A task to be loaded.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// The name under which its results go.
    pub(super) name: String,
    /// Its YAML file; for a task written inside a group, the group's.
    pub(super) file: PathBuf,
    /// Whether the keys of the file are the task's; otherwise `settings` are all there is.
    in_file: bool,
    /// Keys that win over those of the file.
    settings: Mapping,
}

/// Expands what was asked for into trees and leaves.
pub(super) struct Expansion<'a> {
    library: &'a TaskLibrary,
    pub(super) loader: Loader,
    /// The groups being expanded right now, outermost first.
    trail: Vec<String>,
    /// Each task once, in the order found.
    pub(super) leaves: Vec<Leaf>,
    /// Where in `leaves` each name is.
    places: BTreeMap<String, usize>,
}

impl Leaf {
    /// Whether it is written inside a group.
    pub(super) fn is_inline(&self) -> bool {
        !self.in_file
    }

    /// All keys of the task.
    pub(super) fn mapping(&self, loader: &Loader) -> Result<Mapping, TaskError> {
        if !self.in_file {
            return loader.with_includes(self.settings.clone(), &self.file);
        }
        let mut mapping = loader.load(&self.file)?.mapping;
        mapping.overlay(self.settings.clone());
        Ok(mapping)
    }
}

impl<'a> Expansion<'a> {
    pub(super) fn of(library: &'a TaskLibrary) -> Self {
        Self {
            library,
            loader: Loader::default(),
            trail: Vec::new(),
            leaves: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    /// A registered name: one node for a task or a group, several for a tag.
    pub(super) fn name(
        &mut self,
        name: &str,
        settings: &Mapping,
    ) -> Result<Vec<TaskNode>, TaskError> {
        match self.library.entries.get(name) {
            Some(Entry::Task(path)) => Ok(vec![self.task(name, path, settings)?]),
            Some(Entry::Group(path)) => Ok(vec![self.group_file(path, settings)?]),
            Some(Entry::Tag(tasks)) => {
                let tagged = tasks.iter().map(|task| self.name(task, settings));
                Ok(tagged.collect::<Result<Vec<_>, _>>()?.concat())
            }
            None => Err(self.library.unknown(name)),
        }
    }

    /// A YAML file, whether it is in the library or not.
    pub(super) fn file(&mut self, path: &Path) -> Result<TaskNode, TaskError> {
        match definition(&self.loader.load(path)?.mapping)? {
            Definition::Task { name, .. } => self.task(&name, path, &Mapping::default()),
            Definition::Group { .. } => self.group_file(path, &Mapping::default()),
            Definition::Nothing => Err(TaskError::Yaml {
                at: Position::start_of(path),
                message: "the file defines no task: the key `task` is missing".to_owned(),
            }),
        }
    }

    fn task(&mut self, name: &str, file: &Path, settings: &Mapping) -> Result<TaskNode, TaskError> {
        self.add(Leaf {
            name: name.to_owned(),
            file: file.to_owned(),
            in_file: true,
            settings: settings.clone(),
        })
    }

    fn add(&mut self, leaf: Leaf) -> Result<TaskNode, TaskError> {
        let node = TaskNode::Task(leaf.name.clone());
        match self
            .places
            .get(&leaf.name)
            .map(|&place| &self.leaves[place])
        {
            None => {
                self.places.insert(leaf.name.clone(), self.leaves.len());
                self.leaves.push(leaf);
            }
            Some(known) if known.settings.same_values(&leaf.settings) => {}
            Some(_) => {
                let message = "asked for twice with different settings, and results have one row a task; ask for them in two runs";
                return Err(TaskError::Task {
                    task: leaf.name,
                    message: message.to_owned(),
                });
            }
        }
        Ok(node)
    }

    fn group_file(&mut self, path: &Path, settings: &Mapping) -> Result<TaskNode, TaskError> {
        let keys = self.loader.load(path)?.mapping;
        let (name, at) = match keys.get("group") {
            Some(group) => (
                group.as_str().unwrap_or_default().to_owned(),
                group.at.clone(),
            ),
            None => (String::new(), Position::start_of(path)),
        };
        self.group(name, &at, &keys, settings)
    }

    /// `handed_down`: the settings of the groups around this one.
    fn group(
        &mut self,
        name: String,
        at: &Position,
        keys: &Mapping,
        handed_down: &Mapping,
    ) -> Result<TaskNode, TaskError> {
        let error = |message| TaskError::Group {
            at: at.clone(),
            group: name.clone(),
            message,
        };
        if self.trail.contains(&name) {
            return Err(error(format!(
                "it contains itself, through {}",
                self.trail.join(", ")
            )));
        }
        let Some(members) = keys.get("task").filter(|node| !node.is_null()) else {
            return Err(error(
                "it needs the key `task`, the list of its members".to_owned(),
            ));
        };
        let mut settings = settings_among(keys);
        settings.overlay(handed_down.clone());
        let mut group = GroupNode::from_keys(name.clone(), keys)?;
        self.trail.push(name);
        for item in members.items_or_self() {
            for child in self.member(item, &group.name, &settings)? {
                group.add(child);
            }
        }
        self.trail.pop();
        Ok(TaskNode::Group(group))
    }

    /// One item of a group's `task`.
    fn member(
        &mut self,
        item: &Node,
        parent: &str,
        settings: &Mapping,
    ) -> Result<Vec<TaskNode>, TaskError> {
        let unknown = |error| match error {
            TaskError::UnknownTask { name, hint } => TaskError::Group {
                at: item.at.clone(),
                group: parent.to_owned(),
                message: format!("unknown member `{name}`{hint}"),
            },
            other => other,
        };
        match &item.value {
            NodeValue::Mapping(keys) => self.member_with_keys(item, keys, parent, settings),
            _ => match item.as_str() {
                Some(name) => self.name(name, settings),
                None => {
                    Err(item.wrong_type("task", "names, or maps with the key `task` or `group`"))
                }
            },
        }
        .map_err(unknown)
    }

    /// A member written as a map: `{group: …}` or `{task: …}`, and what is different about it here.
    fn member_with_keys(
        &mut self,
        item: &Node,
        keys: &Mapping,
        parent: &str,
        handed_down: &Mapping,
    ) -> Result<Vec<TaskNode>, TaskError> {
        let named = |key| keys.get(key).and_then(Node::as_str).map(str::to_owned);
        if let Some(name) = named("group") {
            return self.member_group(&name, item, keys, parent, handed_down);
        }
        let Some(name) = named("task") else {
            let message = "a member needs the key `task` or `group`, its name".to_owned();
            return Err(TaskError::Group {
                at: item.at.clone(),
                group: parent.to_owned(),
                message,
            });
        };
        let mut settings = handed_down.clone();
        settings.overlay(keys.clone());
        settings.remove("task");
        if self.library.entries.contains_key(&name) || !defines_task(&settings) {
            return self.name(&name, &settings);
        }
        let name = format!("{parent}::{name}");
        let node = Node {
            at: item.at.clone(),
            tag: None,
            value: NodeValue::Scalar(name.clone().into()),
        };
        settings.set("task".to_owned(), item.at.clone(), node);
        let file = item.at.file.to_path_buf();
        self.add(Leaf {
            name,
            file,
            in_file: false,
            settings,
        })
        .map(|node| vec![node])
    }

    /// `{group: NAME, …}`: a group of the library with further settings, or, with members, a group written here.
    fn member_group(
        &mut self,
        name: &str,
        item: &Node,
        keys: &Mapping,
        parent: &str,
        handed_down: &Mapping,
    ) -> Result<Vec<TaskNode>, TaskError> {
        if !self.library.entries.contains_key(name) && keys.get("task").is_some() {
            let name = format!("{parent}::{name}");
            return Ok(vec![self.group(name, &item.at, keys, handed_down)?]);
        }
        let mut settings = handed_down.clone();
        settings.overlay(settings_among(keys));
        if let Some(metadata) = keys.get("metadata") {
            settings.set("metadata".to_owned(), item.at.clone(), metadata.clone());
        }
        let mut nodes = self.name(name, &settings)?;
        if let [TaskNode::Group(group)] = nodes.as_mut_slice() {
            let own = GroupNode::from_keys(name.to_owned(), keys)?;
            group.alias = own.alias.or(group.alias.take());
            if !own.aggregate_metric_list.is_empty() {
                group.aggregate_metric_list = own.aggregate_metric_list;
            }
        }
        Ok(nodes)
    }
}

/// The keys of a group that are for its tasks.
fn settings_among(keys: &Mapping) -> Mapping {
    let mut settings = keys.clone();
    for key in GROUP_KEYS.iter().chain(&["tag", "task_list"]) {
        settings.remove(key);
    }
    settings
}

/// Whether the keys are those of a whole task, rather than changes to one that exists.
fn defines_task(keys: &Mapping) -> bool {
    ["dataset_path", "custom_dataset", "class", "include"]
        .iter()
        .any(|key| keys.get(key).is_some())
}
