"""Prints what a list of things that task functions do gives with the `datasets` module of a folder, or with the real package."""

import copy
import json
import random
import sys

import numpy

if len(sys.argv) > 1:
    sys.path.insert(0, sys.argv[1])
import datasets

datasets.disable_progress_bars()
Dataset = datasets.Dataset
ROWS = [{"n": i, "text": "abcdefghij"[i], "items": [i, i + 1], "side": {"x": i % 3, "y": None}} for i in range(10)]


def shuffled(row):
    random.Random(0).shuffle(row["items"])
    row["n"] = -row["n"]
    return {"made": row["text"] * 2}


def popped(row):
    row.pop("text")
    return row


def in_vain(row):
    row["n"] = 99


CASES = {
    "map": lambda data: data.map(lambda row: {"n": row["n"] + 1, "pair": (row["n"], 1.5)}),
    "map to dictionaries": lambda data: data.map(lambda row: {"d": {"ab"[row["n"] % 2]: [row["n"] or 0.5]} if row["n"] else None}),
    "map to like dictionaries": lambda data: data.map(lambda row: {"d": {"a": [row["n"] or 0.5]} if row["n"] != 1 else None}),
    "map keeps what a function changed in its row": lambda data: data.map(shuffled),
    "map without an answer": lambda data: data.map(in_vain),
    "map drops": lambda data: data.map(popped),
    "map removes": lambda data: data.map(lambda row: {"text": row["text"], "new": 1}, remove_columns=["text", "side"]),
    "map with indices": lambda data: data.map(lambda row, i: {"i": i}, with_indices=True),
    "map columns": lambda data: data.map(lambda n, text: {"z": text * n}, input_columns=["n", "text"]),
    "map options": lambda data: data.map(lambda row, k: {"z": row["n"] * k}, fn_kwargs={"k": 3}),
    "map batches": lambda data: data.map(
        lambda rows: {"twice": [n for n in rows["n"] for _ in "ab"]},
        batched=True,
        batch_size=3,
        remove_columns=data.column_names,
    ),
    "filter": lambda data: data.filter(lambda row: row["n"] % 2),
    "filter with indices": lambda data: data.filter(lambda row, i: i > 7, with_indices=True),
    "filter all": lambda data: data.filter(lambda row: False),
    "filter batches": lambda data: data.filter(lambda rows: [n > 4 for n in rows["n"]], batched=True, batch_size=4),
    "select": lambda data: data.select([3, 1, 1]).select(range(2)),
    "take and skip": lambda data: datasets.concatenate_datasets([data.take(2), data.skip(8)]),
    "sort": lambda data: data.map(lambda row: {"k": row["n"] % 3}).sort(["k", "n"], reverse=[True, False]),
    "shuffle": lambda data: data.shuffle(seed=42),
    "shuffle by the global stream": lambda data: (numpy.random.seed(1234), data.shuffle().shuffle())[1],
    "split": lambda data: data.train_test_split(test_size=0.25, seed=7)["test"],
    "split the rest": lambda data: data.train_test_split(test_size=0.25, seed=7)["train"],
    "split by default": lambda data: data.train_test_split(seed=1)["train"],
    "split in order": lambda data: data.train_test_split(train_size=3, shuffle=False)["test"],
    "columns": lambda data: data.rename_column("n", "m").remove_columns("text").add_column("new", list("0123456789")),
    "selected columns": lambda data: data.select_columns(["text", "n"]),
    "from_dict": lambda data: Dataset.from_dict({"a": [1, 2], "b": ["x", "y"]}),
    "first row's columns": lambda data: Dataset.from_list([{"a": 1}, {"a": None, "b": 2}]),
    "side by side": lambda data: datasets.concatenate_datasets([data, Dataset.from_dict({"z": list(range(10))})], axis=1),
}

VALUES = {
    "row": lambda data: data[3],
    "last row": lambda data: data[-1],
    "slice": lambda data: data[2:4],
    "rows": lambda data: data[[1, 5]],
    "column": lambda data: list(data["text"]),
    "length": len,
    "names": lambda data: [data.column_names, list(data.features), data.num_rows, data.num_columns, list(data.shape)],
    "unique": lambda data: data.map(lambda row: {"k": row["n"] % 3}).unique("k"),
    "batches": lambda data: list(data.iter(4)),
    "dictionary": lambda data: data.to_dict(),
    "list": lambda data: data.to_list(),
}

for name, case in {**CASES, **VALUES}.items():
    found = case(Dataset.from_list(copy.deepcopy(ROWS)))
    if name in CASES:
        found = [found.column_names, [dict(row) for row in found]]
    print(json.dumps([name, found]))
