"""The prompt really sent, token by token: BOS once, lost, doubled, meant inside; endpoints cannot be looked into."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tiny_llama import TEMPLATE, make_tokenizer
from watari.endpoint.settings import Endpoint
from watari.errors import UserError
from watari.evals.folder import read_evaluation
from watari.generate.preflight import FILE, Sent, preflight, refuse, write_preflight

CHAT = [{"role": "user", "content": "空は何色？"}]


def folder(path: Path, *, bos: bool = True, template: str = TEMPLATE) -> Path:
    """Return a model's folder without weights."""
    make_tokenizer(path, bos=bos, template=template)
    (path / "config.json").write_text('{"eos_token_id": 2}', "utf-8")
    return path


def look(path: Path, prompt: str | list[dict[str, str]], *, inside: int = 0) -> Sent:
    (sent,) = preflight(path, {"jnli": ("i-1", prompt)}, allowed_inside=inside)
    return sent


def test_a_good_prompt_is_shown_token_by_token(tmp_path: Path) -> None:
    model = folder(tmp_path)
    for prompt in ("問い：空は何色？\n答え：", CHAT):
        sent = look(model, prompt)
        assert (sent.verdict, sent.bos, sent.bos_count, sent.mend) == ("ok", "<s>", 1, "")
        assert sent.tokens[0].token == "<s>"
        assert sent.text is not None
        assert "空は何色" in sent.text
        assert [token.id for token in sent.tokens].count(1) == 1
        assert len({token.id for token in sent.tokens}) > 5
        refuse([sent], "model")


def test_a_lost_bos_stops_with_the_reason_and_the_mend(tmp_path: Path) -> None:
    plain = look(folder(tmp_path / "a", bos=False), "問い")
    chat = look(folder(tmp_path / "b", template=TEMPLATE.replace("{{ bos_token }}", "")), CHAT)
    for sent, mend in ((plain, "post-processor"), (chat, "{{ bos_token }}")):
        assert (sent.verdict, sent.bos_count) == ("fail", 0)
        assert mend in sent.mend
        with pytest.raises(UserError, match=r"tiny: the prompt of jnli: it does not begin with <s>.*0.0391"):
            refuse([sent], "tiny")


def test_a_doubled_bos_stops(tmp_path: Path) -> None:
    plain = look(folder(tmp_path / "a"), "<s>問い")
    chat = look(folder(tmp_path / "b", template="{{ bos_token }}" + TEMPLATE), CHAT)
    inside = look(tmp_path / "a", "指示<s>問い")
    for sent in (plain, chat, inside):
        assert (sent.verdict, sent.bos_count) == ("fail", 2)
        with pytest.raises(UserError, match="<s> stands in it 2 times"):
            refuse([sent], "tiny")


def test_a_bos_that_the_spec_writes_inside_is_meant(tmp_path: Path) -> None:
    model = folder(tmp_path)
    assert look(model, "指示<s>問い", inside=1).verdict == "ok"
    assert look(model, "指示<s>問<s>い", inside=1).verdict == "fail"
    lost = look(folder(tmp_path / "b", bos=False), "指示<s>問い", inside=1)
    assert lost.verdict == "fail"  # the one at the start is still missing


def test_a_bos_after_the_end_of_a_turn_is_a_turns_own(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + m.content }}"
        "{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}"
    )
    talk = [*CHAT, {"role": "assistant", "content": "青。"}, {"role": "user", "content": "海は？"}]
    sent = look(folder(tmp_path, template=template), talk)
    assert (sent.verdict, sent.bos_count) == ("ok", 2)


def test_no_bos_and_bos_that_is_eos(tmp_path: Path) -> None:
    model = folder(tmp_path, bos=False)
    config = json.loads((model / "tokenizer_config.json").read_text("utf-8"))
    (model / "tokenizer_config.json").write_text(json.dumps(config | {"bos_token": "</s>"}), "utf-8")
    same = look(model, "問い")
    assert (same.verdict, same.bos_count) == ("ok", 0)
    assert look(model, "</s></s>問い").verdict == "fail"
    config.pop("bos_token")
    (model / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    none = look(model, "問い")
    assert (none.verdict, none.bos, none.bos_count) == ("ok", None, None)


def test_behind_an_endpoint_nothing_is_claimed() -> None:
    endpoint = Endpoint(name="far", base_url="http://127.0.0.1:1/v1", model="m")
    for prompt in ("問い", CHAT):
        (sent,) = preflight(endpoint, {"turn 1": ("q", prompt)})
        assert (sent.verdict, sent.text, sent.tokens, sent.bos_count) == ("not checkable", None, (), None)
        assert sent.prompt == prompt
        assert "cannot be seen" in sent.found
        refuse([sent], "far")


def test_it_is_kept_and_read_back(tmp_path: Path) -> None:
    sent = look(folder(tmp_path / "m"), "問い")
    write_preflight(tmp_path, [sent])
    kept = json.loads((tmp_path / FILE).read_text("utf-8"))
    assert kept["jnli"]["tokens"][0] == {"id": 1, "token": "<s>", "text": "<s>"}
    (tmp_path / "evaluation.json").write_text(
        json.dumps({"spec": "x", "label": "x/1", "version": 1, "digest": "", "model": "m"}), "utf-8"
    )
    (tmp_path / "items.jsonl").write_text("", "utf-8")
    from watari.evals.folder import About, Evaluation, write_evaluation

    about = About("x", "x/1", 1, "", "m")
    write_evaluation(tmp_path / "e", Evaluation(about, (), (), prompts=(sent,)), ())
    assert read_evaluation(tmp_path / "e").prompts == (sent,)


def test_a_base_model_that_is_to_chat(tmp_path: Path) -> None:
    make_tokenizer(tmp_path, template=None)
    with pytest.raises(UserError, match="no chat template"):
        look(tmp_path, CHAT)


@pytest.mark.parametrize("chat", [True, False])
def test_a_long_prompt_is_looked_at_without_a_warning(
    tmp_path: Path, chat: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    import logging

    model = folder(tmp_path / "m")
    told = json.loads((model / "tokenizer_config.json").read_text("utf-8"))
    (model / "tokenizer_config.json").write_text(json.dumps(told | {"model_max_length": 4}), "utf-8")
    found: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    # transformers' own logger does not hand on what it says.
    logger = logging.getLogger("transformers")
    handler = Kept()
    logger.addHandler(handler)
    try:
        sent = look(model, [{"role": "user", "content": "long " * 50}] if chat else "long " * 50)
    finally:
        logger.removeHandler(handler)
    assert len(sent.tokens) > 50
    assert not found
