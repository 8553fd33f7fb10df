"""Before a sweep: what goes into a model, and a BOS that is lost or doubled stops it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from made_artifacts import as_input
from sweeping_server import Scripted
from teachers import teacher
from tiny_llama import TEMPLATE, make_folder
from watari.artifact.kinds import Kind
from watari.artifact.stage import Silent
from watari.errors import UserError
from watari.leakage.sweep.params import Params
from watari.leakage.sweep.plan import plan_of
from watari.leakage.sweep.stage import Swept, sweep

GRID = "base: {max_new_tokens: 4}\ncells: [{temperature: 0}, {temperature: 1, min_p: 0.1}]\n"
ROWS: list[dict[str, Any]] = [
    {"id": "a", "prompt": "One?", "expected_lang": "en"},
    {"id": "b", "prompt": "Two?", "expected_lang": "en"},
    {"id": "c", "system": "Be brief.", "user": "Three?", "expected_lang": "en"},
]


def params_of(folder: Path, model: Any, rows: list[dict[str, Any]] = ROWS, **more: Any) -> Params:
    (folder / "grid.yaml").write_text(GRID, "utf-8")
    (folder / "prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return Params(
        model=model,
        prompts=str(folder / "prompts.jsonl"),
        grid=str(folder / "grid.yaml"),
        ledger=str(folder / "ledger.sqlite"),
        label="s",
        **more,
    )


def local(folder: Path, template: str, **more: Any) -> Swept:
    (folder / "out").mkdir(parents=True)
    made = make_folder(folder / "tiny")
    settings = json.loads((made / "tokenizer_config.json").read_text("utf-8"))
    assert settings["chat_template"] == TEMPLATE
    (made / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": template}), "utf-8")
    return sweep(
        params_of(folder, {"from": "m"}, **more), as_input("m", made, Kind.MODEL), folder / "out", Silent()
    )


@pytest.mark.parametrize(
    ("template", "found"),
    [
        (TEMPLATE.removeprefix("{{ bos_token }}"), "it does not begin with <s>"),
        ("{{ bos_token }}" + TEMPLATE, "<s> stands in it 2 times"),
    ],
    ids=["lost", "doubled"],
)
def test_a_bos_that_is_not_as_it_must_be_stops_the_sweep_before_the_weights_are_read(
    tmp_path: Path, template: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from watari.generate import local as models

    monkeypatch.setattr(models, "load_model", lambda *_, **__: pytest.fail("weights were read"))
    with pytest.raises(UserError) as caught:
        local(tmp_path, template)
    assert found in caught.value.message
    assert "on_bos=tell" in str(caught.value.mend)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_bos_can_be_told_in_place_of_stopping(tmp_path: Path) -> None:
    done = local(tmp_path, TEMPLATE.removeprefix("{{ bos_token }}"), on_bos="tell")
    (note,) = [note for note in done.sweep.notes if "<s>" in note]
    assert note.startswith("3 of 3 prompts: it does not begin with <s>")
    sent = json.loads((tmp_path / "out" / "prompts.json").read_text("utf-8"))
    assert {name: one["verdict"] for name, one in sent.items()} == {"user": "fail", "system, user": "fail"}


def test_one_prompt_of_each_form_is_kept_token_by_token(tmp_path: Path) -> None:
    done = local(tmp_path, TEMPLATE)
    sent = json.loads((tmp_path / "out" / "prompts.json").read_text("utf-8"))
    assert [(name, one["item"], one["verdict"]) for name, one in sent.items()] == [
        ("user", "a", "ok"),
        ("system, user", "c", "ok"),
    ]
    assert sent["user"]["text"] == "<s>### User: One?\n### Assistant:"
    assert sent["user"]["tokens"][0]["token"] == "<s>"
    assert sorted(done.sweep.plan.sending.rendered) == ["a", "b", "c"]
    assert not [note for note in done.sweep.notes if "BOS" in note or "template" in note]


def test_a_prompt_that_the_template_refuses_is_told_and_missing_in_every_cell(tmp_path: Path) -> None:
    """It used to stop the sweep at its end, when everything was answered."""
    template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system here') }}{% endif %}" + TEMPLATE
    )
    done = local(tmp_path, template)
    (note,) = [note for note in done.sweep.notes if "refused" in note]
    assert note.startswith("1 of 3 prompts are refused by the chat template")
    assert "no system here" in note
    assert done.metrics["answers"] == {"asked": 6, "missing": 2}
    assert [sum(own.values()) for own in done.sweep.missing.values()] == [1, 1]


def test_a_template_that_refuses_everything_stops_the_sweep(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"refuses every prompt: .*never"):
        local(tmp_path, "{{ raise_exception('never') }}")


def test_a_base_model_does_not_chat(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a base model does not chat"):
        local(tmp_path, "")


def test_what_a_server_makes_of_a_prompt_cannot_be_seen(tmp_path: Path) -> None:
    with teacher(Scripted(), "model") as model:
        sending = plan_of(params_of(tmp_path, model), None).sending
    assert [(one.name, one.item, one.verdict) for one in sending.sent] == [
        ("user", "a", "not checkable"),
        ("system, user", "c", "not checkable"),
    ]
