"""Records how lm-eval reads its own task folder: what every group and tag stands for, and what every YAML holds.

Usage: record_zoo.py OUT_FOLDER [--lines], with a Python that has lm_eval. Nothing is downloaded and no task is built: tasks are
stood in for by their names, and `!function` stays a string. One known mistake of lm-eval is put right before it runs: a
member `{task: GROUP_OR_TAG, ...}` would push its own `task` into every leaf, and all leaves would share one name.

Writes `lm_eval_names.tsv`, a line for each group and tag in order of name: name, kind, direct children, leaves, and the
first 16 digits of the SHA-256 of the children's and of the leaves' sorted names, one a line. And `lm_eval_yaml.tsv`, a line
for each folder of tasks: folder, files, and the digest of all its files as JSON, in order of path (printed with `--lines`).
"""

import datetime
import hashlib
import json
import sys
from pathlib import Path

import lm_eval.tasks._factory as factory
import lm_eval.tasks._yaml_loader as loader
import yaml
from lm_eval.api.group import Group
from lm_eval.config.group import AggMetricConfig
from lm_eval.tasks import TaskManager
from lm_eval.tasks._index import Kind

TASKS = Path(factory.__file__).parent


class NamedTask:
    """A task's name and nothing else."""

    def __init__(self, config):
        self.task_name = config["task"]


def leaves(item):
    if isinstance(item, NamedTask):
        return {item.task_name}
    return set().union(*(leaves(child) for child in item), set())


def digest(names):
    return hashlib.sha256("".join(f"{name}\n" for name in sorted(names)).encode()).hexdigest()[:16]


def build_task(self, entry, overrides):
    return NamedTask({"task": entry.name})


def build_group_members(original):
    """Members that name a group or a tag keep their overrides, but not the key `task`; lone names become lists."""

    def build(self, members, group_name, overrides, registry):
        kept = []
        for item in members:
            name = item.get("task") if isinstance(item, dict) and "group" not in item else None
            entry = registry.get(name)
            is_several = entry is not None and entry.kind in (Kind.GROUP, Kind.TAG)
            kept.append(item["task"] if is_several else item)
        return original(self, kept, group_name, overrides, registry)

    return build


def names(out):
    AggMetricConfig.__post_init__ = lambda self: None  # it wants functions, which are strings here
    factory.ConfigurableTask = NamedTask
    factory.TaskFactory._build_task = build_task
    factory.TaskFactory._build_group_members = build_group_members(
        factory.TaskFactory._build_group_members
    )
    factory.load_yaml = lambda path, resolve_func=True: loader.load_yaml(path, resolve_func=False)
    manager = TaskManager()
    lines = []
    for name in sorted(manager.all_groups + manager.all_tags):
        try:
            built = manager._load_spec(name)
        except (TypeError, ValueError) as error:
            print(f"{name}: lm-eval fails: {error}", file=sys.stderr)
            continue
        kind = "group" if isinstance(built, Group) else "tag"
        children = built.child_names if kind == "group" else [task.task_name for task in built]
        below = leaves(built) if kind == "group" else set(children)
        lines.append([name, kind, len(children), len(below), digest(children), digest(below)])
    lines.append(["*", "task", 0, len(manager.all_subtasks), digest([]), digest(manager.all_subtasks)])
    write(out / "lm_eval_names.tsv", lines)


def sets_a_key_twice(path):
    """Whether a map of the file has one key with two values: the program refuses such files."""
    nodes = [yaml.compose(path.read_text(encoding="utf-8"), yaml.CSafeLoader)]
    while nodes:
        node = nodes.pop()
        if isinstance(node, yaml.MappingNode):
            known = {}
            for key, value in node.value:
                shape = yaml.serialize(value, Dumper=yaml.CSafeDumper)
                if known.setdefault(key.value, shape) != shape:
                    return True
                nodes.append(value)
        elif isinstance(node, yaml.SequenceNode):
            nodes.extend(node.value)
    return False


def plain(value):
    """Dates, infinities and byte strings have no JSON: they stay as lm-eval would print them."""
    if isinstance(value, dict):
        return {key_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (datetime.date, datetime.datetime)):
        return str(value)
    return value


def key_text(key):
    return key if isinstance(key, str) else json.dumps(key)


def yamls(out):
    folders = {}
    for path in sorted(TASKS.glob("**/*.yaml"), key=lambda path: path.as_posix()):
        relative = path.relative_to(TASKS)
        loaded = loader.load_yaml(path, resolve_func=False, recursive=False)
        text = json.dumps(plain(loaded), ensure_ascii=False, sort_keys=True)
        text = text.replace(f"{path.parent}/", "")
        if sets_a_key_twice(path):
            text = "AMBIGUOUS"
        count, state = folders.setdefault(relative.parts[0], [0, hashlib.sha256()])
        state.update(f"{relative.as_posix()} {text}\n".encode())
        folders[relative.parts[0]][0] = count + 1
        if "--lines" in sys.argv:
            print(relative.as_posix(), text)
    write(out / "lm_eval_yaml.tsv", [[name, n, state.hexdigest()[:16]] for name, (n, state) in folders.items()])


def write(path, lines):
    path.write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    yamls(folder)
    names(folder)
