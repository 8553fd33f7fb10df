"""The tables of a graft: read one at a time, their new rows made in the type that they have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact.stage import Progress
from watari.errors import UserError
from watari.model.rows import METHODS, Aids, Init
from watari.model.states import Document

if TYPE_CHECKING:
    from torch import Tensor

    from watari.model.states import States
    from watari.model.stream import Growth, TensorFiles
    from watari.model.stream_tables import Tables
    from watari.pretrained.graft import Graft

_STAGE = "model.graft"
"""The name that draws are keyed by."""
_CONTEXTS = 2048
"""States of the new language that rows of a tied table are made likely on."""
_EFFECT_STATES = 2048
"""States of other languages that the change of loss is measured on."""


@dataclass
class Growing:
    """The new rows of every table of one model, in the making.

    Args:
        model: The base's folder.
        tokenizer: The extended tokenizer's folder.
        graft: What it adds.
        files: The base's weights.
        tables: Where among them its tables of tokens are.
        init: How new rows begin.
        text: Documents, for the inits that need them.
        count: Hidden states to fit to.
        characters: Of the text, for co-occurrence statistics.
        align: Rows are made a multiple of this.
        seed: Of every draw.
        progress: Told of what is done.
    """

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
        similar, having = (matching_pursuit if self.init == "omp" else focus)(self.graft, vectors)
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
            contexts = states.hidden[states.new] if bool(states.new.any()) else states.hidden
            aids = replace(aids, bias=direction, contexts=contexts[:_CONTEXTS])
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
