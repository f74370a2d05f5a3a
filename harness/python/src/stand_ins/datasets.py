"""Stands in for Hugging Face's `datasets` where it is not installed: rows in memory, and what task functions do with them.

Refuses, by name, whatever else the package has. Rows are dictionaries; a column that some rows lack is None there.
Shuffles draw from NumPy's generators, as the package does, and are refused without NumPy.
"""

import copy
import math
from collections.abc import Mapping
from itertools import islice


def _absent(what):
    return AttributeError(
        f"`{what}` is not among what stands in for the package `datasets` here: "
        "pip install datasets, or set HARNESS_PYTHON to a Python that has it"
    )


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise _absent(f"datasets.{name}")


def load_dataset(*arguments, **options):
    raise _absent("datasets.load_dataset")


def disable_caching():
    """Nothing is cached here."""


def disable_progress_bars():
    """There are none here."""


disable_progress_bar = disable_progress_bars


class Split:
    """Names of splits."""

    TRAIN, VALIDATION, TEST, ALL = "train", "validation", "test", "all"


class DatasetDict(dict):
    """Data sets by the name of their split."""

    def _each(self, method, *arguments, **options):
        return DatasetDict({name: getattr(split, method)(*arguments, **options) for name, split in self.items()})

    def map(self, *arguments, **options):
        return self._each("map", *arguments, **options)

    def filter(self, *arguments, **options):
        return self._each("filter", *arguments, **options)


