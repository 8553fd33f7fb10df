"""What is said to an engine so that a cell is what it says: every setting written out, and refused where it cannot be.

vLLM and others lay a model's `generation_config.json` under what a request leaves out, and a model in this process does so
too. So whatever differs anywhere in the grid is sent in every cell, also where it is off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from watari.endpoint.settings import Endpoint
from watari.errors import UserError
from watari.generate.remote import settings_for
from watari.generate.sampler import Sampler
from watari.leakage.sweep.extras import switched_off
from watari.leakage.sweep.grid import Grid

LOCAL = "in this process, transformers' settings"
_OFF_ON_SERVERS = {"top_k": -1}
"""vLLM, SGLang and llama.cpp all read -1 as "all"; SGLang refuses 0."""
_ALWAYS = ("temperature", "max_new_tokens")


@dataclass(frozen=True)
class Engine:
    """Who is asked, as far as settings go.

    Args:
        endpoint: The server; None: a model in this process.
        varied: Settings that are written out in every request.
        off: Fields beyond Watari's own that are written out where a cell has them off.
    """

    endpoint: Endpoint | None
    varied: tuple[str, ...]
    off: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def label(self) -> str:
        """What it is called."""
        return LOCAL if self.endpoint is None else f"{self.endpoint.label} at a server"

    def settings(self, sampler: Sampler, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the settings of a question that mean `sampler`, and `extra` as the server names it.

        Raises:
            UserError: for one that the engine is known not to have.
        """
        if self.endpoint is None:
            sampler.refuse_for_local()
            for name in extra or ():
                raise UserError(
                    f"extra_body: {name}: a model in this process has no such setting",
                    "take it out, or ask a server that has it with --model name=URL (llama.cpp, vLLM, SGLang)",
                )
            return sampler.model_dump(exclude={"frequency_penalty", "presence_penalty"})
        body = settings_for(self.endpoint, sampler)
        for name in self.varied:
            if name not in body and name not in _ALWAYS:
                body[name] = getattr(sampler, name)
        for name, off in _OFF_ON_SERVERS.items():
            if body.get(name) == 0:
                body[name] = off
        return {**body, **self.off, **(extra or {})}


def engine_of(endpoint: Endpoint | None, grid: Grid) -> Engine:
    """Return the engine for a grid, once every cell of it can be expressed.

    Raises:
        UserError: naming the first cell that cannot, before anything is sent.
    """
    engine = Engine(endpoint, grid.varied, switched_off(cell.extra for cell in grid.cells))
    if endpoint is not None:
        _refuse_hidden(endpoint, grid)
    for cell in grid.cells:
        try:
            engine.settings(cell.sampler, cell.extra)
        except UserError as error:
            raise UserError(
                f"cell {cell.name}: {error.message.removeprefix('sampler: ')}", error.mend
            ) from None
    return engine


def _refuse_hidden(endpoint: Endpoint, grid: Grid) -> None:
    """Make sure that a field of the endpoint's `extra_body` does not overrule the grid without a word."""
    own = {name for cell in grid.cells for name in cell.extra}
    hidden = [name for name in (*Sampler.model_fields, *sorted(own)) if name in endpoint.extra_body]
    if hidden:
        raise UserError(
            f"endpoint {endpoint.label}: its extra_body sets {hidden[0]}, which {grid.name} sets too",
            "take it out of the endpoint's extra_body",
        )
