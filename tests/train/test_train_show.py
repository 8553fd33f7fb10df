"""What `watari train show-mask` shows: the tokens that training sees, the trained ones told apart, at any width."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from tiny_llama import TEXT, make_tokenizer
from watari.artifact.kinds import Kind
from watari.artifact.stage import InputArtifact
from watari.errors import UserError
from watari.generate.masking import Encoded, encode_conversation, encode_reply
from watari.generate.templates import PRESETS
from watari.pretrained import load_tokenizer
from watari.train.masks import MaskedRow, ShownToken, masked_rows, shown_tokens
from watari.train.show import as_json, plain, render, show_masks, title, visible

Rows = Callable[..., InputArtifact]
TALK = [
    {"role": "user", "content": "Hi,\n\tyou?"},
    {"role": "assistant", "content": "赤い🍡です。\nOK"},
    {"role": "user", "content": "x"},
    {"role": "assistant", "content": "y"},
]
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
BYTES = re.compile("⟨[0-9A-F]{2}⟩")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llama")
    make_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Byte-level BPE with ChatML's control tokens and one added token that is not special."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.Sequence([decoders.ByteLevel()])
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    raw.train_from_iterator(TEXT, trainer)
    raw.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t in ("<|im_start|>", "<|im_end|>")]
    )
    raw.add_tokens([AddedToken("<道具>", special=False, normalized=False)])
    folder = tmp_path_factory.mktemp("qwen")
    raw.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "chat_template": CHATML,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    return folder


@pytest.fixture(scope="module")
def tokenizers(llama: Path, qwen: Path) -> dict[str, Any]:
    return {"llama": load_tokenizer(llama), "qwen": load_tokenizer(qwen)}


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", "utf-8")
    return path


def coloured(rows: list[MaskedRow], width: int) -> str:
    out = io.StringIO()
    Console(file=out, force_terminal=True, color_system="truecolor", width=width, _environ={}).print(
        render(rows, width=width)
    )
    return out.getvalue()


def made_of(*tokens: tuple[str, bool]) -> MaskedRow:
    return MaskedRow("r", "", tuple(ShownToken(9, text, on, False) for text, on in tokens), 1, 2)


# -- which tokens ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss_on", ["assistant", "last"])
def test_the_tokens_and_the_mask_are_those_of_training(llama: Path, tmp_path: Path, loss_on: Any) -> None:
    tokenizer = load_tokenizer(llama)
    encoded = (
        encode_reply(tokenizer, TALK, PRESETS["shisa"])
        if loss_on == "last"
        else encode_conversation(tokenizer, TALK, PRESETS["shisa"])[0]
    )
    path = written(tmp_path, {"id": "a", "messages": TALK})
    (row,) = masked_rows(llama, path, template="shisa", loss_on=loss_on)
    assert [token.id for token in row.tokens] == encoded.ids
    assert [token.trained for token in row.tokens] == encoded.assistant_mask
    count, share = len(encoded.ids), encoded.supervised / len(encoded.ids)
    assert title(row) == f"a: {count} tokens · {encoded.supervised} trained ({share:.1%}) · BOS 2 · EOS 2"


def test_a_first_token_is_never_shown_as_trained(llama: Path) -> None:
    """Nothing stands before it to predict it from, and training leaves it out."""
    shown = shown_tokens(load_tokenizer(llama), Encoded([1, 5, 6], [True, True, False]))
    assert [token.trained for token in shown] == [False, True, False]


def test_preferences_show_both_sides(
    llama: Path, rows_of: Rows, choices: list[dict[str, Any]], tmp_path: Path
) -> None:
    artifact = rows_of("d", Kind.PREFERENCES, choices, limit=1)
    for rows in (artifact, written(tmp_path, choices[0])):
        chosen, rejected = masked_rows(llama, rows, template="shisa")
        assert (chosen.part, rejected.part) == ("chosen", "rejected")
        said = "".join(token.text for token in rejected.tokens if token.trained)
        assert said == f" {choices[0]['rejected']} </s>"
        assert "The red ball" in "".join(token.text for token in chosen.tokens)
        assert title(chosen).startswith("p0 (chosen): ")


def test_a_row_that_gives_several_sequences_shows_each(llama: Path, tmp_path: Path) -> None:
    rewriting = (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
        "{% else %}{{ ' ' + (m.content if loop.last else m.content[:1]) + eos_token }}{% endif %}{% endfor %}"
    )
    (tmp_path / "own.jinja").write_text(rewriting, "utf-8")
    path = written(tmp_path, {"id": "a", "messages": TALK})
    rows = masked_rows(llama, path, template_file=tmp_path / "own.jinja")
    assert [row.part for row in rows] == ["1 of 2", "2 of 2"]


def test_why_a_row_is_not_trained_on_is_said(llama: Path, tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {"id": "a", "messages": TALK[:1]},
        {"id": "b", "messages": [{"role": "user", "content": "x" * 99}, TALK[1]]},
        {"id": "c", "prompt": [TALK[0]], "chosen": "x", "rejected": " "},
        {"id": "d", "messages": [TALK[0], TALK[3]]},
    )
    rows = masked_rows(llama, path, template="shisa", sequence=40)
    assert [(row.id, row.part, row.reason) for row in rows] == [
        ("a", "", "does not end with a reply"),
        ("b", "", "longer than the sequence"),
        ("c", "chosen", ""),
        ("c", "rejected", "a reply is empty"),
        ("d", "", ""),
    ]
    text = plain(rows)
    assert "a: not trained on: does not end with a reply (the last message is by 'user')" in text
    assert text.endswith("3 not trained on")
    cut = masked_rows(llama, path, template="shisa", sequence=40, too_long="cut", ids=["b"])
    assert [row.reason for row in cut] == ["nothing to train on once cut to the sequence"]


def test_limit_and_ids(llama: Path, rows_of: Rows, talks: list[dict[str, Any]], tmp_path: Path) -> None:
    artifact = rows_of("d", Kind.CONVERSATIONS, talks)
    for rows in (artifact, artifact.path):
        assert [row.id for row in masked_rows(llama, rows, limit=2)] == ["t0", "t1"]
        assert [row.id for row in masked_rows(llama, rows, limit=1, ids=["t9", "t4"])] == ["t4", "t9"]
        with pytest.raises(UserError, match="no row has the id 'gone'"):
            masked_rows(llama, rows, ids=["t4", "gone"])
    narrowed = rows_of("e", Kind.CONVERSATIONS, talks, where={"id": "t7"})
    assert [row.id for row in masked_rows(llama, narrowed)] == ["t7"]


def test_rows_that_are_none_are_told(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"neither a conversation nor a preference: its columns are id, text"):
        masked_rows(llama, written(tmp_path, {"id": "a", "text": "x"}))
    (tmp_path / "rows.jsonl").write_text('{"id": 1', "utf-8")
    with pytest.raises(UserError, match="line 1"):
        masked_rows(llama, tmp_path / "rows.jsonl")
    with pytest.raises(UserError):
        masked_rows(llama, tmp_path / "nothing")


# -- texts of tokens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llama", "qwen"])
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="⟨⟩"), min_size=1, max_size=30))
def test_shown_texts_add_up_to_what_is_read(tokenizers: dict[str, Any], name: str, text: str) -> None:
    """Every character stands once, in the token that completes it, whatever tokens its bytes fall into."""
    tokenizer = tokenizers[name]
    ids = list(tokenizer(text, add_special_tokens=False)["input_ids"])
    shown = shown_tokens(tokenizer, Encoded(ids, [True] * len(ids)))
    assert [token.id for token in shown] == ids
    added = "" if name == "qwen" else " "
    assert "".join(BYTES.sub("", token.text) for token in shown) == added + text
    spelt = sum(len(BYTES.findall(token.text)) for token in shown)
    assert spelt <= len((added + text).encode())


def test_bytes_are_spelt_until_their_character_is_whole(llama: Path) -> None:
    tokenizer = load_tokenizer(llama)
    byte = [tokenizer.convert_tokens_to_ids(f"<0x{value:02X}>") for value in range(256)]

    def texts(*values: int) -> list[str]:
        ids = [byte[value] for value in values] + [1]
        return [token.text for token in shown_tokens(tokenizer, Encoded(ids, [True] * len(ids)))]

    assert texts(0xE8, 0xB5, 0xA4) == ["⟨E8⟩", "⟨B5⟩", "赤", "<s>"]
    # Broken off by another character, by a control token, or no UTF-8 at all: every byte is still to be seen, once.
    assert texts(0xE8, 0x41) == ["⟨E8⟩", "A", "<s>"]
    assert texts(0xE8, 0xE8, 0xB5, 0xA4) == ["⟨E8⟩", "⟨E8⟩", "⟨B5⟩", "赤", "<s>"]
    assert texts(0xF0, 0x9F, 0x8D) == ["⟨F0⟩", "⟨9F⟩", "⟨8D⟩", "<s>"]
    assert texts(0xFF, 0x80, 0x0A) == ["⟨FF⟩", "⟨80⟩", "\n", "<s>"]


def test_control_and_added_tokens_keep_their_names(qwen: Path, tmp_path: Path) -> None:
    path = written(tmp_path, {"id": "a", "messages": [TALK[0], {"role": "assistant", "content": "<道具>を"}]})
    (row,) = masked_rows(qwen, path)
    texts = [token.text for token in row.tokens]
    assert texts[0] == "<|im_start|>"
    assert row.tokens[0].special
    assert "<道具>" in texts
    trained = [token.text for token in row.tokens if token.trained]
    assert trained[-1] == "<|im_end|>"
    assert BYTES.sub("", "".join(trained)) == "<道具>を<|im_end|>"
    assert "BOS" not in title(row)


def test_what_cannot_be_seen_is_spelt_out() -> None:
    assert visible("a b\tc\u3000d\r\x1b[0m\x7f\u200b\u202e\u00a0\x85") == (
        "a·b⇥c□d␍␛[0m␡⟨U+200B⟩⟨U+202E⟩⟨U+00A0⟩⟨U+0085⟩"
    )
    assert visible("x\ny") == "x↵\ny"
    assert visible("क्षि が") == "क्षि·が"
    assert "\x1b" not in title(MaskedRow("\x1b[2J", "", (), 1, 2, "x"))


# -- in a terminal, in a pipe, as JSON ------------------------------------------------------------------------------


def test_trained_stretches_stand_in_brackets() -> None:
    row = made_of(("<s>", False), (" Hi", False), (" yes", True), (" a\n", True), ("\n", False), ("b", True))
    assert plain([row]).partition("\n\n")[0].splitlines()[1:] == ["<s>¦·Hi⟦·yes¦·a↵⟧", "↵", "⟦b⟧"]


def test_japanese_takes_two_cells() -> None:
    row = made_of(*(("漢", False) for _ in range(30)))
    lines = plain([row], width=20).splitlines()
    body = [line for line in lines if "漢" in line]
    # Three cells a token with its bar, two for the first of all: none is torn.
    assert body[0] == "漢" + "¦漢" * 6
    assert all(cell_len(line) == 18 for line in body[1:4])


TOKENS = st.lists(
    st.tuples(st.text(st.sampled_from("a漢\u0301🍡 \n"), min_size=1, max_size=50), st.booleans()),
    min_size=1,
    max_size=30,
)


@given(tokens=TOKENS, width=st.integers(8, 90))
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(
    tokens: list[tuple[str, bool]], width: int
) -> None:
    row = made_of(*tokens)
    lines = plain([row], width=width).splitlines()
    assert max(map(cell_len, lines)) <= width
    whole = "".join(lines)
    assert visible("".join(text for text, _ in tokens)).replace("\n", "") in re.sub("[⟦⟧¦]", "", whole)
    shown = [Text.from_ansi(line).plain for line in coloured([row], width).splitlines()]
    assert max(map(cell_len, shown)) <= width
    assert visible("".join(text for text, _ in tokens)).replace("\n", "") in "".join(shown)


def test_colours_tell_trained_tokens_and_their_ends() -> None:
    row = made_of(("a", False), ("b", False), ("c", True), ("d", True))
    line = Text.from_ansi(coloured([row], 80).splitlines()[1])
    assert line.plain == "abcd"
    backgrounds = [str(span.style) for span in line.spans]
    assert len(set(backgrounds)) == 4
    assert "⟦" not in coloured([row], 80)


def test_what_is_printed_suits_where_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    row = made_of(("a", False), ("b", True))

    def printed(**given: Any) -> str:
        out = io.StringIO()
        json_output = given.pop("json_output", False)
        show_masks([row], json_output=json_output, console=Console(file=out, width=40, **given))
        return out.getvalue()

    assert printed() == plain([row], width=40) + "\n"
    assert printed(force_terminal=True, color_system="truecolor", no_color=True) == printed()
    assert "\x1b[" in printed(force_terminal=True, color_system="truecolor")
    assert json.loads(printed(json_output=True)) == as_json([row])


def test_json_has_every_token(llama: Path, tmp_path: Path) -> None:
    path = written(tmp_path, {"id": "a", "messages": TALK}, {"id": "b", "messages": []})
    rows = masked_rows(llama, path, template="shisa")
    first, second = as_json(rows)
    assert first["ids"] == [token.id for token in rows[0].tokens]
    assert sum(first["mask"]) == first["trained"] == rows[0].trained
    assert len(first["texts"]) == first["tokens"] == len(first["ids"])
    assert (first["bos"], first["eos"], first["reason"]) == (2, 2, None)
    assert (second["reason"], second["detail"], second["tokens"]) == (
        "messages are malformed",
        "no messages",
        0,
    )


def test_a_row_without_an_id_is_called_by_its_place(llama: Path, tmp_path: Path) -> None:
    path = tmp_path / "talks.jsonl"
    path.write_text(
        json.dumps({"messages": TALK}) + "\n" + json.dumps({"messages": TALK, "id": "b"}) + "\n", "utf-8"
    )
    rows = masked_rows(
        llama, path, template="model", template_file=None, loss_on="last", too_long="drop", sequence=256
    )
    assert [row.id for row in rows] == ["row 1", "b"]
