"""The doctor: a sound model passes every check, and a planted fault turns its own check and no other."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tiny_llama import TEMPLATE, make_folder
from watari.errors import UserError
from watari.generate.templates import PRESETS
from watari.model.doctor import Report, examine

torch.set_num_threads(1)

DATA = os.environ.get("WATARI_TEST_DATA")
HEAD = "lm_head.weight"
ROWS = "model.embed_tokens.weight"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("sound"), rows=448)


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "model"))


def edit(path: Path, **settings: Any) -> None:
    state = json.loads(path.read_text("utf-8"))
    for key, value in settings.items():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    path.write_text(json.dumps(state), "utf-8")


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def turned(report: Report) -> dict[str, str]:
    """Return the checks that are not ok."""
    return {check.name: check.status for check in report.checks if check.status != "ok"}


def template(text: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "tokenizer_config.json", chat_template=text)


def weights(change: Callable[[dict[str, torch.Tensor]], None]) -> Callable[[Path], None]:
    return lambda folder: edit_weights(folder, change)


def config(**settings: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "config.json", **settings)


def generation(**settings: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "generation_config.json", **settings)


def words(**settings: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / "tokenizer_config.json", **settings)


def post_processor(*tokens: str) -> Callable[[Path], None]:
    ids = {"<s>": 1, "</s>": 2}

    def plant(folder: Path) -> None:
        single = [{"SpecialToken": {"id": token, "type_id": 0}} for token in tokens]
        processor = {
            "type": "TemplateProcessing",
            "single": [*single, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {t: {"id": t, "ids": [ids[t]], "tokens": [t]} for t in tokens},
        }
        edit(folder / "tokenizer.json", post_processor=processor)

    return plant


def no_byte_fallback(folder: Path) -> None:
    state = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    state["model"]["byte_fallback"] = False
    (folder / "tokenizer.json").write_text(json.dumps(state), "utf-8")


def half_of(state: dict[str, torch.Tensor]) -> None:
    for name in list(state)[:5]:
        state[name] = state[name].to(torch.bfloat16)


def all_of(state: dict[str, torch.Tensor]) -> None:
    for name in state:
        state[name] = state[name].to(torch.bfloat16)


def few_rows(folder: Path) -> None:
    def cut(state: dict[str, torch.Tensor]) -> None:
        state[ROWS], state[HEAD] = state[ROWS][:400].clone(), state[HEAD][:400].clone()

    edit_weights(folder, cut)
    edit(folder / "config.json", vocab_size=400)


def set_row(name: str, row: int, value: float) -> Callable[[Path], None]:
    return weights(lambda state: state[name][row].fill_(value))


SILENT_SYSTEM = TEMPLATE.replace("'### System: ' + m.content + '\n'", "''")
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + TEMPLATE
ONE_TURN = "{% if messages|length > 3 %}{{ raise_exception('no') }}{% endif %}" + TEMPLATE
NO_EOS = TEMPLATE.replace(" + eos_token", "")
BLANK_END = TEMPLATE.replace("'### Assistant:' }}", "'### Assistant: ' }}")
OTHER_HEADER = TEMPLATE.replace("'### Assistant:' }}", "'### Answer:' }}")
DEAF = TEMPLATE.replace("{% if add_generation_prompt %}{{ '### Assistant:' }}{% endif %}", "")
LATE_BOS = "{% if messages[0].role == 'system' %}" + TEMPLATE.replace(
    "{{ bos_token }}", "{{ bos_token }}{% endif %}", 1
)

FAULTS: dict[str, tuple[Callable[[Path], Any], dict[str, str]]] = {
    "double BOS in the template": (template("{{ bos_token }}" + TEMPLATE), {"template.bos": "fail"}),
    "no BOS in the template": (template(TEMPLATE.replace("{{ bos_token }}", "")), {"template.bos": "fail"}),
    "BOS only with a system prompt (Shisa)": (template(LATE_BOS), {"template.bos": "fail"}),
    "ignored add_generation_prompt": (template(DEAF), {"template.prompt": "fail"}),
    "another header when asked": (template(OTHER_HEADER), {"template.prefix": "fail"}),
    "a blank at the prompt's end": (template(BLANK_END), {"template.prefix": "fail"}),
    "no EOS after an answer": (template(NO_EOS), {"template.eos": "fail"}),
    "system prompt dropped": (template(SILENT_SYSTEM), {"template.system": "fail"}),
    "system prompt refused": (template(NO_SYSTEM), {"template.system": "warn"}),
    "several turns refused": (template(ONE_TURN), {"template.turns": "fail"}),
    "no template": (words(chat_template=None), {"template.present": "warn"}),
    "no BOS from the tokenizer": (post_processor(), {"tokenizer.bos": "fail"}),
    "two BOS from the tokenizer": (post_processor("<s>", "<s>"), {"tokenizer.bos": "fail"}),
    "pad is EOS": (words(pad_token="</s>"), {"tokenizer.pad": "warn"}),
    "config names another BOS": (config(bos_token_id=5), {"tokenizer.ids": "warn"}),
    "config names an id without a row": (config(eos_token_id=[2, 9999]), {"tokenizer.ids": "fail"}),
    "LlamaTokenizer drops the normaliser": (
        words(tokenizer_class="LlamaTokenizer"),
        {"tokenizer.class": "warn"},
    ),
    "no byte fallback": (no_byte_fallback, {"tokenizer.lossless": "warn"}),
    "too few rows": (few_rows, {"weights.rows": "fail"}),
    "config says another vocabulary": (config(vocab_size=440), {"weights.rows": "fail"}),
    "a NaN in a row": (set_row(ROWS, 7, float("nan")), {"weights.values": "fail"}),
    "infinity in the head": (set_row(HEAD, 7, float("inf")), {"weights.values": "fail"}),
    "an empty row": (set_row(ROWS, 300, 0.0), {"weights.values": "warn"}),
    "two equal rows": (weights(lambda s: s[HEAD][300].copy_(s[HEAD][301])), {"weights.values": "warn"}),
    "a config that transformers refuses": (
        config(num_attention_heads="four"),
        {"config.loads": "fail", "tokenizer.loads": "fail"},  # transformers reads it for the tokenizer too
    ),
    "an unknown architecture": (config(model_type="nothing"), {"config.loads": "fail"}),
    "tied by mistake": (config(tie_word_embeddings=True), {"weights.tied": "fail"}),
    "a head is missing": (weights(lambda s: s.pop(HEAD)), {"weights.tied": "fail"}),
    "untied but equal": (weights(lambda s: s[HEAD].copy_(s[ROWS])), {"weights.tied": "warn"}),
    "mixed types": (weights(half_of), {"weights.dtype": "warn"}),
    "config says another type": (weights(all_of), {"weights.dtype": "warn"}),
    "a pickle beside": (lambda f: (f / "pytorch_model.bin").write_bytes(b"x"), {"weights.files": "warn"}),
    "EOS missing from generation_config": (generation(eos_token_id=None), {"generation.eos": "fail"}),
    "another EOS in generation_config": (generation(eos_token_id=300), {"generation.eos": "fail"}),
    "an EOS without a row": (generation(eos_token_id=[2, 5000]), {"generation.eos": "fail"}),
    "no generation_config": (lambda f: (f / "generation_config.json").unlink(), {"generation.eos": "warn"}),
    "temperature without do_sample": (generation(temperature=0.7), {"generation.sampling": "warn"}),
    "do_sample at temperature 0": (
        generation(do_sample=True, temperature=0.0),
        {"generation.sampling": "fail"},
    ),
    "an impossible top_p": (generation(do_sample=True, top_p=1.5), {"generation.sampling": "fail"}),
    "a context shorter than promised": (words(model_max_length=4096), {"context": "warn"}),
}


def test_a_sound_model_passes(sound: Path) -> None:
    report = examine(sound)
    assert turned(report) == {}
    assert report.ok
    (rows,) = (check for check in report.checks if check.name == "weights.rows")
    assert "28 padding rows" in rows.found
    assert all(check.meaning and not check.mend for check in report.checks)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_turns_its_check_and_no_other(folder: Path, fault: str) -> None:
    plant, expected = FAULTS[fault]
    plant(folder)
    report = examine(folder)
    assert turned(report) == expected
    assert report.ok == ("fail" not in expected.values())
    assert all(check.mend for check in report.checks if check.status != "ok")


def test_a_tied_model_passes(tmp_path: Path) -> None:
    assert turned(examine(make_folder(tmp_path, tied=True))) == {}


def test_pickle_only_fails(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    report = examine(folder)
    assert turned(report)["weights.files"] == "fail"
    assert not report.ok


@pytest.mark.parametrize("preset", PRESETS)
def test_the_forms_of_both_seeds_pass(folder: Path, preset: str) -> None:
    """`[INST] q [/INST] a </s><s>[INST]`: BOS comes back after EOS, and no header follows the question."""
    edit(folder / "tokenizer_config.json", chat_template=PRESETS[preset])
    assert turned(examine(folder)) == {}


def test_the_json_form(sound: Path) -> None:
    body = json.loads(json.dumps(examine(sound, name="m").to_json()))
    assert body["model"] == "m"
    assert body["ok"] is True
    assert set(body["checks"][0]) == {"name", "status", "found", "meaning", "mend"}
    names = [check["name"] for check in body["checks"]]
    assert len(names) == len(set(names))


def test_a_broken_tokenizer_is_a_finding_not_a_crash(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{", "utf-8")
    assert turned(examine(folder)) == {"tokenizer.loads": "fail"}


@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_broken_json_is_told(folder: Path, name: str) -> None:
    (folder / name).write_text("{", "utf-8")
    with pytest.raises(UserError, match=name):
        examine(folder)


def test_a_cut_weight_file_is_told(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-100])
    with pytest.raises(UserError, match=r"model\.safetensors"):
        examine(folder)


def test_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        examine(tmp_path)


@pytest.mark.skipif(DATA is None, reason="needs WATARI_TEST_DATA")
def test_the_real_llama_tokenizer(folder: Path) -> None:
    """tokenizer.model beside a tokenizer.json made from it agrees; beside another one it does not."""
    from watari.pretrained.fast import write_fast_tokenizer
    from watari.pretrained.sentencepiece import read_spm

    source = Path(str(DATA)) / "tinystories-llama" / "tokenizer.model"
    ours = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    shutil.copyfile(source, folder / "tokenizer.model")
    assert turned(examine(folder)) == {"tokenizer.files": "fail"}
    write_fast_tokenizer(read_spm(source), folder)
    checks = {check.name: check.status for check in examine(folder).checks}
    assert checks["tokenizer.files"] == checks["tokenizer.class"] == checks["tokenizer.lossless"] == "ok"
    assert checks["weights.rows"] == "fail"
    assert ours
