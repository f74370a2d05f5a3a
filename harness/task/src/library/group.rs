//! Groups as data: which tasks a group stands for, how it is called in tables, what is aggregated over its tasks. The keys of
//! a group's map are typed here; it computes nothing.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::TaskError;
use crate::yaml::{Mapping, Node, NodeValue, Position};

/// Keys of a group that say something about itself; all others are settings for the tasks below it.
pub(super) const GROUP_KEYS: [&str; 5] = [
    "group",
    "group_alias",
    "task",
    "aggregate_metric_list",
    "metadata",
];

/// Keys of an item of `aggregate_metric_list`.
pub(super) const AGGREGATE_KEYS: [&str; 5] = [
    "metric",
    "filter_list",
    "aggregation",
    "weight_by_size",
    "of",
];

/// A task or a group, in the place where it was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskNode {
    /// The name of a task.
    Task(String),
    /// A group with all that is below it.
    Group(GroupNode),
}

/// A group with all that is below it; serializes to a tree of names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupNode {
    /// Its name; of a group written inside another one, `PARENT::NAME`.
    pub name: String,
    /// The name shown in tables, if it is another one.
    pub alias: Option<String>,
    /// What is aggregated over the tasks below; without any, the group has no row of its own.
    pub aggregate_metric_list: Vec<AggregateMetric>,
    /// Free; `version` is read.
    pub metadata: Map<String, Value>,
    /// Members, in the order written; those of a tag in order of name.
    pub children: Vec<TaskNode>,
    /// What is strange about its file, with the place, and was read as upstream reads it.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// One item of `aggregate_metric_list`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AggregateMetric {
    /// The metric, by its name in the tasks' results.
    pub metric: String,
    /// The filters under which it is aggregated; none: all that the tasks have.
    pub filter_list: Option<Vec<String>>,
    /// Whether a task counts by its number of documents, or as one.
    pub weight_by_size: bool,
    /// The metrics whose harmonic mean it is, each of every task that has it; none: it is the mean of `metric`. Not lm-eval's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub harmonic_mean_of: Vec<String>,
}

impl TaskNode {
    /// The name of the task or group.
    pub fn name(&self) -> &str {
        match self {
            Self::Task(name) => name,
            Self::Group(group) => &group.name,
        }
    }

    /// The groups of this node, from the top down.
    pub fn groups(&self) -> Vec<&GroupNode> {
        match self {
            Self::Task(_) => Vec::new(),
            Self::Group(group) => group.groups(),
        }
    }

    fn add_leaves<'a>(&'a self, leaves: &mut Vec<&'a str>) {
        match self {
            Self::Task(name) if !leaves.contains(&name.as_str()) => leaves.push(name),
            Self::Task(_) => {}
            Self::Group(group) => group
                .children
                .iter()
                .for_each(|child| child.add_leaves(leaves)),
        }
    }
}

impl GroupNode {
    /// Names of the tasks below, at any depth, each once, in order.
    pub fn leaves(&self) -> Vec<&str> {
        let mut leaves = Vec::new();
        self.children
            .iter()
            .for_each(|child| child.add_leaves(&mut leaves));
        leaves
    }

    /// This group and all groups below it, from the top down.
    pub fn groups(&self) -> Vec<&Self> {
        let below = self.children.iter().flat_map(TaskNode::groups);
        std::iter::once(self).chain(below).collect()
    }

    /// `metadata.version`.
    pub fn version(&self) -> Option<&Value> {
        self.metadata.get("version")
    }

    /// A group without members, from the keys that are about itself.
    pub(super) fn from_keys(name: String, keys: &Mapping) -> Result<Self, TaskError> {
        let mut warnings = Vec::new();
        Ok(Self {
            name,
            alias: text(keys, "group_alias")?,
            aggregate_metric_list: aggregate_metrics(keys, &mut warnings)?,
            metadata: match present(keys, "metadata") {
                None => Map::new(),
                Some(node) => match node.to_json() {
                    Value::Object(map) => map,
                    _ => return Err(node.wrong_type("metadata", "a map")),
                },
            },
            children: Vec::new(),
            warnings,
        })
    }

    /// Adds a member; one of the same name takes the place of the earlier one.
    pub(super) fn add(&mut self, child: TaskNode) {
        match self
            .children
            .iter_mut()
            .find(|known| known.name() == child.name())
        {
            Some(known) => *known = child,
            None => self.children.push(child),
        }
    }
}

