"""Grafting without loading the model: shards, names, ties, padding, hidden states layer by layer, peak memory."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import watari
from tiny_llama import make_model, make_tokenizer
from watari.artifact.stage import Silent
from watari.errors import UserError
from watari.model.graft_model import graft_model
from watari.model.states import states_of
from watari.model.stream import Growth, TensorFiles, read_header, write_grown
from watari.model.stream_forward import hidden_states
from watari.model.stream_tables import find_tables, skeleton
from watari.pretrained import load_model, load_tokenizer
from watari.pretrained.graft import Graft, write_graft
from watari.pretrained.sentencepiece import vocabulary_digest
from watari.tokenizer.texts import Text

torch.set_num_threads(1)
VOCABULARY = 420
PIECES = ["むか", "むかし", "いボ", "ところ"]
TEXT = [
    Text("1", "むかしむかし、あるところに女の子がいました。赤いボールで遊んでいました。" * 4, "ja"),
    Text("2", "Once upon a time there was a little girl who lived in a small town by the sea. " * 4, "en"),
]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A base's tokenizer, and the same with four pieces more."""
    root = tmp_path_factory.mktemp("tokenizers")
    make_tokenizer(root / "base", vocabulary=VOCABULARY)
    shutil.copytree(root / "base", root / "extended")
    path = root / "extended" / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    known = content["model"]["vocab"]
    for number, piece in enumerate(PIECES):
        known[piece] = VOCABULARY + number
        content["model"]["merges"] += [
            [piece[:at], piece[at:]]
            for at in range(1, len(piece))
            if piece[:at] in known and piece[at:] in known
        ]
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    base = load_tokenizer(root / "base")
    graft = Graft(
        language="ja",
        base_digest=vocabulary_digest(base.convert_ids_to_tokens(list(range(VOCABULARY)))),
        base_vocabulary=VOCABULARY,
        pieces=PIECES,
        ranks=list(range(len(PIECES))),
        parents=[[token.id for token in base.backend_tokenizer.model.tokenize(piece)] for piece in PIECES],
        frequency=[1, 8, 4, 4],
        first_frequency=[9, 9, 30, 5],
    )
    write_graft(graft, root / "extended")
    return root / "base", root / "extended"


def make_base(folder: Path, tokenizer: Path, model: Any = None, shard: str = "40KB", **settings: Any) -> Path:
    """Write a base in many shards; a tiny Llama unless a model is given."""
    if model is None:
        make_model(folder, rows=VOCABULARY, **settings)
        model = load_model(folder, dtype="auto")
        for file in folder.glob("*.safetensors"):
            file.unlink()
    model.save_pretrained(str(folder), max_shard_size=shard)
    shutil.copytree(tokenizer, folder, dirs_exist_ok=True)
    return folder


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    files = TensorFiles(folder)
    return {name: files.read(name) for name in files.entries}


@pytest.mark.parametrize("shard", ["40KB", "5GB"])
def test_untouched_tensors_keep_their_bytes_and_untouched_files_are_the_same_file(
    tokenizers: tuple[Path, Path], tmp_path: Path, shard: str
) -> None:
    base, out = make_base(tmp_path / "base", tokenizers[0], shard=shard), tmp_path / "out"
    graft_model(base, tokenizers[1], out, init="subword-mean")
    before, after = tensors(base), tensors(out)
    assert list(before) == list(after)
    grown = {"model.embed_tokens.weight", "lm_head.weight"}
    for name, tensor in after.items():
        assert tensor.dtype is before[name].dtype
        assert torch.equal(tensor[:VOCABULARY] if name in grown else tensor, before[name])
    for file in TensorFiles(base).files:
        entries, metadata = read_header(file)
        copied, kept = read_header(out / file.name)
        assert list(copied) == list(entries)
        assert kept == metadata == {"format": "pt"}
        if not grown & entries.keys():
            assert (out / file.name).samefile(file)
        else:
            assert not (out / file.name).samefile(file)
            (length,) = struct.unpack("<Q", (out / file.name).read_bytes()[:8])
            assert length % 8 == 0
    index = out / "model.safetensors.index.json"
    assert index.is_file() == (shard == "40KB")
    if index.is_file():
        told = json.loads(index.read_text("utf-8"))
        old = json.loads((base / index.name).read_text("utf-8"))
        assert told["weight_map"] == old["weight_map"]
        more = 2 * len(PIECES) * 32
        assert told["metadata"]["total_size"] == old["metadata"]["total_size"] + 4 * more
        assert told["metadata"]["total_parameters"] == old["metadata"]["total_parameters"] + more
    config = json.loads((out / "config.json").read_text("utf-8"))
    old = json.loads((base / "config.json").read_text("utf-8"))
    assert config == old | {"vocab_size": VOCABULARY + len(PIECES)}
    assert list(config) == list(old)


