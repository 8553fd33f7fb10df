"""New ids in the places, beside the vocabulary, that name token ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def moved_settings(settings: dict[str, Any], ids: Sequence[int]) -> dict[str, Any]:
    """Return a tokenizer_config.json whose table of added tokens has the new ids."""
    if "added_tokens_decoder" not in settings:
        return settings
    places = {old: new for new, old in enumerate(ids)}
    table = settings["added_tokens_decoder"]
    moved = {str(places[int(index)]): token for index, token in table.items() if int(index) in places}
    return {**settings, "added_tokens_decoder": moved}


def moved_processor(given: dict[str, Any], places: dict[int, int]) -> dict[str, Any]:
    """Return a post-processor whose special tokens have their new ids."""
    found = dict(given)
    if found["type"] == "Sequence":
        found["processors"] = [moved_processor(part, places) for part in found["processors"]]
    elif found["type"] == "TemplateProcessing":
        found["special_tokens"] = {
            name: {**token, "ids": [places[index] for index in token["ids"]]}
            for name, token in found["special_tokens"].items()
        }
    elif found["type"] in ("BertProcessing", "RobertaProcessing"):
        for end in ("sep", "cls"):
            found[end] = [found[end][0], places[found[end][1]]]
    return found
