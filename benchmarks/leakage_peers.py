"""What the leakage benchmark has beside the detector: pass rates of lines and words, and `wordfreq` in its own interpreter."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from watari.text.language import _bundled
from watari.text.leakage.letters import written_with
from watari.text.leakage.lexicon import is_common

NAME = "line- and word-level pass rate of for-ai/language-confusion, written anew"


class PassRates:
    """LPR and WPR of one answer; see this file's head."""

    def __init__(self) -> None:
        import fasttext

        self._model = fasttext.load_model(_bundled())

    def leaks(self, answer: str, expected: str) -> bool:
        return self.line_fails(answer, expected) or self.word_fails(answer, expected)

    def line_fails(self, answer: str, expected: str) -> bool:
        for line in answer.split("\n"):
            plain = re.sub(r"[^\w\s]|\d", " ", line).strip()
            east = expected in ("ja", "zh", "th")
            if (len(plain.replace(" ", "")) < 10) if east else (len(plain.split()) < 5):
                continue
            labels, _ = self._model.predict(plain.replace("\n", " "), k=1)
            if labels[0].removeprefix("__label__") != expected:
                return True
        return False

    @staticmethod
    def word_fails(answer: str, expected: str) -> bool:
        if not written_with(expected):
            return False
        return any(
            is_common(word, "en") for word in re.findall(r"(?<![A-Za-z])[a-z]{4,}(?![A-Za-z])", answer)
        )


def wordfreq_lists(quick: bool) -> dict[str, list[str]] | None:
    """Return lists of frequent words by language, from an interpreter that has `wordfreq`; None without one."""
    script = """
import json, re, sys
from wordfreq import top_n_list
han, whole = re.compile("[\\u3400-\\u9fff]"), re.compile("^[\\u3400-\\u9fff]{2,}$")
japanese = [word for word in top_n_list("ja", 200000) if han.search(word)]
known = set(japanese)
english = [word for word in top_n_list("en", 20000) if re.fullmatch("[a-z]{4,}", word)]
chinese = [word for word in top_n_list("zh", 20000) if whole.match(word) and word not in known]
json.dump({
    "kanji": japanese[:5000],
    "en": english[:4000],
    "en rarer": english[8500:11500],
    "zh": chinese[:1600],
    "zh rarer": chinese[1600:3200],
    "ko": [word for word in top_n_list("ko", 3000) if re.fullmatch("[\\uac00-\\ud7a3]{2,}", word)],
    "ru": [word for word in top_n_list("ru", 3000) if re.fullmatch("[\\u0430-\\u044f\\u0451]{3,}", word)],
}, sys.stdout)
"""
    peers = os.environ.get("WATARI_PEERS", Path(tempfile.gettempdir()) / "watari-peers")
    python = os.environ.get("WATARI_WORDFREQ_PYTHON", str(Path(peers) / "wordfreq/bin/python"))
    if not Path(python).exists():
        print(
            "no interpreter with wordfreq (WATARI_WORDFREQ_PYTHON): its parts are left out", file=sys.stderr
        )
        return None
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", script], capture_output=True, text=True, env=environment, check=True, encoding="utf-8"
    )
    found: dict[str, list[str]] = json.loads(done.stdout)
    return {name: words[:200] for name, words in found.items()} if quick else found
