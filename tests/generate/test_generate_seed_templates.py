"""Both seed systems' chat formats, golden: text, token ids and supervised tokens on the real Llama 2 and Mistral tokenizers.

Shisa 7B was trained on Mistral's vocabulary, Swallow on Llama 2's; `[INST]` and `<<SYS>>` are ordinary text to both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from watari.artifact.outside import packaged_file
from watari.generate.masking import encode_conversation, encode_reply
from watari.generate.templates import PRESETS, encode_prompt, render
from watari.pretrained import load_tokenizer
from watari.pretrained.fast import write_fast_tokenizer
from watari.pretrained.sentencepiece import read_spm

SYSTEM = {"role": "system", "content": "あなたは誠実で優秀な日本人のアシスタントです。"}
TALK = [
    {"role": "user", "content": "Hello, how are you?"},
    {"role": "assistant", "content": "I'm doing great."},
    {"role": "user", "content": "東京の天気は?"},
    {"role": "assistant", "content": "晴れです。\n暑いです。"},
]
TEXTS = {
    ("shisa", False): "<s>[INST] Hello, how are you? [/INST] I'm doing great. </s>"
    "<s>[INST] 東京の天気は? [/INST] 晴れです。\n暑いです。 </s>",
    ("shisa", True): "<s>[INST] <<SYS>>\nあなたは誠実で優秀な日本人のアシスタントです。\n<</SYS>>\n\n"
    "Hello, how are you? [/INST] I'm doing great. </s>"
    "<s>[INST] 東京の天気は? [/INST] 晴れです。\n暑いです。 </s>",
    ("swallow", False): "<s>[INST] Hello, how are you? [/INST] I'm doing great.</s>"
    "[INST] 東京の天気は? [/INST] 晴れです。\n暑いです。</s>",
    ("swallow", True): "<s>[INST] <<SYS>>\nあなたは誠実で優秀な日本人のアシスタントです。\n<</SYS>>\n\n"
    "Hello, how are you? [/INST] I'm doing great.</s>"
    "[INST] 東京の天気は? [/INST] 晴れです。\n暑いです。</s>",
}

# The stretches of a conversation, by tokenizer: what is asked, and what the assistant is to say.
# fmt: off
STRETCHES: dict[str, dict[str, list[int]]] = {
    "llama2": {
        "[INST]": [518, 25580, 29962],
        "[/INST]": [518, 29914, 25580, 29962],
        "<<SYS>>...": [
            3532, 14816, 29903, 6778, 13, 30641, 30371, 30366, 30449, 235, 173, 163, 31525, 30499, 232, 135, 173, 31701,
            30371, 30325, 30346, 30313, 30199, 30310, 30373, 30255, 30369, 30203, 30279, 30499, 30427, 30267, 13, 29966,
            829, 14816, 29903, 6778, 13, 13,
        ],
        # Behind the blank of `[INST] ` it starts a word, behind the line ends of the system message it does not.
        "ask 1": [15043, 29892, 920, 526, 366, 29973],
        "ask 1 after system": [10994, 29892, 920, 526, 366, 29973],
        "reply 1": [306, 29915, 29885, 2599, 2107, 29889],
        "ask 2": [29871, 30591, 30675, 30199, 30408, 31648, 30449, 29973],
        "reply 2": [
            29871, 233, 156, 183, 30553, 30499, 30427, 30267, 13, 233, 157, 148, 30298, 30499, 30427, 30267,
        ],
        "blank": [29871],
    },
    "mistral": {
        "[INST]": [733, 16289, 28793],
        "[/INST]": [733, 28748, 16289, 28793],
        "<<SYS>>...": [
            2087, 18741, 4060, 13, 29674, 29270, 29227, 29277, 235, 173, 163, 30513, 29230, 31743, 31450, 29270, 29142,
            29119, 29086, 28993, 29322, 29527, 29109, 29341, 29044, 29123, 29230, 29126, 28944, 13, 28789, 700, 18741,
            4060, 13, 13,
        ],
        "ask 1": [22557, 28725, 910, 460, 368, 28804],
        "ask 1 after system": [16230, 28725, 910, 460, 368, 28804],
        "reply 1": [315, 28742, 28719, 2548, 1598, 28723],
        "ask 2": [28705, 30366, 29936, 28993, 29354, 31376, 29277, 28804],
        "reply 2": [
            28705, 233, 156, 183, 29387, 29230, 29126, 28944, 13, 233, 157, 148, 29132, 29230, 29126, 28944,
        ],
        "blank": [28705],
    },
}
# fmt: on
BOS, EOS = [1], [2]

# The template of the card of Shisa 7B (its `tokenizer.chat_template`), which has no form without a system message.
CARD = (
    "{%- for idx in range(0, messages|length) -%}\n{%- if messages[idx]['role'] == 'user' -%}\n{%- if idx > 1 -%}\n"
    "{{- bos_token + '[INST] ' + messages[idx]['content'] + ' [/INST]' -}}\n{%- else -%}\n"
    "{{- messages[idx]['content'] + ' [/INST]' -}}\n{%- endif -%}\n{% elif messages[idx]['role'] == 'system' %}\n"
    "{{- bos_token + '[INST] <<SYS>>\\n' + messages[idx]['content'] + '\\n<</SYS>>\\n\\n' -}}\n"
    "{%- elif messages[idx]['role'] == 'assistant' -%}\n{{- ' ' + messages[idx]['content'] + ' ' + eos_token -}}\n"
    "{% endif %}\n{% endfor %}\n"
)


def parts(name: str, preset: str, system: bool) -> list[tuple[list[int], bool]]:
    """Return the golden conversation as (ids, supervised) stretches."""
    of = STRETCHES[name]
    blank = of["blank"] if preset == "shisa" else []
    between = BOS if preset == "shisa" else []
    asked = of["<<SYS>>..."] + of["ask 1 after system"] if system else of["ask 1"]
    return [
        (BOS + of["[INST]"] + asked + of["[/INST]"], False),
        (of["reply 1"] + blank + EOS, True),
        (between + of["[INST]"] + of["ask 2"] + of["[/INST]"], False),
        (of["reply 2"] + blank + EOS, True),
    ]


@pytest.fixture(params=["llama2", "mistral"])
def real(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Any, Any]:
    """A real vocabulary: its name, our tokenizer, and sentencepiece's own."""
    if request.param == "llama2":
        path = request.getfixturevalue("test_data") / "tinystories-llama" / "tokenizer.model"
    else:
        path = packaged_file("package://mistral-v1")
    model = read_spm(path)
    write_fast_tokenizer(model, tmp_path)
    return request.param, load_tokenizer(tmp_path), model.processor()


