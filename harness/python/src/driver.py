"""Answers calls of Python functions that task files name: one JSON line a call on stdin, one JSON line an answer on stdout.

What functions print goes to stderr, what they read is empty, and the process ends with its whole group when stdin does. Real
packages come first; the folder beside this file stands in for those that are not installed.
"""

import collections.abc
import difflib
import importlib
import importlib.util
import inspect
import json
import math
import os
import queue
import random
import signal
import sys
import threading
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
# Ends what a failed call has written to stderr.
MARK = "\x1e"
# What pip calls packages that are imported under another name.
PIP_NAMES = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


class Refused(Exception):
    """What is wrong with a call or its answer, in words for the user."""


def main():
    requests, answers = take_the_pipes()
    sys.path[:] = [path for path in sys.path if os.path.abspath(path or ".") != HERE]
    sys.path.append(os.path.join(HERE, "stand_ins"))
    seed(*sys.argv[1:])
    while True:
        answers.write(answer(requests.get()) + b"\n")
        answers.flush()


def take_the_pipes():
    """Keeps the two pipes for calls and answers, and gives the functions an empty stdin and stderr as stdout."""
    source = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout.flush()
    os.dup2(2, 1)
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
    requests = queue.Queue()

    def read():
        for line in source:
            requests.put(line)
        end()

    threading.Thread(target=read, daemon=True).start()
    return requests, answers


def end():
    """Ends this process and those that the functions started."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def seed(python_seed="", numpy_seed=""):
    """Begins the global random streams with the seeds that are given, before any function is loaded."""
    if python_seed:
        random.seed(int(python_seed))
    try:
        numpy = importlib.import_module("numpy")
    except ImportError:
        return  # A function that needs NumPy says so itself.
    if numpy_seed:
        numpy.random.seed(int(numpy_seed))


def answer(line):
    try:
        call = json.loads(line, object_hook=from_json)
        function = load(call["function"], call["yaml"])
        value = plain(KINDS[call["kind"]](function, **call["parameters"]))
        return json.dumps({"value": value}, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except BaseException as error:  # Also SystemExit and KeyboardInterrupt: they must not end the process.
        message = describe(error)
        sys.stdout.flush()
        sys.stderr.write("\n" + MARK + "\n")
        sys.stderr.flush()
        return json.dumps({"error": message}).encode("utf-8")


# The function.

# Files that tasks name: those begun, and the modules of those that ran through.
FILES = set()
MODULES = {}


def load(name, yaml):
    """The function that `name` names beside the file `yaml`, or in an installed module."""
    module_name, _, own_name = name.rpartition(".")
    if not module_name:
        raise Refused(f"`{name}` names no module; write `!function MODULE.{name}` for a function in MODULE.py")
    folder = os.path.dirname(os.path.abspath(yaml))
    path = os.path.realpath(os.path.join(folder, *module_name.split(".")) + ".py")
    if os.path.exists(path):
        module, where = MODULES.get(path) or load_file(path), path
    else:
        module, where = load_installed(module_name, folder), f"the installed module `{module_name}`"
    found = getattr(module, own_name, None) or registered(own_name)
    if callable(found):
        return found
    if found is not None:
        raise Refused(f"`{own_name}` in {where} is no function but of type {type(found).__name__}")
    known = [known for known, value in vars(module).items() if callable(value) and not known.startswith("_")]
    near = difflib.get_close_matches(own_name, known, n=1)
    hint = f" (did you mean `{near[0]}`?)" if near else ""
    raise Refused(f"there is no function `{own_name}` in {where}{hint}")


def registered(name):
    """The filter that a module has registered under a name, if there is one."""
    try:
        return importlib.import_module("lm_eval.api.registry").get_filter(name)
    except (ImportError, KeyError):
        return None


def load_file(path):
    """Runs a file once, as a module that is named like it."""
    name = os.path.splitext(path)[0]
    find_tasks_above(path)
    FILES.add(path)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Data classes look their module up while they are made.
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    MODULES[path] = module
    return module


def load_installed(module_name, folder):
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            file = os.path.join(folder, *module_name.split(".")) + ".py"
            raise Refused(f"there is neither {file} nor an installed module `{module_name}`") from error
        raise


def find_tasks_above(path):
    """Lets files of lm-eval's own tasks import each other as `lm_eval.tasks.…` where lm-eval is not installed."""
    tasks = importlib.import_module("lm_eval.tasks")
    if not getattr(tasks, "STANDS_IN", False):
        return
    folder = os.path.dirname(path)
    while folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)
        if os.path.basename(folder) == "tasks" and folder not in tasks.__path__:
            tasks.__path__.append(folder)


# The kinds of calls.


