"""Characters to tokens: for any reply, any span and any kind of tokenizer, exactly the tokens that hold a byte of it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from small_bytelevel import trained
from tiny_llama import TEMPLATE, make_tokenizer
from watari.generate.masking import encode_reply
from watari.generate.templates import PRESETS
from watari.pretrained import load_tokenizer
from watari.pretrained.pieces import token_bytes
from watari.train.examples import Unusable
from watari.train.repair_rows import mended_spans
from watari.train.spans import placed

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
TRIMMED = TEMPLATE.replace("'### Assistant: ' + m.content", "'### Assistant: ' + m.content | trim")
THINKING = TEMPLATE.replace("'### Assistant: ' + m.content", "'### Assistant: <none>\n' + m.content")
KINDS = {"plain": TEMPLATE, "shisa": PRESETS["shisa"], "swallow": PRESETS["swallow"], "bytes": CHATML}


@cache
def tokenizer(kind: str) -> Any:
    """Return a tokenizer with byte fallback, or a byte-level one that composes (NFC)."""
    folder = Path(mkdtemp())
    if kind != "bytes":
        make_tokenizer(folder)
        return load_tokenizer(folder)
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer.from_str(json.dumps(trained("qwen").model.content))
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>")


def encoded(kind: str, reply: str) -> tuple[Any, Any]:
    """Return the reply's sequence and where its characters lie."""
    messages = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": reply}]
    found = encode_reply(tokenizer(kind), messages, KINDS[kind])
    return found, placed(tokenizer(kind), messages, KINDS[kind], found)


REPLIES = st.text(st.sampled_from("the red ball,。のはボ高校生钩한Ж ù🙂\n "), min_size=1, max_size=30).filter(
    lambda text: text.strip() != ""
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(reply=REPLIES, ends=st.tuples(st.integers(0, 30), st.integers(0, 30)))
@example(reply="a高校生b", ends=(2, 3))
def test_a_span_has_exactly_the_tokens_of_its_bytes(kind: str, reply: str, ends: tuple[int, int]) -> None:
    start, stop = sorted(min(end, len(reply)) for end in ends)
    found, where = encoded(kind, reply)
    tokens = where.tokens((start, stop))
    assert all(found.assistant_mask[position] for position in tokens)
    spelt = token_bytes(tokenizer(kind), found.ids)
    before, inside, after = (
        b"".join(part)
        for part in (
            spelt[where.first : tokens[0]],
            spelt[tokens[0] : tokens[-1] + 1],
            spelt[tokens[-1] + 1 :],
        )
    )
    whole = before + inside + after
    # Where the reply lies in what was written, found without the code under test.
    lead = whole.index(reply.encode())
    first, last = (lead + len(reply[:place].encode()) for place in (start, stop))
    if start == stop:
        assert len(tokens) == 1
        assert len(before) <= first <= len(before + inside)
        assert len(before + inside) > first or tokens[0] == where.first + len(where.ends) - 1 or not inside
        return
    assert tokens == list(range(tokens[0], tokens[-1] + 1))
    # Together they hold the span; without its first or its last token they do not.
    assert len(before) <= first
    assert len(before + inside) >= last
    assert len(before) + len(spelt[tokens[0]]) > first
    assert len(before + inside) - len(spelt[tokens[-1]]) < last


def test_each_byte_of_a_character_counts() -> None:
    found, where = encoded("plain", "a 钩.")
    tokens = where.tokens((2, 3))
    pieces = tokenizer("plain").convert_ids_to_tokens([found.ids[position] for position in tokens])
    assert pieces == ["<0xE9>", "<0x92>", "<0xA9>"]


def test_the_end_of_the_turn_is_what_comes_at_the_end() -> None:
    for kind in ("plain", "swallow", "bytes"):
        found, where = encoded(kind, "the ball")
        (end,) = where.tokens((8, 8))
        assert found.ids[end] == tokenizer(kind).eos_token_id, kind


def test_templates_that_trim_or_write_something_before_the_reply() -> None:
    messages = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": "  the 高 ball "}]
    for template in (TRIMMED, THINKING):
        made = encode_reply(tokenizer("plain"), messages, template)
        where = placed(tokenizer("plain"), messages, template, made)
        tokens = where.tokens((6, 7))
        assert b"".join(token_bytes(tokenizer("plain"), [made.ids[i] for i in tokens])) == "高".encode()
    upper = TEMPLATE.replace("m.content + eos", "m.content | upper + eos")
    with pytest.raises(Unusable, match="rewrites"):
        placed(tokenizer("plain"), messages, upper, encode_reply(tokenizer("plain"), messages, upper))


def test_what_a_normaliser_composes_is_followed() -> None:
    """NFC: e + combining acute is one character to the model; a border between the two is none."""
    reply = "cafe\u0301 高"
    messages = [{"role": "user", "content": "What?"}, {"role": "assistant", "content": reply}]
    made = encode_reply(tokenizer("bytes"), messages, CHATML)
    where = placed(tokenizer("bytes"), messages, CHATML, made)
    found = token_bytes(tokenizer("bytes"), [made.ids[i] for i in where.tokens((6, 7))])
    assert "高".encode() in b"".join(found)
    with pytest.raises(Unusable, match="do not spell"):
        where.tokens((4, 6))


@pytest.mark.parametrize(
    ("rejected", "chosen", "leaks", "found"),
    [
        ("a高b", "axb", [(1, 2)], [(1, 2)]),
        ("a高b", "ab", [(1, 2)], [(1, 1)]),
        ("a高b校c", "axyb zc", [(1, 2), (3, 4)], [(1, 3), (4, 6)]),
        ("高b", "xb", [(0, 1)], [(0, 1)]),
        ("b高", "b", [(1, 2)], [(1, 1)]),
        ("a高b", "a x tail", [(1, 2)], [(1, 8)]),
        ("aa高aa", "aaaa", [(2, 3)], [(2, 2)]),
        ("a高校b", "axb", [(1, 2), (2, 3)], [(1, 1), (1, 2)]),
    ],
)
def test_what_mends_a_leak(
    rejected: str, chosen: str, leaks: list[tuple[int, int]], found: list[tuple[int, int]]
) -> None:
    assert mended_spans(rejected, chosen, leaks) == found


@settings(max_examples=150, deadline=None)
@given(
    parts=st.lists(
        st.tuples(
            st.text("ab ", max_size=4), st.text("高校", min_size=1, max_size=3), st.text("xy", max_size=3)
        ),
        min_size=1,
        max_size=3,
    ),
    end=st.text("ab ", max_size=4),
)
def test_mends_put_in_place_of_leaks_are_found_again(parts: list[tuple[str, str, str]], end: str) -> None:
    rejected = chosen = ""
    leaks = []
    for kept, leak, mend in parts:
        rejected, chosen = rejected + kept, chosen + kept
        leaks.append((len(rejected), len(rejected) + len(leak)))
        rejected, chosen = rejected + leak, chosen + mend
    found = mended_spans(rejected + end, chosen + end, leaks)
    # What is outside of the spans is the same in both.
    rest = "".join(
        (chosen + end)[left:right]
        for left, right in zip(
            [0, *(stop for _, stop in found)],
            [*(start for start, _ in found), len(chosen + end)],
            strict=True,
        )
    )
    assert rest == "".join(kept for kept, _, _ in parts) + end
