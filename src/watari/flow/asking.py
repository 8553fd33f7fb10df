"""What the flow sees to for stages that ask endpoints: keys and budgets before anything starts, the run's ledger."""

from __future__ import annotations

import os
from pathlib import Path

from watari.artifact.params import StageParams
from watari.endpoint.params import AskingParams
from watari.errors import UserError
from watari.flow.plan import Plan, State
from watari.recipe.graph import Node, Recipe

LEDGER = "ledger.sqlite"
"""The run's ledger, in the run's folder: what was answered and paid for, for every stage."""


def check_endpoints(recipe: Recipe, planned: Plan) -> None:
    """Make sure that every endpoint that the planned stages ask has its key in the environment, and a budget if it costs.

    Raises:
        UserError: naming the stage, the endpoint and the variable, before any stage is started.
    """
    for stage in planned.stages:
        node = recipe.nodes[stage.name]
        if stage.state is State.RUN and isinstance(node.params, AskingParams):
            _check(node, node.params)


def _check(node: Node, params: AskingParams) -> None:
    where = f"{node.place}: " if node.place else ""
    for endpoint in params.endpoints():
        if endpoint.key_env is not None and not os.environ.get(endpoint.key_env):
            raise UserError(
                f"{where}stage '{node.name}' asks endpoint '{endpoint.label}', but {endpoint.key_env} is not set",
                f"export {endpoint.key_env}=..., then run again",
            )
        if not endpoint.price.free and params.budget.unlimited and params.run_budget.unlimited:
            raise UserError(
                f"{where}stage '{node.name}' asks endpoint '{endpoint.label}', which costs money, without a budget",
                "write `budget: {money: 5}` at the top of the recipe, or in the stage",
            )


def in_run(params: StageParams, run: Path, name: str) -> StageParams:
    """Return a stage's parameters with what only the run knows: its ledger, and the name that it is counted under."""
    if not isinstance(params, AskingParams):
        return params
    return params.model_copy(
        update={"ledger": params.ledger or str(run / LEDGER), "label": params.label or name}
    )
