"""What a sweep will ask, settled and checked before anything is sent: cells, prompts, repeats, requests, cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watari.endpoint.settings import Endpoint, Price
from watari.errors import UserError
from watari.generate.preflight import refuse
from watari.leakage.sweep.engine import Engine, engine_of
from watari.leakage.sweep.grid import Grid, read_grid
from watari.leakage.sweep.params import DEFAULT_GRID, Params, effect_of
from watari.leakage.sweep.prompts import Prompt, read_prompts
from watari.leakage.sweep.recommendation import left_out
from watari.leakage.sweep.sending import Sending, sending_to
from watari.pages.noted import Note
from watari.stats.proportions import design_effect, power_of_proportions, repeats_for, two_proportions

ANSWER_TOKENS = 400
"""Of an answer where its limit is larger: an assumption."""
ENOUGH = 50
"""Prompts below which 95 % intervals hold a little less often than they say: 0.945 at 200, 0.93 at 47, 0.92 at 20
(`benchmarks/sweep.py --only power`)."""
TOO_FEW = 20
JUDGMENT_TOKENS = 120
"""Of a judgment: an assumption."""
_PER_TOKEN = {
    "dense": 1.4,
    "latin": 4.0,
}  # characters: English 4.1, Japanese 1.39 to 1.46 (facts/seed-systems.md §1)
_DENSE = 0x2E80
_AROUND = 8
_INSTRUCTIONS = 200


@dataclass(frozen=True)
class Size:
    """Why a cell is as large as it is.

    Args:
        prompts, repeats: Of a cell that is not greedy.
        effect: The shares that shall be told apart; None: nothing was planned.
        independent: Independent responses that this needs.
        needed: The same with answers to one prompt alike as they are.
        power: Chance to tell the effect apart with what will be asked.
        icc, shared: As assumed.
    """

    prompts: int
    repeats: int
    effect: tuple[float, float] | None = None
    independent: int = 0
    needed: int = 0
    power: float | None = None
    icc: float = 0.0
    shared: float = 0.0

    def line(self) -> str:
        """Return it in words."""
        told = (
            f"{self.prompts:,} prompts x {self.repeats:,} = {self.prompts * self.repeats:,} responses a cell"
        )
        if self.effect is None:
            return told
        p, q = self.effect
        return (
            f"{told}; {p:g} against {q:g} needs {self.independent:,} independent ones, {self.needed:,} as these are alike"
            f" (icc {self.icc:g}, shared {self.shared:g}); power {self.power:.0%}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "prompts": self.prompts,
            "repeats": self.repeats,
            "responses": self.prompts * self.repeats,
            "effect": list(self.effect) if self.effect else None,
            "independent": self.independent or None,
            "needed": self.needed or None,
            "power": None if self.power is None else round(self.power, 4),
            "icc": self.icc if self.effect else None,
            "shared": self.shared if self.effect else None,
        }


@dataclass(frozen=True)
class Plan:
    """What a sweep will ask.

    Args:
        grid: Its cells.
        prompts: The same in each.
        repeats: Answers to each prompt in a cell that is not greedy.
        size: Why so many.
        engine: How settings are said to whoever is asked.
        own: The model's `generation_config.json`; empty for an endpoint.
        sending: The prompts as they go into the model.
        notes: What a reader must be told.
    """

    grid: Grid
    prompts: tuple[Prompt, ...]
    repeats: int
    size: Size
    engine: Engine
    own: dict[str, Any]
    sending: Sending
    notes: tuple[Note, ...]

    @property
    def requests(self) -> int:
        """Answers of all cells."""
        return len(self.prompts) * sum(1 if cell.greedy else self.repeats for cell in self.grid.cells)


def plan_of(params: Params, folder: Path | None) -> Plan:
    """Return what will be asked; nothing is sent, no weights are read.

    Args:
        params: Of the stage.
        folder: The model that runs in this process.

    Raises:
        UserError: for a grid or prompts that cannot be used, a setting that the engine has not, a prompt that loses or
            doubles its BOS.
    """
    own = _own(folder)
    grid = read_grid(params.grid or DEFAULT_GRID, own=own, max_tokens=params.max_tokens)
    endpoint = params.model if isinstance(params.model, Endpoint) else None
    engine = engine_of(endpoint, grid)
    prompts = read_prompts(params.prompts, language=params.language, limit=params.limit)
    size = size_of(len(prompts), params.repeats, params.effect, params.icc, params.shared)
    asked = endpoint or folder
    sending = sending_to(asked, prompts) if asked is not None else Sending((), {})
    if params.on_bos == "stop":
        refuse(sending.sent, str(folder))
    notes = [*grid.notes, *sending.notes]
    if any(cell.greedy for cell in grid.cells) and size.repeats > 1:
        notes.append(
            Note(
                "a greedy cell gives the same each time: each prompt is asked once there",
                "温度 0 の設定は毎回同じ回答になるため、各プロンプトを 1 回だけ尋ねます",
            )
        )
    if size.power is not None and size.power < 0.8 - 1e-9:
        notes.append(
            Note(
                f"power {size.power:.0%}: such a difference will often not be told apart",
                f"検出力は {size.power:.0%} です。この大きさの差は、見分けられないことがよくあります",
            )
        )
    if dropped := left_out(own):
        notes.append(
            Note(
                f"the model's generation_config.json also sets {', '.join(dropped)}: not applied here, not in the file that"
                " is written",
                f"モデルの generation_config.json には {'、'.join(dropped)} もありますが、ここでは使わず、書き出すファイルにも"
                "含めません",
            )
        )
    if endpoint is not None and not params.send_seed:
        notes.append(
            Note(
                "no seeds are sent: cells share their prompts, not their draws",
                "シードは送りません。設定どうしで共通なのはプロンプトだけで、乱数は共通ではありません",
            )
        )
    if (few := _few(size.prompts)) is not None:
        notes.append(few)
    return Plan(grid, prompts, size.repeats, size, engine, own, sending, tuple(notes))


def _few(prompts: int) -> Note | None:
    """Return what so few prompts mean for the intervals, which are over prompts; None: there are enough."""
    if prompts >= ENOUGH:
        return None
    if prompts == 1:
        return Note(
            "one prompt: no intervals, since they are over prompts, and nothing is told apart",
            "プロンプトは 1 件だけです。信頼区間はプロンプト単位で求めるため出せず、設定どうしの差も分かりません",
        )
    short = "too" if prompts < TOO_FEW else "a little too"
    return Note(
        f"{prompts} prompts: below about {ENOUGH}, intervals are {short} short and power is less than planned",
        f"プロンプトは {prompts} 件です。約 {ENOUGH} 件に満たないと、信頼区間は{'かなり' if prompts < TOO_FEW else 'やや'}狭めに、"
        "検出力は計画より低めになります",
    )


def size_of(prompts: int, repeats: int | None, effect: str | None, icc: float, shared: float) -> Size:
    """Return how many answers each prompt gets.

    Raises:
        UserError: if no number of answers to these prompts tells the effect apart.
    """
    if effect is None:
        return Size(prompts, repeats or 1)
    p, q = effect_of(effect)
    independent = two_proportions(p, q)
    if repeats is None:
        repeats = repeats_for(independent, prompts, icc, shared)
        if repeats is None or repeats > 1000:
            least = int(independent * icc * (1 - shared)) + 1
            raise UserError(
                f"effect {effect}: {prompts:,} prompts are too few, however often each is asked (answers to one prompt are"
                f" alike at {icc:g})",
                f"give {max(least * 2, prompts + 1):,} prompts or more, a larger effect, or `icc` and `shared` of an earlier sweep",
            )
    swell = design_effect(repeats, icc, shared)
    power = power_of_proportions(p, q, prompts * repeats / swell)
    return Size(prompts, repeats, (p, q), independent, round(independent * swell), power, icc, shared)


@dataclass(frozen=True)
class Cost:
    """What a sweep will take.

    Args:
        answers, canary, judgments: Requests; retries not counted. Judgments: at most.
        prompt_tokens, completion_tokens: Of the answers, as expected by characters.
        cost, worst: In the prices' currency: as expected, and if every answer were as long as it may be. 0 for a model in
            this process and where no price is given.
    """

    answers: int
    canary: int
    judgments: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    worst: float

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "answers": self.answers,
            "canary": self.canary,
            "judgments": self.judgments,
            "requests": self.answers + self.canary + self.judgments,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost": round(self.cost, 6),
            "worst_cost": round(self.worst, 6),
        }


def cost_of(plan: Plan, params: Params) -> Cost:
    """Return what a plan takes; nothing is asked."""
    from watari.leakage.sweep.canary import requests_of
    from watari.leakage.sweep.judging import SETTINGS
    from watari.leakage.sweep.probing import TOKENS

    price = params.model.price if isinstance(params.model, Endpoint) else Price()
    judge = params.judge.price if params.judge is not None else Price()
    answers = prompt_tokens = said_tokens = most_tokens = 0
    sizes = {prompt.id: _size(prompt.text) + _AROUND * len(prompt.messages) for prompt in plan.prompts}
    every = sum(sizes.values())
    for cell in plan.grid.cells:
        times = 1 if cell.greedy else plan.repeats
        answers += times * len(plan.prompts)
        prompt_tokens += times * every
        limit = cell.sampler.max_new_tokens
        said_tokens += times * len(plan.prompts) * min(ANSWER_TOKENS, limit)
        most_tokens += times * len(plan.prompts) * limit
    proofs = 0 if params.canary == "skip" else requests_of(plan.grid.cells, plan.prompts)
    judged = answers if params.judge is not None else 0

    def money(said: int, judgment: int) -> float:
        own = prompt_tokens * price.input + (said + proofs * TOKENS) * price.output
        shown = prompt_tokens + said + _INSTRUCTIONS * judged if judged else 0
        return (own + shown * judge.input + judgment * judged * judge.output) / 1e6

    cost, worst = money(said_tokens, JUDGMENT_TOKENS), money(most_tokens, int(SETTINGS["max_tokens"]))
    return Cost(answers, proofs, judged, prompt_tokens, said_tokens, cost, worst)


def _size(text: str) -> int:
    dense = sum(ord(character) >= _DENSE for character in text)
    return round(dense / _PER_TOKEN["dense"] + (len(text) - dense) / _PER_TOKEN["latin"])


def _own(folder: Path | None) -> dict[str, Any]:
    import json

    if folder is None or not (folder / "generation_config.json").is_file():
        return {}
    try:
        found = json.loads((folder / "generation_config.json").read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"{folder / 'generation_config.json'}: not readable as JSON: {error}") from None
    return found if isinstance(found, dict) else {}