fn present<'a>(keys: &'a Mapping, key: &str) -> Option<&'a Node> {
    keys.get(key).filter(|node| !node.is_null())
}

fn text(keys: &Mapping, key: &str) -> Result<Option<String>, TaskError> {
    let read = |node: &Node| {
        node.as_str()
            .map(str::to_owned)
            .ok_or_else(|| node.wrong_type(key, "text"))
    };
    present(keys, key).map(read).transpose()
}

/// The items of `aggregate_metric_list`, which may also be a single map.
pub(super) fn aggregate_metrics(
    keys: &Mapping,
    warnings: &mut Vec<String>,
) -> Result<Vec<AggregateMetric>, TaskError> {
    match present(keys, "aggregate_metric_list") {
        None => Ok(Vec::new()),
        Some(node) => (node.items_or_self().iter())
            .map(|item| aggregate_metric(item, warnings))
            .collect(),
    }
}

fn aggregate_metric(item: &Node, warnings: &mut Vec<String>) -> Result<AggregateMetric, TaskError> {
    let NodeValue::Mapping(keys) = &item.value else {
        return Err(item.wrong_type("aggregate_metric_list", "maps with the key `metric`"));
    };
    refuse_unknown(keys, &AGGREGATE_KEYS)?;
    let missing = || {
        error(
            &item.at,
            "an item of aggregate_metric_list needs the key `metric`",
        )
    };
    // Upstream takes a function too, and never calls it.
    let aggregation = present(keys, "aggregation").filter(|node| node.tag.is_none());
    let is_harmonic = aggregation.is_some_and(|node| node.as_str() == Some("harmonic_mean"));
    if let Some(node) = aggregation.filter(|node| !is_harmonic && node.as_str() != Some("mean")) {
        return Err(error(
            &node.at,
            "`aggregation` of a group is `mean`, which may be left out, or `harmonic_mean`",
        ));
    }
    let of = present(keys, "of").map(metric_names).transpose()?;
    if is_harmonic != of.is_some() {
        return Err(error(
            &item.at,
            "`aggregation: harmonic_mean` and `of`, the list of metrics it is taken over, need each other",
        ));
    }
    Ok(AggregateMetric {
        metric: text(keys, "metric")?.ok_or_else(missing)?,
        filter_list: present(keys, "filter_list").map(filter_names).transpose()?,
        weight_by_size: match present(keys, "weight_by_size") {
            None => true,
            Some(node) => weight_by_size(node, warnings)?,
        },
        harmonic_mean_of: of.unwrap_or_default(),
    })
}

/// Text counts as true, as upstream: one of its own groups has a slip of the pen there.
fn weight_by_size(node: &Node, warnings: &mut Vec<String>) -> Result<bool, TaskError> {
    if let Some(text) = node.as_str().filter(|text| !text.is_empty()) {
        warnings.push(format!(
            "{}: `weight_by_size` takes true or false; `{text}` is text, which counts as true",
            node.at
        ));
        return Ok(true);
    }
    node.to_json()
        .as_bool()
        .ok_or_else(|| node.wrong_type("weight_by_size", "true or false"))
}

fn metric_names(node: &Node) -> Result<Vec<String>, TaskError> {
    let name = |item: &Node| {
        let name = item.as_str().map(str::to_owned);
        name.ok_or_else(|| item.wrong_type("of", "names of metrics"))
    };
    node.items_or_self().iter().map(name).collect()
}

fn filter_names(node: &Node) -> Result<Vec<String>, TaskError> {
    let name = |item: &Node| {
        item.as_str()
            .map(str::to_owned)
            .ok_or_else(|| item.wrong_type("filter_list", "names of filters"))
    };
    node.items_or_self().iter().map(name).collect()
}

fn refuse_unknown(keys: &Mapping, known: &[&str]) -> Result<(), TaskError> {
    match keys.iter().find(|(key, ..)| !known.contains(key)) {
        None => Ok(()),
        Some((key, at, _)) => Err(TaskError::UnknownKey {
            at: at.clone(),
            key: key.to_owned(),
            hint: harness_spelling::hint(key, known.iter().copied()),
        }),
    }
}

fn error(at: &Position, message: &str) -> TaskError {
    TaskError::Yaml {
        at: at.clone(),
        message: message.to_owned(),
    }
}
