"""Windows that were packed by tokens.pack, read by pre-training: nothing across them, padding out of the loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from made_artifacts import as_input, documents
from tiny_llama import make_model, make_tokenizer
from watari.artifact.kinds import Kind
from watari.artifact.params import Selection
from watari.artifact.stage import InputArtifact, Inputs, Silent
from watari.corpus import pack
from watari.errors import UserError
from watari.train import pretrain
from watari.train.batches import lay_out
from watari.train.windows import Source, mix, quotas

SEQUENCE = 32


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> InputArtifact:
    """Documents of two languages in windows of `SEQUENCE` tokens; some are cut."""
    root = tmp_path_factory.mktemp("shard")
    make_tokenizer(root / "tok")
    lengths = np.random.default_rng(1).integers(1, 20, 40).tolist()
    texts = [(("en", "ja")[n % 2], ("a red ball " * n).strip()) for n in lengths]
    docs = documents("docs", root / "docs", texts)
    params = pack.Params(documents=["docs"], tokenizer="tok", packing="best-fit", sequence=SEQUENCE)
    inputs = Inputs({"documents": [docs], "tokenizer": [as_input("tok", root / "tok", Kind.TOKENIZER)]})
    (root / "o").mkdir()
    pack.run(params, inputs, root / "o", Silent())
    return as_input("shard", root / "o", Kind.TOKENS)


def source_of(shard: InputArtifact, sequence: int = SEQUENCE, **selection: Any) -> Source:
    edge = Selection.model_validate({"from": shard.name, **selection})
    artifact = InputArtifact(shard.name, shard.path, shard.manifest, edge)
    return Source(artifact, sequence, seed=0, stage="s")


def test_windows_are_those_of_the_shard(shard: InputArtifact) -> None:
    source = source_of(shard)
    bounds = source.reader.windows()
    assert bounds is not None
    assert source.windows == len(bounds) - 1
    seen = 0
    for window in range(source.windows):
        members = [source.reader.document(n).tolist() for n in range(bounds[window], bounds[window + 1])]
        apart = source.read(window, respect_documents=True)
        assert [sample.ids.tolist() for sample in apart] == members
        (together,) = source.read(window, respect_documents=False)
        assert together.ids.tolist() == [token for member in members for token in member]
        assert len(together) <= SEQUENCE
        assert together.supervised == source.predicted(np.array([window]))
        seen += len(together)
    assert seen == len(source.reader.tokens)
    assert source.tokens - 1 == seen - source.windows == source.predicted(np.arange(source.windows))


def test_padding_and_other_documents_are_out_of_the_loss(shard: InputArtifact) -> None:
    source = source_of(shard)
    windows = [source.read(n, respect_documents=True) for n in range(source.windows)]
    rows = [max(windows, key=len), min(windows, key=lambda row: sum(map(len, row)))]
    assert len(rows[0]) > 1
    assert sum(map(len, rows[0])) > sum(map(len, rows[1]))
    batch = lay_out(rows)
    assert batch.positions is not None
    width = batch.ids.shape[1]
    assert len(batch.targets) == sum(len(sample) - 1 for row in rows for sample in row)
    for number, row in enumerate(rows):
        column = 0
        own = batch.where[(batch.where // width) == number] % width
        allowed = []
        for sample in row:
            allowed += range(column, column + len(sample) - 1)
            # Positions restart, so that attention stays within the document.
            taken = min(len(sample), width - column)
            assert batch.positions[number, column : column + taken].tolist() == list(range(taken))
            column += len(sample)
        assert sorted(own.tolist()) == allowed


def test_a_padded_batch_has_the_loss_of_its_documents(shard: InputArtifact, tmp_path: Path) -> None:
    make_model(tmp_path / "m")
    from watari.pretrained import load_model

    model = load_model(tmp_path / "m")
    source = source_of(shard)
    rows = [source.read(n, respect_documents=True) for n in (0, source.windows - 1)]
    batch = lay_out(rows)
    with torch.no_grad():
        logits = model(input_ids=batch.ids, position_ids=batch.positions, use_cache=False).logits
        found = logits.reshape(-1, logits.shape[-1])[batch.where]
        loss = torch.nn.functional.cross_entropy(found, batch.targets, reduction="sum")
        alone = torch.zeros(())
        for sample in (sample for row in rows for sample in row if len(sample) > 1):
            ids = torch.from_numpy(sample.ids.astype(np.int64))[None]
            scores = model(input_ids=ids, use_cache=False).logits[0, :-1]
            alone += torch.nn.functional.cross_entropy(scores, ids[0, 1:], reduction="sum")
    assert torch.allclose(loss, alone, rtol=1e-4)


def test_a_selection_leaves_windows_of_what_it_takes(shard: InputArtifact) -> None:
    source = source_of(shard, where={"language": "ja"})
    rows = source.reader.documents()
    wanted = [source.reader.document(n).tolist() for n, row in enumerate(rows) if row["language"] == "ja"]
    found = [
        sample.ids.tolist()
        for window in range(source.windows)
        for sample in source.read(window, respect_documents=True)
    ]
    assert found == wanted
    assert 0 < source.windows <= source_of(shard).windows
    few = source_of(shard, limit=3)
    assert sum(len(few.read(n, respect_documents=True)) for n in range(few.windows)) == 3


def test_a_mixture_counts_what_is_predicted(shard: InputArtifact) -> None:
    source = source_of(shard)
    counts = quotas([source], SEQUENCE, tokens=None, epochs=2)
    assert counts == [2 * source.windows]
    mixture = mix([source], counts, seed=0, stage="s")
    assert mixture.tokens == (2 * (source.tokens - 1),)
    assert sorted(mixture.window[: source.windows].tolist()) == list(range(source.windows))


def test_another_length_is_refused(shard: InputArtifact) -> None:
    with pytest.raises(UserError, match="packed into windows of 32 tokens, training takes 64"):
        source_of(shard, sequence=64)


@pytest.mark.parametrize("respect", [True, False])
def test_a_stage_trains_on_it(
    shard: InputArtifact, tiny: InputArtifact, tmp_path: Path, respect: bool
) -> None:
    params = pretrain.Params(
        model="base",
        data=["shard"],
        epochs=1,
        sequence=SEQUENCE,
        batch=8,
        lr=1e-3,
        respect_documents=respect,
        device="cpu",
    )
    out = tmp_path / "o"
    out.mkdir()
    metrics = pretrain.run(params, Inputs({"model": [tiny], "data": [shard]}), out, Silent()).metrics
    source = source_of(shard)
    assert metrics["source_epochs"] == [1.0]
    assert metrics["source_tokens"] == [source.tokens - 1]
    assert metrics["steps"] == -(-source.windows // 8)