def cut(values: Any) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_file_is_rewritten_as_safetensors_writes_it(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever order, types and shapes a file has: the grown tables are the old rows and the new, the rest is as it was."""
    from safetensors.torch import load_file, save_file

    dtypes = st.sampled_from(
        [torch.float32, torch.float16, torch.bfloat16, torch.int8, torch.float64, torch.bool]
    )
    names = data.draw(
        st.lists(st.text('abé"\\本', min_size=1, max_size=4), min_size=1, max_size=6, unique=True)
    )
    given_tensors = {
        name: (torch.rand(data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))) * 9).to(
            data.draw(dtypes)
        )
        for name in names
    }
    source, out = tmp_path / "model.safetensors", tmp_path / "out"
    source.unlink(missing_ok=True)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    save_file(given_tensors, source, metadata=data.draw(st.sampled_from([None, {"format": "pt"}])))
    floats = [name for name in names if given_tensors[name].is_floating_point()]
    growth = {}
    for name in data.draw(st.lists(st.sampled_from(floats), unique=True)) if floats else []:
        tensor = given_tensors[name]
        rows = torch.rand(data.draw(st.integers(1, 4)), *tensor.shape[1:]).to(tensor.dtype)
        growth[name] = Growth(data.draw(st.integers(0, len(tensor))), rows)
    write_grown(TensorFiles(tmp_path), out, growth)
    found = load_file(out / source.name)
    assert found.keys() == given_tensors.keys()
    for name, tensor in given_tensors.items():
        wanted = torch.cat([tensor[: growth[name].keep], growth[name].rows]) if name in growth else tensor
        assert found[name].dtype is wanted.dtype
        assert torch.equal(found[name], wanted)


def other_models() -> dict[str, Any]:
    """Models that keep their tables under other names, tie them, give the head a bias, or scale the logits."""
    from transformers import (
        CohereConfig,
        CohereForCausalLM,
        GemmaConfig,
        GemmaForCausalLM,
        GPT2Config,
        GPT2LMHeadModel,
        GPTNeoXConfig,
        GPTNeoXForCausalLM,
        GraniteConfig,
        GraniteForCausalLM,
        MixtralConfig,
        MixtralForCausalLM,
        OPTConfig,
        OPTForCausalLM,
        PhiConfig,
        PhiForCausalLM,
    )

    llama = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    gpt = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 256}
    plain = {name: llama[name] for name in list(llama)[:5]}
    opt = {"vocab_size": VOCABULARY, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 3}
    torch.manual_seed(0)
    return {
        "gpt2": GPT2LMHeadModel(GPT2Config(**gpt)),
        "neox": GPTNeoXForCausalLM(GPTNeoXConfig(**plain)),
        "opt": OPTForCausalLM(OPTConfig(**opt, num_attention_heads=4, word_embed_proj_dim=32)),
        "phi": PhiForCausalLM(PhiConfig(**llama)),
        "gemma": GemmaForCausalLM(GemmaConfig(**llama, head_dim=8)),
        "cohere": CohereForCausalLM(CohereConfig(**llama, logit_scale=0.25)),
        "granite": GraniteForCausalLM(GraniteConfig(**llama, logits_scaling=4.0)),
        "mixtral": MixtralForCausalLM(MixtralConfig(**llama, num_local_experts=2)),
    }


@pytest.fixture(scope="module")
def bases(tokenizers: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bases")
    found = {name: make_base(root / name, tokenizers[0], model) for name, model in other_models().items()}
    return found | {"llama": make_base(root / "llama", tokenizers[0])}


NAMES = ("llama", "gpt2", "neox", "opt", "phi", "gemma", "cohere", "granite", "mixtral")


@pytest.mark.parametrize("name", NAMES)
def test_every_family_is_grafted_and_gives_the_bases_logits(
    bases: dict[str, Path], tokenizers: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    metrics = graft_model(bases[name], tokenizers[1], tmp_path, text=TEXT, states=100)
    model, base = load_model(tmp_path), load_model(bases[name])
    assert model.config.get_text_config().vocab_size == VOCABULARY + len(PIECES)
    assert model.num_parameters() == metrics["parameters"]
    assert base.num_parameters() == metrics["parameters_before"]
    old, new = load_tokenizer(bases[name]), load_tokenizer(tmp_path)
    english = old("Once upon a time\n", return_tensors="pt")["input_ids"]
    assert torch.equal(english, new("Once upon a time\n", return_tensors="pt")["input_ids"])
    ids = new("むかしむかし", return_tensors="pt")["input_ids"]
    assert int(ids.max()) >= VOCABULARY
    with torch.no_grad():
        assert torch.equal(base(english).logits, model(english).logits[..., :VOCABULARY])
        assert torch.isfinite(model(ids).logits).all()
    assert metrics["tied"] == (name in ("gpt2", "opt", "gemma", "cohere"))


@pytest.mark.parametrize("name", NAMES)
def test_states_layer_by_layer_are_those_of_the_whole_model(bases: dict[str, Path], name: str) -> None:
    windows = [list(range(5, 60)), [1, 7, 7, 300], [419]]
    streamed = hidden_states(bases[name], windows, progress=Silent())
    assert streamed.shape == (60, 32)
    assert torch.equal(streamed, hidden_states(bases[name], windows, progress=Silent(), whole=True))
    # Against the ordinary forward, sequence by sequence: other shapes, so the last bits may differ.
    model = load_model(bases[name], attention="eager")
    head = model.get_output_embeddings()
    with torch.no_grad():
        logits = torch.cat([model(torch.tensor([window])).logits[0] for window in windows])
    ours = streamed @ head.weight.T + (0 if head.bias is None else head.bias * 1.0)
    assert torch.allclose(ours, logits, atol=2e-5, rtol=1e-4)


def test_only_one_layer_is_there_at_a_time(bases: dict[str, Path]) -> None:
    from watari.model.stream_forward import _streamed

    model = skeleton(bases["llama"])
    body = _streamed(model, TensorFiles(bases["llama"]), Silent())
    assert body is not None
    seen = []

    def look(module: Any, arguments: Any) -> None:
        seen.append(sum(parameter.numel() for parameter in body.parameters() if not parameter.is_meta))

    for layer in body.layers:
        layer.register_forward_pre_hook(look)
    body(input_ids=torch.tensor([[1, 2, 3]]))
    assert seen == [sum(parameter.numel() for parameter in layer.parameters()) for layer in body.layers]
    assert all(parameter.is_meta for parameter in body.parameters())


def test_padding_rows_are_never_sampled(
    bases: dict[str, Path], tokenizers: tuple[Path, Path], tmp_path: Path
) -> None:
    for name, text in (("llama", TEXT), ("neox", None), ("gemma", TEXT), ("phi", None)):
        out = tmp_path / name
        metrics = graft_model(
            bases[name], tokenizers[1], out, init="subword-mean", text=text, states=200, align=64
        )
        assert metrics["rows"] == 448
        assert metrics["vocabulary"] == 424
        assert name == "phi" or metrics["padding_rows"] == 24
        model = load_model(out)
        assert model.config.vocab_size == 448
        assert model.num_parameters() == metrics["parameters"]
        with torch.no_grad():
            logits = model(
                load_tokenizer(out)(TEXT[0].text + TEXT[1].text, return_tensors="pt")["input_ids"]
            ).logits
        share = torch.log_softmax(logits[0], 1)[:, 424:].max().exp()
        uniform = 1 / 448
        if name == "phi" or metrics["never_sampled"]["how"] == "bias direction":
            assert float(share) < 1e-15
        else:
            # A model that was never trained has no token that it learned never to say.
            assert float(share) < 2 * uniform
        if not metrics["tied"]:
            assert model.get_input_embeddings().weight[424:].abs().max() == 0


def test_a_tied_matrix_that_stands_twice_grows_twice(tokenizers: tuple[Path, Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    base = make_base(tmp_path / "base", tokenizers[0], tied=True, shard="5GB")
    weights = load_file(base / "model.safetensors")
    assert "lm_head.weight" not in weights
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    metrics = graft_model(base, tokenizers[1], tmp_path / "out", init="subword-mean")
    grown = tensors(tmp_path / "out")
    assert torch.equal(grown["lm_head.weight"], grown["model.embed_tokens.weight"])
    assert len(grown["lm_head.weight"]) == 424
    assert metrics["tied"]
    assert load_model(tmp_path / "out").num_parameters() == metrics["parameters"]
    weights["lm_head.weight"][3] += 1
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        UserError, match=r"does not go with model.embed_tokens.weight .* although config.json ties"
    ):
        graft_model(base, tokenizers[1], tmp_path / "b", init="subword-mean")


def test_broken_folders_are_told_in_words(tokenizers: tuple[Path, Path], tmp_path: Path) -> None:
    base = make_base(tmp_path / "base", tokenizers[0])
    files = TensorFiles(base)
    headed = files.entries["lm_head.weight"].file
    whole = headed.read_bytes()
    headed.write_bytes(whole[:-5])
    with pytest.raises(UserError, match="bytes where its header says"):
        graft_model(base, tokenizers[1], tmp_path / "a")
    headed.unlink()
    with pytest.raises(UserError, match=r"is missing, which model\.safetensors.index.json names"):
        graft_model(base, tokenizers[1], tmp_path / "a")
    headed.write_bytes(whole)
    config = json.loads((base / "config.json").read_text("utf-8"))
    (base / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}), "utf-8")
    with pytest.raises(UserError, match=r"although config\.json ties them"):
        graft_model(base, tokenizers[1], tmp_path / "a")
    (base / "config.json").write_text(json.dumps(config | {"model_type": "nothing"}), "utf-8")
    with pytest.raises(UserError, match="transformers makes no causal language model of it"):
        graft_model(base, tokenizers[1], tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_states_carry_their_windows_and_targets(bases: dict[str, Path]) -> None:
    states = states_of(bases["llama"], [[5, 6, 7]], [[8, 9]], progress=Silent())
    assert states.new.tolist() == [True] * 3 + [False] * 2
    assert states.window.tolist() == [0, 0, 0, 1, 1]
    assert states.target.tolist() == [6, 7, -1, 9, -1]


def test_tables_are_found_by_the_models_own_accessors(bases: dict[str, Path]) -> None:
    found = {name: find_tables(skeleton(path), TensorFiles(path), name) for name, path in bases.items()}
    assert (found["neox"].input, found["neox"].output) == ("gpt_neox.embed_in.weight", "embed_out.weight")
    assert (found["gpt2"].input, found["gpt2"].output) == ("transformer.wte.weight", None)
    assert found["phi"].bias == "lm_head.bias"
    assert found["llama"].spread == 0.3


MEASURED = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from watari.model.graft_model import graft_model
from watari.model.stream_tables import skeleton
from watari.peak import peak_memory
base, tokenizer, out = map(Path, sys.argv[1:])
skeleton(base)  # what every import needs is not the graft's
before = peak_memory()
graft_model(base, tokenizer, out, init="subword-mean")
print(before, peak_memory())
"""


@pytest.mark.slow
def test_peak_memory_is_the_largest_tensor_and_the_new_rows(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """8.7 GB in 6 shards, +11,008 rows: at no time more than one table, its new rows in float32 and in its type."""
    width, layers, rows, added = 4096, 20, 32_000, 11_008
    base, tokenizer = tmp_path / "base", tmp_path / "tokenizer"
    request.addfinalizer(lambda: shutil.rmtree(tmp_path))
    size = write_fake(base, width=width, layers=layers, rows=rows)
    assert size >= 8e9
    write_fake_tokenizer(base, tokenizer, rows=rows, added=added)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(base), str(tokenizer), str(tmp_path / "out")],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(Path(watari.__file__).parents[1])},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    start, peak = map(int, done.stdout.split())
    largest = rows * width * 2
    # In bfloat16 both tables' new rows, in float32 those of the table in the making.
    new = added * width * (2 + 2 + 4)
    allowance = 128 << 20
    print(
        f"{size / 1e9:.1f} GB; start {start / 1e6:.0f} MB, peak {peak / 1e6:.0f} MB, bound {(start + largest + new + allowance) / 1e6:.0f} MB"
    )
    assert peak < start + largest + new + allowance
    files, grown = TensorFiles(base), TensorFiles(tmp_path / "out")
    assert grown.entries["lm_head.weight"].shape == (rows + added, width)
    picked = [0, 1, 17_777, rows - 1]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert torch.equal(files.rows(name, picked), grown.rows(name, picked))
        expected = files.rows(name, [260, 261]).float().mean(0).bfloat16()
        assert torch.equal(grown.rows(name, [rows])[0], expected)
    assert sum(file.samefile(tmp_path / "out" / file.name) for file in files.files) == len(files.files) - 2


