"""llama2.c checkpoints: the real stories260K, and made-up ones against transformers."""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from watari.errors import UserError
from watari.generate.local import LocalModel
from watari.generate.sampler import GREEDY
from watari.model.doctor import examine
from watari.model.llama2c import convert, read_checkpoint, read_tokenizer

torch.set_num_threads(1)

DATA = os.environ.get("WATARI_TEST_DATA")
needs_data = pytest.mark.skipif(DATA is None, reason="needs WATARI_TEST_DATA")
STORIES = Path(DATA or ".") / "tinystories-llama"
FIRST = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a "
    "big, red ball. She wanted to play with it, but it was too high.\nLily's mom said,"
)


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stories") / "model"
    convert(STORIES / "stories260K.bin", STORIES / "tok512.bin", out)
    return out


@needs_data
def test_greedy_text_is_llama2cs(stories: Path) -> None:
    model = LocalModel(stories, device="cpu")
    (response,) = model.generate([""], GREEDY.with_settings(max_new_tokens=90))
    assert response.text.startswith(FIRST)
    assert response.prompt_tokens == 1


@needs_data
def test_ids_of_the_sample_sentence(stories: Path) -> None:
    tokenizer = LocalModel(stories, device="cpu").tokenizer
    expected = [1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426]
    assert tokenizer.encode("Once upon a time, there was a little girl named Lily.") == expected
    assert len(tokenizer) == 512


@needs_data
def test_perplexity_of_the_sample(stories: Path) -> None:
    text = (STORIES / "tinystories_valid_sample.txt").read_text("utf-8")
    text = text.translate(str.maketrans("“”‘’", "\"\"''"))
    model = LocalModel(stories, device="cpu")
    nats, tokens, characters = 0.0, 0, 0
    for story in (part.strip() for part in text.split("<|endoftext|>")):
        if not story:
            continue
        ids = torch.tensor([model.tokenizer.encode(story)])
        with torch.inference_mode():
            nats += float(model.model(ids, labels=ids).loss) * (ids.shape[1] - 1)
        tokens += ids.shape[1] - 1
        characters += len(story)
    assert tokens == 1802
    assert math.exp(nats / tokens) == pytest.approx(3.54, abs=0.005)
    assert nats / math.log(2) / characters == pytest.approx(0.886, abs=0.001)


@needs_data
def test_the_doctor_finds_it_sound(stories: Path) -> None:
    report = examine(stories)
    assert {check.name for check in report.checks if check.status != "ok"} == {"template.present"}
    assert not list(stories.glob("*.bin"))


@needs_data
def test_the_same_bytes_again(stories: Path, tmp_path: Path) -> None:
    convert(STORIES / "stories260K.bin", STORIES / "tok512.bin", tmp_path / "again")
    for path in stories.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def llama2c_ids(text: str, pieces: dict[str, int], scores: dict[str, float]) -> list[int]:
    """llama2.c's own way (run.c, encode): characters or bytes, then merge the best-scored pair, leftmost first."""
    tokens: list[int] = []
    for character in "▁" + text.replace(" ", "▁"):
        if character in pieces:
            tokens.append(pieces[character])
        else:
            tokens += [byte + 3 for byte in character.encode()]
    names = {index: piece for piece, index in pieces.items()}
    while True:
        best, place = -1e10, -1
        for at in range(len(tokens) - 1):
            joined = names[tokens[at]] + names[tokens[at + 1]]
            if joined in pieces and scores[joined] > best:
                best, place = scores[joined], at
        if place < 0:
            return tokens
        joined = names[tokens[place]] + names[tokens[place + 1]]
        tokens[place : place + 2] = [pieces[joined]]


@needs_data
@settings(max_examples=150, deadline=None)
@given(st.text("abcdehilnorstuwy Lily'.,\n猫é😀", max_size=60))
def test_the_tokenizer_is_llama2cs(stories: Path, text: str) -> None:
    from tokenizers import Tokenizer

    spm = read_tokenizer(STORIES / "tok512.bin", 512)
    scores = {piece.text: piece.score for piece in spm.pieces}
    expected = llama2c_ids(text, spm.ids(), scores) if text else []
    fast = Tokenizer.from_file(str(stories / "tokenizer.json"))
    assert fast.encode(text, add_special_tokens=False).ids == expected
    assert spm.processor().encode(text) == expected


def write_made_up(folder: Path, *, tied: bool, cut: int = 0) -> tuple[Path, Path]:
    """Write a checkpoint of random weights (2 layers, 4 heads, 2 key-value heads) and a tokenizer of 262 pieces."""
    dim, hidden, layers, heads, kv_heads, vocabulary, length = 16, 24, 2, 4, 2, 262, 32
    kv, half = dim // heads * kv_heads, dim // heads // 2
    sizes = [
        vocabulary * dim,
        layers * dim,
        layers * dim * dim,
        layers * kv * dim,
        layers * kv * dim,
        layers * dim * dim,
    ]
    sizes += [layers * dim, layers * hidden * dim, layers * dim * hidden, layers * hidden * dim, dim]
    sizes += [length * half, length * half] + ([] if tied else [vocabulary * dim])
    values = np.random.default_rng(0).normal(0, 0.3, sum(sizes)).astype("<f4")
    head = struct.pack(
        "<7i", dim, hidden, layers, heads, kv_heads, vocabulary if tied else -vocabulary, length
    )
    checkpoint, tokenizer = folder / "model.bin", folder / "tok.bin"
    data = head + values.tobytes()
    checkpoint.write_bytes(data[: len(data) - cut])
    pieces = ["<unk>", "\n<s>\n", "\n</s>\n", *(f"<0x{i:02X}>" for i in range(256)), " ", "a", " a"]
    body = b"".join(struct.pack("<fi", -float(i), len(p.encode())) + p.encode() for i, p in enumerate(pieces))
    tokenizer.write_bytes(struct.pack("<i", 6) + body)
    return checkpoint, tokenizer


