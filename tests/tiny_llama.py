"""Tiny Llama folders for tests: random weights, a throw-away BPE tokenizer with byte fallback in the Llama form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}{{ '### System: ' + m.content + '\n' }}"
    "{% elif m.role == 'user' %}{{ '### User: ' + m.content + '\n' }}"
    "{% else %}{{ '### Assistant: ' + m.content + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Assistant:' }}{% endif %}"
)

TEXT = [
    "Once upon a time there was a little girl who lived in a small town by the sea.",
    "She asked the assistant: what is the capital of the country? The user and the system agreed.",
    "The red ball was too high, so she asked her mother for help, and they played all day.",
    "むかしむかし、あるところに女の子がいました。赤いボールで遊んでいました。",
    "### System: ### User: ### Assistant: Hello! How are you? I am fine.",
]


def make_tokenizer(
    folder: Path, *, vocabulary: int = 420, bos: bool = True, template: str | None = TEMPLATE
) -> None:
    """Write tokenizer.json and tokenizer_config.json: <unk> <s> </s>, 256 bytes, then learnt pieces."""
    from tokenizers import (
        AddedToken,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )

    special = ["<unk>", "<s>", "</s>"]
    raw = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    raw.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[*special, *(f"<0x{i:02X}>" for i in range(256))],
        show_progress=False,
        max_token_length=8,
    )
    # Learnt as SentencePiece learns: a blank only begins a piece. The finished tokenizer has no pre-tokenizer.
    raw.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    raw.train_from_iterator(TEXT, trainer)
    # The trainer marks the bytes as added tokens; in a Llama tokenizer they are plain vocabulary.
    state = json.loads(raw.to_str())
    state["added_tokens"] = []
    state["pre_tokenizer"] = None
    built = Tokenizer.from_str(json.dumps(state))
    built.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in special])
    built.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    if bos:
        built.post_processor = processors.TemplateProcessing(
            single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
        )
    folder.mkdir(parents=True, exist_ok=True)
    built.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 256,
    }
    if template is not None:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False), "utf-8")


def make_model(folder: Path, *, rows: int = 420, tied: bool = False, seed: int = 0, **settings: Any) -> None:
    """Write config.json, model.safetensors and generation_config.json of a random Llama (fp32)."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        **{
            "vocab_size": rows,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 256,
            "tie_word_embeddings": tied,
            "bos_token_id": 1,
            "eos_token_id": 2,
            # Wide initial weights: sharp distributions, so that greedy search does not hang on the last bit.
            "initializer_range": 0.3,
            **settings,
        }
    )
    LlamaForCausalLM(config).save_pretrained(str(folder))


def make_folder(
    folder: Path,
    *,
    vocabulary: int = 420,
    rows: int | None = None,
    template: str | None = TEMPLATE,
    **model: Any,
) -> Path:
    """Write a whole model folder and return it."""
    make_tokenizer(folder, vocabulary=vocabulary, template=template)
    make_model(folder, rows=rows or vocabulary, **model)
    return folder