def write_fake(folder: Path, *, width: int, layers: int, rows: int) -> int:
    """Write a bfloat16 Llama in shards; its data is one drawn block over and over, or holes. Returns its bytes."""
    import numpy as np
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=rows,
        hidden_size=width,
        intermediate_size=width * 11 // 4,
        num_hidden_layers=layers,
        num_attention_heads=32,
        num_key_value_heads=32,
        dtype="bfloat16",
    )
    config.architectures = ["LlamaForCausalLM"]
    folder.mkdir()
    config.save_pretrained(folder)
    with torch.device("meta"):
        shapes = {name: list(tensor.shape) for name, tensor in LlamaForCausalLM(config).state_dict().items()}
    # Embedding and head share their shards with layers, as in real models; the shards between are only linked, and
    # take no room on the disk.
    first, last = "model.embed_tokens.weight", "lm_head.weight"
    layered = sorted(shapes.keys() - {first, last})
    fifth = len(layered) // 5
    shards = [layered[start : start + fifth] for start in range(0, len(layered), fifth)]
    shards[0], shards[-1] = [first, *shards[0]], [*shards[-1], last]
    drawn = np.random.default_rng(0).standard_normal(4 << 20).astype(np.float32)
    block = torch.from_numpy(drawn).bfloat16().view(torch.uint8).numpy()
    total, where = 0, {}
    for number, names in enumerate(shards):
        file = f"model-{number + 1:05}-of-{len(shards):05}.safetensors"
        header, offset = {}, 0
        for name in names:
            size = 2 * int(np.prod(shapes[name]))
            header[name] = {"dtype": "BF16", "shape": shapes[name], "data_offsets": [offset, offset + size]}
            offset += size
            where[name] = file
        text = json.dumps(header).encode()
        with (folder / file).open("wb") as handle:
            handle.write(struct.pack("<Q", len(text)) + text)
            if number in (0, len(shards) - 1):
                for start in range(0, offset, len(block)):
                    handle.write(block[: min(len(block), offset - start)].data)
            else:
                handle.truncate(8 + len(text) + offset)
        total += offset
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return total


def write_fake_tokenizer(base: Path, extended: Path, *, rows: int, added: int) -> None:
    """Write a vocabulary of `rows` entries for the base, and one of `added` more with its graft.json."""
    from tokenizers import Tokenizer, models

    entries = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    entries += [f"e{number}" for number in range(rows - len(entries))]
    pieces = [f"p{number}" for number in range(added)]
    for folder, words in ((base, entries), (extended, entries + pieces)):
        folder.mkdir(exist_ok=True)
        vocabulary = {word: index for index, word in enumerate(words)}
        Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>")).save(str(folder / "tokenizer.json"))
        settings = {"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "<unk>"}
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    parents = [[260 + number % 31_000, 261 + number % 31_000] for number in range(added)]
    graft = Graft(
        language="ja",
        base_digest=vocabulary_digest(entries),
        base_vocabulary=rows,
        pieces=pieces,
        ranks=list(range(added)),
        parents=parents,
        frequency=[1] * added,
        first_frequency=[2] * added,
    )
    write_graft(graft, extended)
