"""llm-jp-eval 1.0's scoring with fuzzywuzzy, scikit-learn and scipy, in an interpreter with these; run by ../evals_jaster.py.

    python fuzzy.py COLUMNS.json levenshtein|difflib REPEATS [--intervals]

Prints {"seconds": [CPU seconds of each], "figures": {model: {figure: value}}, "intervals": {model: {figure: [low, high]}},
"versions": {package: version}}. Intervals are scipy.stats.bootstrap's, percentiles of 2,000 draws.
"""

import gc
import json
import math
import re
import sys
import time
import warnings
from importlib.metadata import version
from statistics import mean

warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
from fuzzywuzzy import fuzz  # noqa: E402
from scipy.stats import bootstrap, pearsonr, spearmanr  # noqa: E402
from sklearn.metrics import accuracy_score  # noqa: E402

CATEGORIES = {"MC": ("jcommonsenseqa",), "QA": ("jemhopqa", "niilc"), "RC": ("jsquad",)}
NLI = ("jamp", "janli", "jnli", "jsem", "jsick")


def number(text):
    """Return the number in an answer, as upstream reads it."""
    try:
        return float(re.sub(r"[^0-9.]", "", text))
    except ValueError:
        return -2.0


def mean_of_means(*samples, axis):
    """Return the mean of each sample's mean."""
    return sum(np.mean(sample, axis=axis) for sample in samples) / len(samples)


def overall(*samples, axis):
    """Return the mean of the four categories; the samples are NLI's five, QA's two, RC's and MC's."""
    parts = (samples[:5], samples[5:7], samples[7:8], samples[8:])
    return sum(mean_of_means(*part, axis=axis) for part in parts) / 4


def intervals(items, columns):
    """Return the interval of every figure of one model."""
    settings = {"n_resamples": 2000, "method": "percentile", "rng": np.random.default_rng(0)}
    found = {}

    def add(name, samples, statistic, **more):
        ends = bootstrap(samples, statistic, **settings, **more).confidence_interval
        found[name] = [float(ends.low), float(ends.high)]

    for dataset, values in items.items():
        add(dataset, (values,), np.mean)
    for category, datasets in {**CATEGORIES, "NLI": NLI}.items():
        add(category, tuple(items[dataset] for dataset in datasets), mean_of_means)
    add(
        "AVR", tuple(items[name] for name in (*NLI, "jemhopqa", "niilc", "jsquad", "jcommonsenseqa")), overall
    )
    for name, function in (("pearson", pearsonr), ("spearman", spearmanr)):
        add(f"jsts_{name}", columns, lambda x, y, f=function: f(x, y)[0], paired=True, vectorized=False)
    return found


def score(model, items, keep):
    """Return the figures of one model's columns, {dataset: [preds, golds]}, and put its items' scores into `items`."""
    figures = {}
    for dataset, (preds, golds) in model.items():
        if dataset == "jsts":
            y_pred, y_true = list(map(number, preds)), list(map(number, golds))
            items["jsts"] = (y_true, y_pred)
            for name, function in (("pearson", pearsonr), ("spearman", spearmanr)):
                found = function(y_true, y_pred)[0]
                figures[f"jsts_{name}"] = 0.0 if math.isnan(found) else float(found)
        elif dataset in ("jemhopqa", "niilc", "jsquad"):
            ratios = [fuzz.token_sort_ratio(pred, gold) / 100 for pred, gold in zip(preds, golds)]  # noqa: B905
            items[dataset] = ratios
            figures[f"{dataset}_char_f1"] = mean(ratios)
        else:
            figures[f"{dataset}_exact_match"] = float(accuracy_score(golds, preds))
            if keep:  # upstream has none of items
                items[dataset] = [int(p == g) for p, g in zip(preds, golds)]  # noqa: B905
    figures["NLI"] = mean([figures[f"{dataset}_exact_match"] for dataset in NLI])
    figures["QA"] = mean([figures["jemhopqa_char_f1"], figures["niilc_char_f1"]])
    figures["RC"] = figures["jsquad_char_f1"]
    figures["MC"] = figures["jcommonsenseqa_exact_match"]
    figures["AVR"] = (figures["NLI"] + figures["QA"] + figures["RC"] + figures["MC"]) / 4
    return figures


def main():
    """Score, as often as asked."""
    path, backend, repeats = sys.argv[1:4]
    if backend == "difflib":
        from difflib import SequenceMatcher

        fuzz.SequenceMatcher = SequenceMatcher  # what it falls back on by itself
    else:
        assert fuzz.SequenceMatcher.__name__ == "StringMatcher"
    wanted = "--intervals" in sys.argv
    seconds, figures, drawn = [], {}, {}
    for _ in range(int(repeats) + (not wanted)):
        with open(
            path, encoding="utf-8"
        ) as file:  # anew, so that nothing of a text is known from the last time
            models = json.load(file)
        gc.collect()
        began = time.process_time()
        for name, model in models.items():
            items = {}
            figures[name] = score(model, items, wanted)
            if wanted:
                columns = items.pop("jsts")
                drawn[name] = intervals(items, columns)
        seconds.append(time.process_time() - began)
    packages = ("fuzzywuzzy", "python-Levenshtein", "scikit-learn", "scipy")
    versions = {package: version(package) for package in packages}
    found = {
        "seconds": seconds[-int(repeats) :],
        "figures": figures,
        "intervals": drawn,
        "versions": versions,
    }
    print(json.dumps(found))


main()
