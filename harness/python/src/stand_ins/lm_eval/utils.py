"""Functions on texts and scores."""

import re


def general_detokenize(string):
    """Closes the gaps that tokenisation left before and after punctuation."""
    for gap, closed in ((" n't", "n't"), (" )", ")"), ("( ", "("), ('" ', '"'), (' "', '"')):
        string = string.replace(gap, closed)
    return re.sub(r" (['.,])", r"\1", string)


def weighted_f1_score(items):
    """scikit-learn's F1 over pairs of gold and prediction, each class weighted by its share of the gold."""
    from sklearn.metrics import f1_score

    golds, predictions = zip(*items)
    return f1_score(golds, predictions, average="weighted")


def softmax(x):
    import numpy

    powers = numpy.exp(x - numpy.max(x))
    return powers / powers.sum()