@pytest.mark.parametrize("system", [False, True])
@pytest.mark.parametrize("preset", ["shisa", "swallow"])
def test_text_ids_and_supervised_tokens(real: tuple[str, Any, Any], preset: str, system: bool) -> None:
    name, tokenizer, processor = real
    messages = [SYSTEM, *TALK] if system else TALK
    golden = parts(name, preset, system)
    assert render(tokenizer, messages, PRESETS[preset]) == TEXTS[preset, system]
    (encoded,) = encode_conversation(tokenizer, messages, PRESETS[preset])
    assert encoded.ids == [token for ids, _ in golden for token in ids]
    assert encoded.assistant_mask == [trained for ids, trained in golden for _ in ids]
    # Swallow's practice: the last reply alone, the same ids.
    last = encode_reply(tokenizer, messages, PRESETS[preset])
    assert last.ids == encoded.ids
    assert last.assistant_mask == [False] * sum(len(ids) for ids, _ in golden[:3]) + [True] * len(
        golden[3][0]
    )
    # A server renders the messages so far and continues; it sends the very ids that stood before the reply.
    start = 1 if system else 0
    prompt = encode_prompt(tokenizer, messages[: start + 1], PRESETS[preset])
    assert prompt == golden[0][0]
    prompt = encode_prompt(tokenizer, messages[: start + 3], PRESETS[preset])
    assert prompt == [token for ids, _ in golden[:3] for token in ids]
    # And sentencepiece, which knows nothing of all this, cuts the text between control tokens in the same way.
    told: list[int] = []
    for turn in TEXTS[preset, system].split("<s>")[1:]:
        told += BOS
        for number, text in enumerate(turn.split("</s>")):
            told += (EOS if number else []) + (processor.encode(text) if text else [])
    assert told == encoded.ids


def test_shisa_is_its_own_cards_template(real: tuple[str, Any, Any]) -> None:
    """With a system message and three turns the card's template says the same, but for a newline that it lets through."""
    _, tokenizer, _ = real
    theirs = render(tokenizer, [SYSTEM, *TALK[:3]], CARD, generation_prompt=True)
    ours = render(tokenizer, [SYSTEM, *TALK[:3]], PRESETS["shisa"], generation_prompt=True)
    assert theirs.replace("</s>\n<s>", "</s><s>").rstrip("\n") == ours


def test_swallow_trains_what_its_authors_trained(real: tuple[str, Any, Any]) -> None:
    """Their labels: the whole conversation's ids, ignored as far as the prompt's ids reach (llm-recipes, InstructDataset)."""
    _, tokenizer, _ = real
    for messages in (TALK[:2], TALK, [SYSTEM, *TALK]):
        template = PRESETS["swallow"]
        prompt = tokenizer.apply_chat_template(
            messages[:-1], chat_template=template, add_generation_prompt=True
        )["input_ids"]
        example = tokenizer.apply_chat_template(messages, chat_template=template)["input_ids"]
        labels = [-100] * len(prompt) + list(example[len(prompt) :])
        encoded = encode_reply(tokenizer, messages, template)
        ours = [
            token if trained else -100
            for token, trained in zip(encoded.ids, encoded.assistant_mask, strict=True)
        ]
        assert ours == labels
        assert encoded.ids == list(example)
        assert labels[-1] == tokenizer.eos_token_id
