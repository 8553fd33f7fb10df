"""`watari chat`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def chat(
    model: Annotated[Path, typer.Argument(help="A model folder, an artifact, or RUN/stages/STAGE.")],
    system: Annotated[str | None, typer.Option(help="System prompt.")] = None,
    prompt: Annotated[
        str | None, typer.Option(help="Answer this once to standard output, then exit.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answer.")] = 0,
    temperature: Annotated[float | None, typer.Option(help="0 = always the likeliest token.")] = None,
    top_p: Annotated[
        float | None, typer.Option(help="Keep the likeliest tokens up to this probability.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Keep this many tokens; 0 = all.")] = None,
    min_p: Annotated[
        float | None, typer.Option(help="Keep tokens with this share of the likeliest one.")
    ] = None,
    repetition_penalty: Annotated[float | None, typer.Option(help="1 = none.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Tokens of an answer at most.")] = None,
    dtype: Annotated[
        str, typer.Option(help="Weights in memory: auto (as in the files), float32, bfloat16, float16.")
    ] = "auto",
    device: Annotated[
        str, typer.Option(help="cpu, cuda, or auto for the accelerator if there is one.")
    ] = "auto",
) -> None:
    """Talk with a model: streaming, several turns, /help.

    Sampling is what the options say, else what the model's generation_config.json says, else that of Shisa 7B's
    card: temperature 0.7, top_p 0.95, repetition penalty 1.05, 1000 tokens. A base model without a
    chat template goes on with your text instead.

    Example: watari chat runs/demo/stages/dpo --prompt "ハルさんの ぼうしは なに色ですか。" --seed 1
    """
    from rich.console import Console

    from watari.chat import Chat, Conversation, Screen, answer_once, history_path, set_up
    from watari.errors import UserError
    from watari.generate.sampler import SHISA_CARD
    from watari.pretrained import check_model_folder, find_model

    if dtype not in ("auto", "float32", "bfloat16", "float16"):
        raise UserError(f"--dtype {dtype}: not a type of weights", "auto, float32, bfloat16 or float16")
    folder = find_model(model)
    check_model_folder(folder)
    given = {
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "max_new_tokens": max_tokens,
    }
    flags = {name: value for name, value in given.items() if value is not None}
    SHISA_CARD.with_settings(**flags)  # a wrong option is told before the model is loaded

    from transformers.utils import logging

    from watari.generate.local import LocalModel

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    answerer = LocalModel(folder, dtype=dtype, device=device)
    if system and not answerer.chats:
        raise UserError(f"{model}: no chat template: a base model has no system prompt", "leave --system out")
    conversation = Conversation(
        SHISA_CARD.with_generation_config(answerer.generation_settings).with_settings(**flags),
        chats=answerer.chats,
        system=system,
        seed=seed,
    )
    screen = Screen(Console())
    if prompt is not None:
        answer_once(answerer, conversation, prompt, screen)
        return
    import sys

    talking = sys.stdin.isatty()
    if talking:
        set_up(history_path())
        sampler = conversation.sampler
        screen.notice(
            f"{model} · {answerer.parameters:,} parameters · context {answerer.context:,} · "
            f"temperature {sampler.temperature:g}, top_p {sampler.top_p:g}, repetition penalty "
            f"{sampler.repetition_penalty:g}, seed {seed} · /help"
        )
        if not answerer.chats:
            screen.notice("no chat template: it goes on with your text")
    Chat(answerer, conversation, screen, prompt="> " if talking else "").run()