class Dataset:
    """Rows. Every method that changes something gives a new data set; what a function is given is a copy."""

    def __init__(self, rows, columns=None):
        self._columns = list(dict.fromkeys(key for row in rows for key in row) if columns is None else columns)
        self._rows = [{column: row.get(column) for column in self._columns} for row in rows]

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        raise _absent(f"Dataset.{name}")

    # Making one, and looking at it.

    @classmethod
    def from_list(cls, mapping, features=None, info=None, split=None):
        """The first row says which columns there are, as in the package."""
        return cls._typed(mapping, list(mapping[0]) if mapping else [])

    @classmethod
    def from_dict(cls, mapping, features=None, info=None, split=None):
        columns = list(mapping)
        if len({len(mapping[column]) for column in columns}) > 1:
            raise ValueError("columns must have the same length")
        return cls._typed([dict(zip(columns, values)) for values in zip(*mapping.values())], columns)

    @classmethod
    def from_generator(cls, generator, gen_kwargs=None, **ignored):
        return cls.from_list(list(generator(**(gen_kwargs or {}))))

    @classmethod
    def _typed(cls, rows, columns=None):
        """Rows whose columns have one type each, as Arrow's have."""
        data = cls(rows, columns)
        typed = [_of_one_type([row[column] for row in data._rows]) for column in data._columns]
        return cls([dict(zip(data._columns, values)) for values in zip(*typed)], data._columns)

    @property
    def column_names(self):
        return list(self._columns)

    @property
    def features(self):
        return dict.fromkeys(self._columns)

    @property
    def num_rows(self):
        return len(self._rows)

    @property
    def num_columns(self):
        return len(self._columns)

    @property
    def shape(self):
        return (self.num_rows, self.num_columns)

    def __len__(self):
        return len(self._rows)

    def __iter__(self):
        return (copy.deepcopy(row) for row in self._rows)

    def __getitem__(self, key):
        if isinstance(key, str):
            return self._column(key)
        if isinstance(key, slice):
            return self._gathered(self._rows[key])
        if hasattr(key, "__index__"):
            return copy.deepcopy(self._rows[key])
        return self._gathered([self._rows[index] for index in key])

    def __repr__(self):
        return f"Dataset(features: {self._columns}, num_rows: {len(self)})"

    def to_list(self):
        return copy.deepcopy(self._rows)

    def to_dict(self):
        return self._gathered(self._rows)

    def unique(self, column):
        return list(dict.fromkeys(self._column(column)))

    def iter(self, batch_size, drop_last_batch=False):
        for start in range(0, len(self), batch_size):
            if not drop_last_batch or start + batch_size <= len(self):
                yield self[start : start + batch_size]

    # Rows by functions.

    def map(
        self,
        function=None,
        with_indices=False,
        with_rank=False,
        input_columns=None,
        batched=False,
        batch_size=1000,
        drop_last_batch=False,
        remove_columns=None,
        fn_kwargs=None,
        **ignored,
    ):
        """A function's keys over those of the row it was given; a function that gives None changes nothing."""
        if with_rank:
            raise _absent("Dataset.map(with_rank=True)")
        removed = [remove_columns] if isinstance(remove_columns, str) else list(remove_columns or [])
        for column in removed:
            self._known(column)
        call = _caller(function, with_indices, input_columns, fn_kwargs)
        if batched:
            return self._map_batches(call, batch_size or len(self), drop_last_batch, removed)
        rows = []
        for index, row in enumerate(self):
            given = call(row, index)
            if given is not None and not isinstance(given, Mapping):
                raise TypeError(f"a function under `map` must give a dictionary or None, not {type(given).__name__}")
            kept = self._rows[index] if given is None else row
            rows.append(_merged(kept, given or {}, removed))
        return Dataset._typed(rows, None if rows else [column for column in self._columns if column not in removed])

    def _map_batches(self, call, batch_size, drop_last, removed):
        gathered = {}
        for start in range(0, len(self), batch_size):
            batch = self[start : start + batch_size]
            count = len(self._rows[start : start + batch_size])
            if drop_last and count < batch_size:
                break
            given = call(batch, list(range(start, start + count)))
            for column, values in _merged(batch, given or {}, removed).items():
                gathered.setdefault(column, []).extend(values)
        return Dataset.from_dict(gathered)

    def filter(
        self,
        function=None,
        with_indices=False,
        with_rank=False,
        input_columns=None,
        batched=False,
        batch_size=1000,
        fn_kwargs=None,
        **ignored,
    ):
        """The rows for which a function's value counts as true."""
        if with_rank:
            raise _absent("Dataset.filter(with_rank=True)")
        call = _caller(function or bool, with_indices, input_columns, fn_kwargs)
        kept = []
        if batched:
            for start in range(0, len(self), batch_size):
                indices = list(range(start, min(start + batch_size, len(self))))
                keep = call(self[start : start + batch_size], indices)
                kept.extend(index for index, wanted in zip(indices, keep) if wanted)
        else:
            kept = [index for index, row in enumerate(self) if call(row, index)]
        return self.select(kept)

    # Rows by place.

    def select(self, indices, **ignored):
        chosen = []
        for index in indices:
            if not -len(self) <= index < len(self):
                raise IndexError(f"there is no row {index} among {len(self)}")
            chosen.append(self._rows[index])
        return Dataset(chosen, self._columns)

    def take(self, n):
        return self.select(range(min(n, len(self))))

    def skip(self, n):
        return self.select(range(min(n, len(self)), len(self)))

    def flatten_indices(self, **ignored):
        return self

    def sort(self, column_names, reverse=False, **ignored):
        columns = [column_names] if isinstance(column_names, str) else list(column_names)
        directions = [reverse] * len(columns) if isinstance(reverse, bool) else list(reverse)
        order = list(range(len(self)))
        for column, backwards in reversed(list(zip(columns, directions))):
            values = self._column(column)
            order.sort(key=values.__getitem__, reverse=backwards)
        return self.select(order)

    def shuffle(self, seed=None, generator=None, **ignored):
        return self.select(_generator(seed, generator).permutation(len(self)).tolist())

    def train_test_split(self, test_size=None, train_size=None, shuffle=True, seed=None, generator=None, **ignored):
        """Shares are of all rows: the test part is rounded up, the training part down; a quarter is for testing unless told."""
        if ignored.get("stratify_by_column") is not None:
            raise _absent("Dataset.train_test_split(stratify_by_column=…)")
        train, test = _parts(len(self), train_size, test_size)
        if not shuffle:
            return DatasetDict(train=self.select(range(train)), test=self.select(range(train, train + test)))
        order = _generator(seed, generator).permutation(len(self)).tolist()
        return DatasetDict(train=self.select(order[test : test + train]), test=self.select(order[:test]))

    # Columns.

    def remove_columns(self, column_names):
        removed = [column_names] if isinstance(column_names, str) else list(column_names)
        for column in removed:
            self._known(column)
        return self.select_columns([column for column in self._columns if column not in removed])

    def select_columns(self, column_names):
        columns = [column_names] if isinstance(column_names, str) else list(column_names)
        for column in columns:
            self._known(column)
        return Dataset(self._rows, columns)

    def rename_column(self, original_column_name, new_column_name):
        return self.rename_columns({original_column_name: new_column_name})

    def rename_columns(self, column_mapping):
        for column in column_mapping:
            self._known(column)
        names = {column: column_mapping.get(column, column) for column in self._columns}
        if len(set(names.values())) < len(names):
            raise ValueError(f"two columns would have the same name: {list(names.values())}")
        rows = [{names[column]: value for column, value in row.items()} for row in self._rows]
        return Dataset(rows, list(names.values()))

    def add_column(self, name, column, **ignored):
        if name in self._columns:
            raise ValueError(f"there is a column `{name}` already")
        if len(column) != len(self):
            raise ValueError(f"the column `{name}` has {len(column)} values for {len(self)} rows")
        rows = [{**row, name: value} for row, value in zip(self._rows, column)]
        return Dataset(rows, [*self._columns, name])

    def _known(self, column):
        if column not in self._columns:
            raise KeyError(f"there is no column `{column}` among {self._columns}")

    def _column(self, column):
        self._known(column)
        return [copy.deepcopy(row[column]) for row in self._rows]

    def _gathered(self, rows):
        return {column: [copy.deepcopy(row[column]) for row in rows] for column in self._columns}


