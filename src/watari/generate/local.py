"""A model in this process: messages or texts in, answers out, in batches or as a stream.

Design:
- An own loop over transformers' forward and its cache, not `generate`: rows that are done leave the batch, draws belong
  to rows, padding is never seen, and a stream can be stopped between any two tokens.
- Prompts are sorted by length and padded on the left; the mask and the positions make padding invisible.
- What a seed guarantees: a row's draws depend on (seed, its id) alone. Its logits may differ in the last bits with the
  batch that it is in (other matrix shapes), so a sampled answer is the same in any batch as long as no draw falls within
  that rounding of a border (about 1e-6 in float32 a token); in the same batch on the same machine it is the
  same always.
- BOS: a chat prompt is what the template renders, encoded with add_special_tokens=False; a text to be completed gets what
  the tokenizer itself adds. Nothing else is added, so BOS stands exactly where training had it; `watari doctor`
  says whether that is once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.artifact.hashing import hash_json
from watari.errors import UserError
from watari.generate.prompting import Prompt, encode
from watari.generate.sampler import Sampler
from watari.generate.templates import Message
from watari.generate.writer import Encoded, Response, Writer
from watari.pretrained import load_model, load_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["LocalModel", "Message", "Prompt", "Response", "end_ids"]


class LocalModel:
    """A causal language model and its tokenizer, ready to answer.

    Args:
        folder: A Hugging Face folder with safetensors.
        dtype: Type of the weights in memory; "auto" takes the files' own.
        device: "cpu", "cuda", or "auto" for the accelerator if there is one.
    """

    def __init__(self, folder: Path, *, dtype: str = "float32", device: str = "auto") -> None:
        import torch

        self.folder = folder
        self.tokenizer: PreTrainedTokenizerBase = load_tokenizer(folder)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        model = load_model(folder, dtype=dtype)
        self.model: PreTrainedModel = model
        torch.nn.Module.to(model, self.device)
        self.generation_settings = _settings(folder / "generation_config.json")
        self.end_ids = end_ids(self.tokenizer, self.generation_settings, self.model.config.to_dict())
        text_config = self.model.config.get_text_config()
        self.context = int(getattr(text_config, "max_position_embeddings", 0) or 1 << 31)

    @property
    def chats(self) -> bool:
        """True if the tokenizer has a chat template; otherwise the model only completes text."""
        return bool(self.tokenizer.chat_template)

    @property
    def parameters(self) -> int:
        """How many weights the model has; tied ones count once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    def encode(self, prompt: Prompt) -> Encoded:
        """Return the rendered prompt and its token ids, exactly as they go into the model.

        Raises:
            UserError: if there is no template, it refuses the messages, or the prompt has no token.
        """
        return encode(self.tokenizer, prompt)

    def generate(
        self,
        prompts: Sequence[Prompt | Encoded],
        sampler: Sampler,
        *,
        seed: int = 0,
        ids: Sequence[str] | None = None,
        batch_size: int = 64,
        on_batch: Callable[[int], None] | None = None,
        logit_bias: Mapping[int, float] | None = None,
    ) -> list[Response]:
        """Answer every prompt; answers come back in the order of the prompts.

        Args:
            prompts: Conversations and texts, mixed as you like; also what is encoded already, such as a begun answer.
            sampler: How tokens are chosen.
            seed: Of all draws; without effect when greedy.
            ids: One id a prompt, the key of its draws. Default: the hash of the rendered prompt and how many
                equal ones came before it, so that the same question asked five times gets five draws.
            batch_size: Prompts that are run together.
            on_batch: Called after each batch with the number of prompts done; may raise to stop.
            logit_bias: Added to the logits by token id, as servers do that have such a field, before all other settings;
                -inf forbids a token.

        Raises:
            UserError: before anything runs, for a setting or a prompt that cannot be used, or one that leaves no room
                for an answer in the model's context.
        """
        sampler.refuse_for_local()
        encoded = [item if isinstance(item, Encoded) else self.encode(item) for item in prompts]
        self._check_bias(logit_bias)
        for number, item in enumerate(encoded):
            self._check_room(item, f"prompt {number + 1}")
        names = list(ids) if ids is not None else _default_ids(encoded)
        if len(names) != len(encoded):
            raise ValueError(f"{len(encoded)} prompts but {len(names)} ids")
        order = sorted(range(len(encoded)), key=lambda i: (-len(encoded[i].ids), names[i]))
        responses: dict[int, Response] = {}
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            batch = [encoded[i] for i in places]
            writers = [self._writer(item, sampler) for item in batch]
            draws = [names[i] for i in places]
            for row, token in self._tokens(batch, draws, sampler, seed, writers, logit_bias):
                writers[row].take(token)
            responses |= {i: writer.response() for i, writer in zip(places, writers, strict=True)}
            if on_batch is not None:
                on_batch(len(responses))
        return [responses[i] for i in range(len(encoded))]

    def stream(
        self, prompt: Prompt, sampler: Sampler, *, seed: int = 0, attempt: int = 0
    ) -> Generator[str, None, Response]:
        """Yield the answer in pieces as it comes, and return it whole; the pieces' sum is what `generate` gives.

        Args:
            prompt: A conversation or a text.
            sampler: How tokens are chosen.
            seed: Of all draws.
            attempt: 0 for the first answer to this prompt, 1 for another one, and so on.

        Raises:
            UserError: at the first piece, for the same reasons as `generate`.
        """
        sampler.refuse_for_local()
        item = self.encode(prompt)
        self._check_room(item, "the prompt")
        writer = self._writer(item, sampler)
        for _, token in self._tokens([item], [_default_id(item, attempt)], sampler, seed, [writer]):
            if piece := writer.take(token):
                yield piece
        if piece := writer.finish():
            yield piece
        return writer.response()

    def _writer(self, item: Encoded, sampler: Sampler) -> Writer:
        return Writer(self.tokenizer, item, sampler, ends=self.end_ids, context=self.context)

    def _check_room(self, item: Encoded, name: str) -> None:
        if len(item.ids) >= self.context:
            raise UserError(
                f"{name} has {len(item.ids):,} tokens, which leaves no room for an answer in the model's context of "
                f"{self.context:,}",
                "make it shorter",
            )

    def _check_bias(self, logit_bias: Mapping[int, float] | None) -> None:
        wrong = [token for token in logit_bias or () if not 0 <= token < len(self.tokenizer)]
        if wrong:
            raise UserError(
                f"logit_bias: {wrong[0]} is no token of a vocabulary of {len(self.tokenizer):,}",
                "take a bias that was made for this model",
            )

    def _tokens(
        self,
        batch: Sequence[Encoded],
        ids: Sequence[str],
        sampler: Sampler,
        seed: int,
        writers: Sequence[Writer],
        logit_bias: Mapping[int, float] | None = None,
    ) -> Iterator[tuple[int, int]]:
        """Yield (row, token) until every row's writer is done."""
        import torch
        from transformers import DynamicCache

        from watari.generate.choice import Chooser

        width = max(len(item.ids) for item in batch)
        inputs = torch.zeros(len(batch), width, dtype=torch.int64)
        mask = torch.zeros(len(batch), width, dtype=torch.int64)
        for row, item in enumerate(batch):
            inputs[row, width - len(item.ids) :] = torch.tensor(item.ids)
            mask[row, width - len(item.ids) :] = 1
        inputs, mask = inputs.to(self.device), mask.to(self.device)
        positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)
        cache = DynamicCache(config=self.model.config)
        chooser: Chooser | None = None
        rows = list(range(len(batch)))
        while True:
            logits = self._forward(inputs, mask, positions, cache)
            if chooser is None:
                chooser = Chooser(
                    sampler,
                    seed,
                    ids,
                    [item.ids for item in batch],
                    vocabulary=len(self.tokenizer),
                    width=logits.shape[-1],
                    device=self.device,
                    logit_bias=logit_bias,
                )
            tokens = chooser.choose(logits)
            for row, token in zip(rows, tokens.tolist(), strict=True):
                yield row, token
            alive = [place for place, row in enumerate(rows) if not writers[row].done]
            if not alive:
                return
            if len(alive) < len(rows):
                kept = torch.tensor(alive, device=self.device)
                cache.batch_select_indices(kept)
                chooser.keep(kept)
                mask, positions, tokens = mask[kept], positions[kept], tokens[kept]
                rows = [rows[place] for place in alive]
            inputs = tokens[:, None]
            positions = positions[:, -1:] + 1
            mask = torch.nn.functional.pad(mask, (0, 1), value=1)

    def _forward(
        self, inputs: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any
    ) -> torch.Tensor:
        import torch

        with torch.inference_mode():
            out = self.model(
                input_ids=inputs,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
            logits: torch.Tensor = out.logits[:, -1]
        return logits


def end_ids(
    tokenizer: PreTrainedTokenizerBase, generation: Mapping[str, Any], config: Mapping[str, Any]
) -> frozenset[int]:
    """Return every token id that ends an answer: of the tokenizer, generation_config.json and config.json."""
    found: set[int] = set()
    for value in (tokenizer.eos_token_id, generation.get("eos_token_id"), config.get("eos_token_id")):
        found |= {value} if isinstance(value, int) else set(value or ())
    return frozenset(found)


def folder_end_ids(folder: Path, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Return `end_ids` of a model's folder, without its weights.

    Raises:
        UserError: if its settings are no JSON.
    """
    return end_ids(tokenizer, _settings(folder / "generation_config.json"), _settings(folder / "config.json"))


def context_of(folder: Path) -> int:
    """Return the tokens of prompt and answer together that a model's folder allows, without its weights.

    Raises:
        UserError: if its settings are no JSON.
    """
    settings = _settings(folder / "config.json")
    text = settings.get("text_config")
    found = (text if isinstance(text, dict) else settings).get("max_position_embeddings")
    return found if isinstance(found, int) and found > 0 else 1 << 31


def _settings(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        settings = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not readable as JSON: {error}") from None
    return settings if isinstance(settings, dict) else {}


def _default_id(item: Encoded, attempt: int) -> str:
    return f"{hash_json(item.rendered)}#{attempt}"


def _default_ids(encoded: Sequence[Encoded]) -> list[str]:
    seen: dict[str, int] = {}
    names = []
    for item in encoded:
        attempt = seen.get(item.rendered, 0)
        seen[item.rendered] = attempt + 1
        names.append(_default_id(item, attempt))
    return names
