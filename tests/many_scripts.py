"""Little texts in several scripts, and a small byte-level tokenizer that was trained on them."""

from __future__ import annotations

import json
from pathlib import Path

from small_japanese import japanese

KOREAN = [
    "안녕하세요. 오늘은 날씨가 좋습니다.",
    "서울에서 부산까지 기차로 갔습니다.",
    "고양이가 창가에 앉아 있습니다.",
]
RUSSIAN = ["Привет, мир! Сегодня хорошая погода.", "Кошка сидит у окна.", "Мы поехали из Москвы в Казань."]
ARABIC = ["مرحبا بالعالم، الطقس جميل اليوم.", "القطة تجلس بجانب النافذة."]
ENGLISH = [
    "The cat sat by the window and looked at “the sea” — 42 times.",
    "def f(x):\n\treturn x + 1  # naïve café\n",
    "In 1998, people said: why not? 🙂 §5, ½ © α×β",
]
JAPANESE = [text for language, text in japanese(40, seed=3) if language == "ja"]
KEPT = [*ENGLISH, *JAPANESE]
DROPPED = [*KOREAN, *RUSSIAN, *ARABIC]
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPECIAL = ["<|begin|>", "<|end|>", "<|pad|>"]
TEMPLATE = "{% for m in messages %}{{ '<|begin|>' + m.role + '\n' + m.content }}<|end|>{% endfor %}"


def make_byte_level(
    folder: Path,
    *,
    vocabulary: int = 1100,
    ignore_merges: bool = True,
    template: str | None = None,
    first: bool = False,
) -> Path:
    """Write tokenizer.json and tokenizer_config.json; special tokens behind the vocabulary, or before it."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=SPECIAL if first else [],
        show_progress=False,
    )
    tokenizer.train_from_iterator([*KEPT, *DROPPED * 4], trainer)
    tokenizer.add_special_tokens(SPECIAL)
    begin = tokenizer.token_to_id("<|begin|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", pair="<|begin|> $A $B", special_tokens=[("<|begin|>", begin)]
    )
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|begin|>",
        "eos_token": "<|end|>",
        "pad_token": "<|pad|>",
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(text)): {"content": text, "special": True} for text in SPECIAL
        },
    }
    if template is not None:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    return folder