def concatenate_datasets(dsets, info=None, split=None, axis=0):
    """Rows after rows; columns beside columns where `axis` is 1."""
    parts = [list(part) for part in dsets]
    if axis == 0:
        return Dataset([row for part in parts for row in part])
    if len({len(part) for part in parts}) > 1:
        raise ValueError("data sets side by side must have the same number of rows")
    return Dataset([{key: value for row in rows for key, value in row.items()} for rows in zip(*parts)])


def _of_one_type(values):
    """Values as a column of Arrow holds them: where one number is a float, all are."""
    present = [value for value in values if value is not None]
    kinds = set(map(type, present))
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    if kinds and kinds <= {list, tuple}:
        items = iter(_of_one_type([item for value in present for item in value]))
        return [None if value is None else list(islice(items, len(value))) for value in values]
    if kinds == {dict} and all(value.keys() == present[0].keys() for value in present):
        columns = [iter(_of_one_type([value[key] for value in present])) for key in present[0]]
        return [None if value is None else dict(zip(present[0], map(next, columns))) for value in values]
    return values


def _merged(row, given, removed):
    """What a function gave over what it was given, but for removed columns that it did not give."""
    return {key: value for key, value in {**row, **given}.items() if key in given or key not in removed}


def _caller(function, with_indices, input_columns, fn_kwargs):
    """Calls a function on a row (or batch) and its index as `map` and `filter` were told to."""
    columns = [input_columns] if isinstance(input_columns, str) else input_columns
    options = fn_kwargs or {}

    def call(row, index):
        arguments = [row] if columns is None else [row[column] for column in columns]
        if with_indices:
            arguments.append(index)
        return function(*arguments, **options)

    return call if function is not None else (lambda row, index: None)


def _generator(seed, generator):
    try:
        import numpy
    except ModuleNotFoundError as error:
        raise ImportError(
            "shuffling a Dataset draws from NumPy's random streams: pip install numpy, or set HARNESS_PYTHON to a Python "
            "that has it"
        ) from error
    if generator is not None:
        return generator
    if seed is None:
        # As the package does: NumPy's global stream gives the seed, and moves on.
        _, state, position, *_ = numpy.random.get_state()
        seed = state[position] if position < 624 else state[0]
        numpy.random.random()
    return numpy.random.default_rng(seed)


def _parts(count, train_size, test_size):
    """Numbers of rows for training and for testing."""
    if train_size is None and test_size is None:
        test_size = 0.25

    def rows(size, rounded):
        if size is None:
            return None
        return rounded(size * count) if isinstance(size, float) else size

    test, train = rows(test_size, math.ceil), rows(train_size, math.floor)
    test = count - train if test is None else test
    train = count - test if train is None else train
    if test < 0 or train < 1 or test + train > count:
        raise ValueError(f"{count} rows cannot be split into {train} for training and {test} for testing")
    return train, test
