"""Grafting as a library function: a model folder, the extended form of its tokenizer, and the rows between them."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact import atomic
from watari.artifact.stage import Progress, Silent, stop_if_asked
from watari.errors import UserError
from watari.model.rows import ALIASES, INITS, METHODS, Aids, Init
from watari.model.states import Document

if TYPE_CHECKING:
    from torch import Tensor

    from watari.model.states import States
    from watari.model.stream import Growth, TensorFiles
    from watari.model.stream_tables import Tables
    from watari.pretrained.graft import Graft

_STAGE = "model.graft"
"""The name that draws are keyed by."""
_EFFECT_STATES = 2048
"""States of other languages that the change of loss is measured on."""


def graft_model(
    model: Path,
    tokenizer: Path,
    out: Path,
    *,
    init: str | None = None,
    text: Iterable[Document] | None = None,
    states: int = 10_000,
    characters: int = 4_000_000,
    align: int = 1,
    seed: int = 0,
    progress: Progress | None = None,
    names: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Write `model` with the rows that `tokenizer` adds. The base's rows, and every other weight, keep their bits.

    Rows of the base beyond its tokenizer (padding) give way to new pieces. The same inputs give the same bytes.

    Args:
        model: The base's folder; safetensors.
        tokenizer: A folder with `graft.json`: an extension of the base's tokenizer.
        out: The folder to write. config.json is written last: without it the folder is not a model.
        init: One of `INITS`, or "mean"; None: count-bias with text on an untied head, else subword-mean.
        text: Documents in both languages, for the inits that need them; it may be read twice.
        states: Hidden states that the bias direction is fitted to.
        characters: Of the text, for co-occurrence statistics.
        align: Rows are made a multiple of this.
        seed: Of every draw.
        progress: Told of what is done.
        names: How messages call model and tokenizer; default: their paths.

    Returns:
        Figures for a manifest: JSON data.

    Raises:
        UserError: if the tokenizer does not extend this base's, or the init does not fit the model or lacks its text.
    """
    from watari.model.stream import TensorFiles, write_grown
    from watari.model.stream_tables import find_tables, skeleton
    from watari.pretrained import check_model_folder, copy_tokenizer
    from watari.pretrained.graft import read_graft

    progress = progress or Silent()
    called, tokenizer_called = names or (str(model), str(tokenizer))
    graft = read_graft(tokenizer)
    check_model_folder(model)
    _check_same_base(graft, model, called, tokenizer_called)
    files = TensorFiles(model)
    tables = find_tables(skeleton(model), files, called)
    if tables.rows < graft.base_vocabulary:
        raise UserError(
            f"base: {called} has {tables.rows:,} embedding rows for a tokenizer of {graft.base_vocabulary:,}",
            "its config and its tokenizer do not belong together: `watari doctor` says more",
        )
    chosen = _choose_init(init, tables, text is not None)
    work = _Work(
        model, tokenizer, graft, files, tables, chosen, text, states, characters, align, seed, progress
    )
    growth = work.growth()
    stop_if_asked(progress)
    progress.update(len(graft.pieces), len(graft.pieces), unit="rows", note=chosen)
    out.mkdir(parents=True, exist_ok=True)
    write_grown(files, out, growth)
    copy_tokenizer(tokenizer, out)
    if (model / "generation_config.json").is_file():
        shutil.copyfile(model / "generation_config.json", out / "generation_config.json")
    rows = graft.vocabulary + work.padding
    _write_config(model, out, rows)
    before = sum(math.prod(entry.shape) for name, entry in files.entries.items() if name not in tables.copies)
    per_row = tables.width * (1 if tables.output is None else 2) + (tables.bias is not None)
    return work.metrics | {
        "init": chosen,
        "rows_added": len(graft.pieces),
        "padding_rows_replaced": min(tables.rows, rows) - graft.base_vocabulary,
        "tied": tables.output is None,
        "vocabulary_before": graft.base_vocabulary,
        "vocabulary": graft.vocabulary,
        "rows": rows,
        "parameters_before": before,
        "parameters": before + (rows - tables.rows) * per_row,
    }


