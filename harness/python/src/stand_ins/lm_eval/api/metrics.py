"""Aggregations over documents, and the best of several right answers."""

import math


def mean(arr):
    return sum(arr) / len(arr)


def median(arr):
    """The upper of the two middle values where there are two, as lm-eval has it."""
    return sorted(arr)[len(arr) // 2]


def nanmean(arr):
    """The mean of what is not NaN; NaN where there is nothing."""
    present = [value for value in arr if not math.isnan(value)]
    return mean(present) if present else math.nan


def perplexity(items):
    return math.exp(-mean(items))


def weighted_mean(items):
    values, weights = zip(*items)
    return sum(values) / sum(weights)


def weighted_perplexity(items):
    return math.exp(-weighted_mean(items))


def bits_per_byte(items):
    return -weighted_mean(items) / math.log(2)


def pop_stddev(arr):
    centre = mean(arr)
    return math.sqrt(sum((value - centre) ** 2 for value in arr) / len(arr))


def sample_stddev(arr):
    centre = mean(arr)
    return math.sqrt(sum((value - centre) ** 2 for value in arr) / (len(arr) - 1))


def mean_stderr(arr):
    return sample_stddev(arr) / math.sqrt(len(arr))


def metric_max_over_ground_truths(metric_fn, prediction, ground_truths):
    return max(metric_fn(prediction, ground_truth) for ground_truth in ground_truths)
