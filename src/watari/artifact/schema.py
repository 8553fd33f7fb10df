"""The written schema of every row type, versioned. Columns that a schema does not know are kept as they are.

`meta` is a JSON string; `messages` is the OpenAI form. Raise `VERSION` when a column changes its name or meaning.
"""

from __future__ import annotations

import pyarrow as pa

from watari.artifact.kinds import Kind

VERSION = 1

_TEXT = pa.string()
_MESSAGES = pa.list_(pa.struct([("role", _TEXT), ("content", _TEXT)]))
_IDS = pa.list_(_TEXT)

SCHEMAS: dict[Kind, pa.Schema] = {
    Kind.DOCUMENTS: pa.schema(
        [
            ("id", _TEXT),
            ("text", _TEXT),
            ("source", _TEXT),
            ("language", _TEXT),
            ("license", _TEXT),
            ("url", _TEXT),
            ("date", _TEXT),
            ("meta", _TEXT),
        ]
    ),
    Kind.CONVERSATIONS: pa.schema(
        [
            ("id", _TEXT),
            ("messages", _MESSAGES),
            ("language", _TEXT),
            ("source", _TEXT),
            ("license", _TEXT),
            ("parents", _IDS),
            ("meta", _TEXT),
        ]
    ),
    Kind.PREFERENCES: pa.schema(
        [
            ("id", _TEXT),
            ("prompt", _MESSAGES),
            ("chosen", _TEXT),
            ("rejected", _TEXT),
            ("chosen_by", _TEXT),
            ("rejected_by", _TEXT),
            ("language", _TEXT),
            ("source", _TEXT),
            ("license", _TEXT),
            ("parents", _IDS),
            ("meta", _TEXT),
        ]
    ),
    Kind.GENERATIONS: pa.schema(
        [
            ("id", _TEXT),
            ("item_id", _TEXT),
            ("model", _TEXT),
            ("run", pa.int32()),
            ("turn", pa.int32()),
            ("sampler", _TEXT),
            ("seed", pa.int64()),
            ("rendered_prompt", _TEXT),
            ("response", _TEXT),
            ("finish_reason", _TEXT),
            ("prompt_tokens", pa.int32()),
            ("completion_tokens", pa.int32()),
        ]
    ),
    Kind.JUDGMENTS: pa.schema(
        [
            ("id", _TEXT),
            ("generation_ids", _IDS),
            ("spec", _TEXT),
            ("judge", _TEXT),
            ("turn", pa.int32()),
            ("rating", pa.float64()),
            ("text", _TEXT),
            ("parents", _IDS),
        ]
    ),
    Kind.VOTES: pa.schema(
        [
            ("id", _TEXT),
            ("item_id", _TEXT),
            ("rater", _TEXT),
            ("model_a", _TEXT),
            ("model_b", _TEXT),
            ("winner", _TEXT),
            ("left", _TEXT),
            ("language", _TEXT),
            ("task", _TEXT),
            ("latency_ms", pa.int64()),
            ("created", _TEXT),
            ("undoes", _TEXT),
        ]
    ),
    Kind.SCORES: pa.schema(
        [
            ("metric", _TEXT),
            ("group", _TEXT),
            ("value", pa.float64()),
            ("n", pa.int64()),
            ("invalid", pa.int64()),
            ("stderr", pa.float64()),
            ("ci_low", pa.float64()),
            ("ci_high", pa.float64()),
            ("spec", _TEXT),
            ("judge", _TEXT),
            ("runs", pa.int32()),
        ]
    ),
}

DROPPED = pa.schema(
    [
        ("id", _TEXT),
        ("source", _TEXT),
        ("place", _TEXT),
        ("reason", _TEXT),
        ("detail", _TEXT),
    ]
)
"""The ledger of rows that a stage did not pass on. `place` is `file:line` where the row has no id."""