@dataclass
class _Work:
    """The rows of one graft in the making."""

    model: Path
    tokenizer: Path
    graft: Graft
    files: TensorFiles
    tables: Tables
    init: Init
    text: Iterable[Document] | None
    count: int
    characters: int
    align: int
    seed: int
    progress: Progress

    def __post_init__(self) -> None:
        self.metrics: dict[str, Any] = {}
        self.padding = -self.graft.vocabulary % self.align

    def growth(self) -> dict[str, Growth]:
        """Return the new rows of every table, by its name, each in the table's type."""
        from watari.model.rows import make_rows
        from watari.model.stream import Growth

        keep, tables = self.graft.base_vocabulary, self.tables
        aids = self._aids()
        states = self._states(aids)
        if tables.output is None:
            rows = self._output(tables.input, "tied", aids, states)
            return {name: Growth(keep, rows) for name in (tables.input, *tables.copies)} | self._bias(aids)
        table = self.files.read(tables.input)
        rows = make_rows(self.init, "input", table, aids)
        rows = self._fitting(_with(rows, rows.new_zeros(self.padding, tables.width)), table)
        del table
        found = {tables.input: Growth(keep, rows)}
        found[tables.output] = Growth(keep, self._output(tables.output, "output", aids, states))
        return found | self._bias(aids)

    def _aids(self) -> Aids:
        from watari.model.rows import focus, matching_pursuit, token_vectors
        from watari.pretrained import load_tokenizer

        base = load_tokenizer(self.model)
        tokens = [str(token) for token in base.convert_ids_to_tokens(list(range(self.graft.base_vocabulary)))]
        aids = Aids(
            self.graft,
            tokens,
            head_bias=self.tables.bias is not None,
            spread=self.tables.spread,
            seed=self.seed,
        )
        if not METHODS[self.init].vectors or self.text is None:
            return aids
        from watari.model.states import sample_ids

        documents = sample_ids(
            load_tokenizer(self.tokenizer), self.text, self.characters, seed=self.seed, stage=_STAGE
        )
        vectors = token_vectors(documents, seed=self.seed)
        similar, having = (focus if self.init == "focus" else matching_pursuit)(self.graft, vectors)
        self.metrics["similarity"] = {
            "tokens": sum(map(len, documents)),
            "with_vector": having,
            "parents_mean": len(self.graft.pieces) - having,
        }
        return replace(aids, similar=similar)

    def _states(self, aids: Aids) -> States | None:
        """Return hidden states where the init or the padding needs them."""
        from watari.model.states import sample_states, states_of_parents
        from watari.pretrained import load_tokenizer

        if aids.head_bias or not (METHODS[self.init].states or self.padding):
            return None
        base = load_tokenizer(self.model)
        if self.text is None:
            return states_of_parents(self.model, base, self.graft, count=self.count, progress=self.progress)
        states = sample_states(
            self.model,
            base,
            load_tokenizer(self.tokenizer),
            self.text,
            self.graft,
            count=self.count,
            seed=self.seed,
            stage=_STAGE,
            progress=self.progress,
        )
        new = int(states.new.sum())
        self.metrics["states"] = {"new_language": new, "other": len(states.new) - new}
        if new in (0, len(states.new)):
            self.progress.log(
                f"text: all hidden states are from {'the new language' if new else 'other languages'}; count-bias does "
                "least damage when half of them are not"
            )
        return states

    def _output(self, name: str, side: str, aids: Aids, states: States | None) -> Tensor:
        """Return the new rows of the table that scores, padding included, in the table's type."""
        from watari.model.rows import bias_direction, make_rows, never_sampled

        table = self.files.read(name)
        kept = table[: self.graft.base_vocabulary]
        padding = kept.new_zeros(self.padding, self.tables.width).float()
        if states is not None:
            direction = bias_direction(states.hidden, states.window)
            aids = replace(aids, bias=direction)
            if self.padding or METHODS[self.init].output == "never":
                never = never_sampled(states.hidden, states.window, kept)
                aids = replace(aids, never=never)
                padding += never.row
                self.metrics["never_sampled"] = {"how": never.how, "largest_probability": never.probability}
        rows = make_rows(self.init, "tied" if side == "tied" else "output", table, aids)
        if states is not None and self.text is not None:
            self._tell_fit(states, aids, kept, rows)
        if self.padding:
            self.metrics["padding_rows"] = self.padding
        return self._fitting(_with(rows, padding), table)

    def _tell_fit(self, states: States, aids: Aids, head: Tensor, rows: Tensor) -> None:
        """Tell how even the direction is in both languages, and what the new columns cost the other one."""
        from watari.model.rows import loss_change

        if aids.bias is not None:
            for side, mask in (("new_language", states.new), ("other", ~states.new)):
                along = states.hidden[mask] @ aids.bias
                if len(along) > 1:
                    fit = self.metrics.setdefault("bias_fit", {})
                    fit[side] = {"mean": float(along.mean()), "deviation": float(along.std())}
        other = (~states.new & (states.target >= 0)).nonzero()[:_EFFECT_STATES, 0]
        effect = loss_change(states.hidden[other], states.target[other], head, rows)
        if effect is not None:
            self.metrics["other_language_loss"] = {
                "before": effect.before,
                "after": effect.after,
                "change_percent": 100 * (effect.after / effect.before - 1),
                "tokens": effect.tokens,
            }

    def _bias(self, aids: Aids) -> dict[str, Growth]:
        from watari.model.rows import NEVER_TERM, bias_terms
        from watari.model.stream import Growth

        if self.tables.bias is None:
            return {}
        table = self.files.read(self.tables.bias)
        terms = bias_terms(self.init, table, aids)
        terms = _with(terms, terms.new_full((self.padding,), NEVER_TERM))
        return {self.tables.bias: Growth(self.graft.base_vocabulary, self._fitting(terms, table))}

    def _fitting(self, rows: Tensor, table: Tensor) -> Tensor:
        import torch

        cast = rows.to(table.dtype)
        # By blocks: the check would need as much memory again.
        if not all(bool(part.isfinite().all()) for part in torch.split(cast, 1024)):
            raise UserError(
                f"init: rows of {self.init} are not finite in {table.dtype}", "use `init: subword-mean`"
            )
        return cast