def reference_logits(path: Path, tokens: list[int]) -> np.ndarray:
    """llama2.c's forward pass (run.c) in numpy, token by token, with its own rotation of neighbours."""
    read = read_checkpoint(path)
    shape, w = read.shape, {name: block.astype(np.float64) for name, block in read.blocks.items()}
    size, group = shape.head_size, shape.n_heads // shape.n_kv_heads

    def norm(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x * x).mean() + 1e-5) * weight

    def rotate(x: np.ndarray, position: int) -> np.ndarray:
        pairs = x.reshape(-1, size // 2, 2)
        angle = position / 10000.0 ** (np.arange(0, size, 2) / size)
        cos, sin = np.cos(angle), np.sin(angle)
        turned = [pairs[..., 0] * cos - pairs[..., 1] * sin, pairs[..., 0] * sin + pairs[..., 1] * cos]
        return np.stack(turned, axis=-1).reshape(-1, size)

    keys: list[list[np.ndarray]] = [[] for _ in range(shape.n_layers)]
    values: list[list[np.ndarray]] = [[] for _ in range(shape.n_layers)]
    x = np.zeros(shape.dim)
    for position, token in enumerate(tokens):
        x = w["token_embedding"][token]
        for layer in range(shape.n_layers):
            h = norm(x, w["rms_att"][layer])
            q = rotate(w["wq"][layer] @ h, position)
            keys[layer].append(rotate(w["wk"][layer] @ h, position))
            values[layer].append((w["wv"][layer] @ h).reshape(-1, size))
            out = []
            for head in range(shape.n_heads):
                scores = np.array([q[head] @ k[head // group] for k in keys[layer]]) / math.sqrt(size)
                share = np.exp(scores - scores.max())
                share /= share.sum()
                out.append(sum(s * v[head // group] for s, v in zip(share, values[layer], strict=True)))
            x = x + w["wo"][layer] @ np.concatenate(out)
            h = norm(x, w["rms_ffn"][layer])
            gate = w["w1"][layer] @ h
            x = x + w["w2"][layer] @ (gate / (1 + np.exp(-gate)) * (w["w3"][layer] @ h))
    return w["token_embedding" if shape.tied else "wcls"] @ norm(x, w["rms_final"])


@pytest.mark.parametrize("tied", [True, False])
def test_logits_are_llama2cs(tmp_path: Path, tied: bool) -> None:
    checkpoint, tokenizer = write_made_up(tmp_path, tied=tied)
    convert(checkpoint, tokenizer, tmp_path / "out")
    model = LocalModel(tmp_path / "out", device="cpu")
    assert model.model.config.tie_word_embeddings is tied
    tokens = [1, 260, 261, 50, 7]
    with torch.inference_mode():
        found = model.model(torch.tensor([tokens])).logits[0, -1].numpy()
    np.testing.assert_allclose(found, reference_logits(checkpoint, tokens), atol=2e-4)
    assert {check.name for check in examine(tmp_path / "out").checks if check.status == "fail"} == set()


def test_wrong_files_are_told(tmp_path: Path) -> None:
    checkpoint, tokenizer = write_made_up(tmp_path, tied=True, cut=4)
    with pytest.raises(UserError, match=r"model\.bin: not a whole llama2\.c checkpoint: its head asks for"):
        convert(checkpoint, tokenizer, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    new = tmp_path / "v1.bin"
    new.write_bytes(struct.pack("<Ii", 0x616B3432, 1) + bytes(300))
    with pytest.raises(UserError, match="version 1 or 2"):
        read_checkpoint(new)
    new.write_bytes(bytes(400))
    with pytest.raises(UserError, match="impossible sizes"):
        read_checkpoint(new)
    new.write_bytes(b"abc")
    with pytest.raises(UserError, match="too few"):
        read_checkpoint(new)
    with pytest.raises(UserError, match="No such file"):
        read_checkpoint(tmp_path / "none.bin")


def test_another_tokenizer_is_told(tmp_path: Path) -> None:
    _, tokenizer = write_made_up(tmp_path, tied=True)
    with pytest.raises(UserError, match="of 300 pieces: it breaks off or is broken at piece 262"):
        read_tokenizer(tokenizer, 300)
    with pytest.raises(UserError, match="bytes are left"):
        read_tokenizer(tokenizer, 261)


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    checkpoint, tokenizer = write_made_up(tmp_path, tied=True)
    with pytest.raises(UserError, match="is there already"):
        convert(checkpoint, tokenizer, tmp_path)
