"""llm-jp-eval 1.0's scoring with fuzzywuzzy and scipy, in an interpreter that has them; run by ../evals_jaster.py.

    python fuzzy.py COLUMNS.json levenshtein|difflib REPEATS

Prints {"seconds": [CPU seconds of each], "figures": {model: {figure: value}}, "versions": {package: version}}.
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

from fuzzywuzzy import fuzz  # noqa: E402
from scipy.stats import pearsonr, spearmanr  # noqa: E402

NLI = ("jamp", "janli", "jnli", "jsem", "jsick")


def number(text):
    """Return the number in an answer, as upstream reads it."""
    try:
        return float(re.sub(r"[^0-9.]", "", text))
    except ValueError:
        return -2.0


def score(model):
    """Return the figures of one model's columns: {dataset: [preds, golds]}."""
    figures = {}
    for dataset, (preds, golds) in model.items():
        if dataset == "jsts":
            y_pred, y_true = list(map(number, preds)), list(map(number, golds))
            for name, function in (("pearson", pearsonr), ("spearman", spearmanr)):
                found = function(y_true, y_pred)[0]
                figures[f"jsts_{name}"] = 0.0 if math.isnan(found) else float(found)
        elif dataset in ("jemhopqa", "niilc", "jsquad"):
            ratios = [fuzz.token_sort_ratio(pred, gold) / 100 for pred, gold in zip(preds, golds)]  # noqa: B905
            figures[f"{dataset}_char_f1"] = mean(ratios)
        else:
            figures[f"{dataset}_exact_match"] = mean([int(p == g) for p, g in zip(preds, golds)])  # noqa: B905
    figures["NLI"] = mean([figures[f"{dataset}_exact_match"] for dataset in NLI])
    figures["QA"] = mean([figures["jemhopqa_char_f1"], figures["niilc_char_f1"]])
    figures["RC"] = figures["jsquad_char_f1"]
    figures["MC"] = figures["jcommonsenseqa_exact_match"]
    figures["AVR"] = (figures["NLI"] + figures["QA"] + figures["RC"] + figures["MC"]) / 4
    return figures


def main():
    """Score, as often as asked."""
    path, backend, repeats = sys.argv[1:4]
    with open(path, encoding="utf-8") as file:
        models = json.load(file)
    if backend == "difflib":
        from difflib import SequenceMatcher

        fuzz.SequenceMatcher = SequenceMatcher  # what it falls back on by itself
    else:
        assert fuzz.SequenceMatcher.__name__ == "StringMatcher"
    seconds, figures = [], {}
    for _ in range(int(repeats) + 1):
        gc.collect()
        began = time.process_time()
        figures = {name: score(model) for name, model in models.items()}
        seconds.append(time.process_time() - began)
    versions = {package: version(package) for package in ("fuzzywuzzy", "python-Levenshtein", "scipy")}
    print(json.dumps({"seconds": seconds[1:], "figures": figures, "versions": versions}))


main()