def _with(rows: Tensor, padding: Tensor) -> Tensor:
    import torch

    return torch.cat([rows, padding]) if len(padding) else rows


def _choose_init(given: str | None, tables: Tables, text: bool) -> Init:
    tied = tables.output is None
    if given is None:
        return "count-bias" if text and not tied else "subword-mean"
    name = ALIASES.get(given, given)
    if name not in METHODS:
        raise UserError(f"init: there is no {given!r}", f"one of {', '.join(INITS)}")
    init: Init = name
    if tied and METHODS[init].tied is None:
        raise UserError(
            f"init: {init} gives a token two different rows, and this model ties its head to its embedding",
            "use `init: subword-mean` or `init: count-bias` (mean plus bias)",
        )
    without = METHODS[init].vectors or (METHODS[init].states and tables.bias is None)
    if without and not text:
        raise UserError(
            f"init: {init} needs text in both languages (`text:`, `--text`)",
            "give some, or use `init: subword-mean`, which needs none",
        )
    return init


def _check_same_base(graft: Graft, folder: Path, name: str, tokenizer: str) -> None:
    """Make sure that the base's token ids mean what they meant when its tokenizer was extended."""
    from watari.pretrained import load_tokenizer
    from watari.pretrained.bytelevel import read_tokenizer_json
    from watari.pretrained.sentencepiece import read_spm, vocabulary_digest

    if graft.family == "sentencepiece" and (folder / "tokenizer.model").is_file():
        digest, size = (model := read_spm(folder / "tokenizer.model")).digest(), len(model)
    elif graft.family == "byte-level" and (folder / "tokenizer.json").is_file():
        digest, size = (
            (entries := read_tokenizer_json(folder / "tokenizer.json", name)).digest(),
            len(entries),
        )
    else:
        vocabulary = load_tokenizer(folder).get_vocab()
        texts = {index: text for text, index in vocabulary.items()}
        size = max(texts) + 1
        digest = vocabulary_digest([texts.get(index, "") for index in range(size)])
    if digest != graft.base_digest:
        raise UserError(
            f"tokenizer: {tokenizer} extends a tokenizer of {graft.base_vocabulary:,} pieces that is not the one of "
            f"{name} ({size:,} pieces)",
            f"let tokenizer.extend have `base: {name}`",
        )


def _write_config(model: Path, out: Path, rows: int) -> None:
    """Write config.json as it was, but for the number of rows."""
    config = json.loads((model / "config.json").read_text("utf-8"))
    inner = config.get("text_config")
    place = inner if isinstance(inner, dict) and "vocab_size" not in config else config
    place["vocab_size"] = rows
    if isinstance(inner, dict) and "vocab_size" in inner:
        inner["vocab_size"] = rows
    atomic.write_json(out / "config.json", config)