def dataset(function, arguments):
    splits = function(**arguments)
    if not isinstance(splits, collections.abc.Mapping):
        raise Refused(f"it must give splits by name, not {type(splits).__name__}")
    return {str(name): rows(split) for name, split in splits.items()}


def process_docs(function, documents):
    from datasets import Dataset

    # Data sets take their columns from the first row.
    columns = dict.fromkeys(key for document in documents for key in document)
    return rows(function(Dataset.from_list([{**columns, **document} for document in documents])))


def samples(function):
    return rows(function())


def field(function, document):
    return function(document)


def process_results(function, document, results):
    values = function(document, with_pairs(results))
    if not isinstance(values, collections.abc.Mapping):
        raise Refused(f"it must give values by name, not {type(values).__name__}")
    return values


def metric(function, target, response, options):
    """lm-eval's two ways of calling a metric: by keyword, and where that is a TypeError with one list."""
    try:
        return function(references=[target], predictions=[response], **options)
    except TypeError as by_keyword:
        try:
            return function([target, response])
        except TypeError:
            if accepts(function, references=[], predictions=[], **options):
                raise by_keyword from None
            raise


def accepts(function, **arguments):
    try:
        inspect.signature(function).bind(**arguments)
    except (TypeError, ValueError):
        return False
    return True


def aggregate(function, values):
    value = function(values)
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Refused(f"it must give a number, not {type(value).__name__}")
    if not math.isfinite(value):
        raise Refused(f"it gave {value}, which is no score")
    return float(value)


def filter_class(function, arguments, responses, documents):
    return filtered(function(**arguments).apply(with_pairs(responses), documents))


def filter_function(function, responses, documents):
    return filtered(function(with_pairs(responses), documents))


def filtered(responses):
    if isinstance(responses, (str, bytes)) or not isinstance(responses, collections.abc.Iterable):
        raise Refused(f"a filter must give a list, one item a request, not {type(responses).__name__}")
    return list(responses)


KINDS = {
    kind.__name__: kind
    for kind in (
        dataset,
        process_docs,
        samples,
        field,
        process_results,
        metric,
        aggregate,
        filter_class,
        filter_function,
    )
}


# Values on their way.


def rows(found):
    if isinstance(found, (str, bytes, collections.abc.Mapping)) or not isinstance(found, collections.abc.Iterable):
        raise Refused(f"it must give rows (a Dataset or a list of dictionaries), not {type(found).__name__}")
    given = []
    for row in found:
        if not isinstance(row, collections.abc.Mapping):
            raise Refused(f"row {len(given)} is no dictionary but of type {type(row).__name__}")
        given.append(dict(row))
    return given


def with_pairs(value):
    """Log-likelihoods as upstream has them: pairs of a number and whether it is greedy, not lists.

    One that is not finite comes as the text that Python prints for it.
    """
    if not isinstance(value, list):
        return value
    if len(value) == 2 and isinstance(value[1], bool):
        if type(value[0]) in (int, float):
            return tuple(value)
        if value[0] in ("inf", "-inf", "nan"):
            return float(value[0]), value[1]
    return [with_pairs(item) for item in value]


def from_json(value):
    """JSON has no NaN and no infinities: they travel as an object with one key."""
    return float(value["__float__"]) if len(value) == 1 and "__float__" in value else value


def plain(value):
    """A value as JSON has it; tuples, arrays and tensors become lists and numbers."""
    if value is None or isinstance(value, (bool, str)):
        return value if type(value) in (bool, str, type(None)) else str(value)
    if isinstance(value, int):
        if -(2**63) <= value < 2**64:
            return int(value)
        raise Refused(f"{value} is too large for 64 bits")
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"__float__": str(float(value))}
    if isinstance(value, collections.abc.Mapping):
        return {key_text(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, collections.abc.Iterator, range)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise Refused(f"its answer holds a value of type {type(value).__name__}, which JSON does not have")


def key_text(key):
    if isinstance(key, str):
        return str(key)
    raise Refused(f"its answer has the key {key!r}, which is no text")


# Failures.


def describe(error):
    if isinstance(error, Refused):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it called exit({'' if error.code is None else repr(error.code)}){place(error)}"
    kind, text = type(error).__name__, str(error)
    message = (f"{kind}: {text}" if text else kind) + place(error)
    package = (getattr(error, "name", None) or "").split(".")[0]
    if isinstance(error, ImportError) and package:
        found = importlib.util.find_spec(package)
        if found is None:
            message = f"it needs the Python package `{package}`, which {sys.executable} does not have{place(error)}"
        elif found.origin is None or not found.origin.startswith(HERE):
            return message
        pip_name = PIP_NAMES.get(package, package)
        return f"{message}: pip install {pip_name}, or set HARNESS_PYTHON to a Python that has it"
    return message


def place(error):
    """The innermost line in a file that a task names."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename in FILES]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""


if __name__ == "__main__":
    main()
