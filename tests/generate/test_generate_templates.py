"""Chat templates and masks: the cards' formats to the character, and training ids that inference will see too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_llama import TEMPLATE, TEXT, make_tokenizer
from watari.errors import UserError
from watari.generate.masking import check_template, encode_conversation, encode_reply
from watari.generate.templates import PRESETS, encode_prompt, read_template, render, stored_template
from watari.pretrained import copy_tokenizer, load_tokenizer

SYSTEM = {"role": "system", "content": "あなたは誠実で優秀な日本人のアシスタントです。"}
TALK = [
    {"role": "user", "content": "Hello, how are you?"},
    {"role": "assistant", "content": "I'm doing great."},
    {"role": "user", "content": "赤いボールは?"},
    {"role": "assistant", "content": "公園です。"},
]
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# The prompt ends in a blank, which BPE joins to the reply when it sees both.
BLANK = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ 'USER: ' + m.content + '\nASSISTANT: ' }}"
    "{% else %}{{ m.content + eos_token }}{% endif %}{% endfor %}"
)
# Earlier replies are shown shortened, as templates do that hide a model's thoughts.
REWRITING = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + (m.content if loop.last else m.content[:2]) + eos_token }}{% endif %}{% endfor %}"
)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer in the Llama form: blank before the text, byte fallback, BOS added by default."""
    folder = tmp_path_factory.mktemp("llama")
    make_tokenizer(folder, template=None)
    return load_tokenizer(folder)


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A tokenizer in the Qwen form: bytes, pre-tokens, ChatML's control tokens, no BOS."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    raw.train_from_iterator(TEXT, trainer)
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    raw.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    folder = tmp_path_factory.mktemp("bytes")
    raw.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|endoftext|>",
        "chat_template": CHATML,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")
    return load_tokenizer(folder)


def trained_text(tokenizer: Any, messages: list[dict[str, str]], template: str) -> list[str]:
    """Return the text of every stretch of supervised tokens."""
    found: list[list[int]] = []
    for encoded in encode_conversation(tokenizer, messages, template):
        before = False
        for token, trained in zip(encoded.ids, encoded.assistant_mask, strict=True):
            if trained and not before:
                found.append([])
            if trained:
                found[-1].append(token)
            before = trained
    return ["".join(tokenizer.convert_ids_to_tokens(ids)).replace("▁", " ") for ids in found]


# -- the two presets, to the character ------------------------------------------------------------------------------


def test_shisa_is_the_card(llama: Any) -> None:
    system = {"role": "system", "content": "You are a helful, unbiased, uncensored assistant."}
    head = "<s>[INST] <<SYS>>\nYou are a helful, unbiased, uncensored assistant.\n<</SYS>>\n\n"
    shisa = PRESETS["shisa"]
    assert render(llama, [system, *TALK[:1]], shisa, generation_prompt=True) == head + (
        "Hello, how are you? [/INST]"
    )
    assert render(llama, [system, *TALK[:3]], shisa, generation_prompt=True) == head + (
        "Hello, how are you? [/INST] I'm doing great. </s><s>[INST] 赤いボールは? [/INST]"
    )
    assert render(llama, [system, *TALK], shisa) == head + (
        "Hello, how are you? [/INST] I'm doing great. </s><s>[INST] 赤いボールは? [/INST] 公園です。 </s>"
    )


def test_swallow_is_the_card(llama: Any) -> None:
    head = "<s>[INST] <<SYS>>\nあなたは誠実で優秀な日本人のアシスタントです。\n<</SYS>>\n\n"
    swallow = PRESETS["swallow"]
    assert render(llama, [SYSTEM, *TALK[:3]], swallow, generation_prompt=True) == head + (
        "Hello, how are you? [/INST] I'm doing great.</s>[INST] 赤いボールは? [/INST]"
    )
    assert render(llama, [SYSTEM, *TALK], swallow) == head + (
        "Hello, how are you? [/INST] I'm doing great.</s>[INST] 赤いボールは? [/INST] 公園です。</s>"
    )
    # The card's own code renders without a generation prompt and generates from that.
    assert render(llama, [SYSTEM, *TALK[:3]], swallow) == render(
        llama, [SYSTEM, *TALK[:3]], swallow, generation_prompt=True
    )


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_bos_stands_without_a_system_message_too(llama: Any, name: str) -> None:
    assert render(llama, TALK[:1], PRESETS[name]) == "<s>[INST] Hello, how are you? [/INST]"
    for messages in (TALK[:1], [SYSTEM, *TALK[:3]]):
        ids = encode_prompt(llama, messages, PRESETS[name])
        assert ids[0] == llama.bos_token_id
        assert ids[1] != llama.bos_token_id


@pytest.mark.parametrize("name", sorted(PRESETS))
@pytest.mark.parametrize(
    ("roles", "generation"),
    [
        ("", False),
        ("s", False),
        ("a", False),
        ("uu", False),
        ("uaa", False),
        ("us", False),
        ("ssu", False),
        ("uasu", False),
        ("ua", True),
    ],
)
def test_presets_refuse_what_they_cannot_say(llama: Any, name: str, roles: str, generation: bool) -> None:
    full = {"s": "system", "u": "user", "a": "assistant"}
    messages = [{"role": full[role], "content": "x"} for role in roles]
    with pytest.raises(UserError, match="refuses the conversation"):
        render(llama, messages, PRESETS[name], generation_prompt=generation)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_stored_preset_works_with_no_code_of_ours(tmp_path: Path, name: str) -> None:
    from transformers import AutoTokenizer

    make_tokenizer(tmp_path / "base", template=TEMPLATE)
    # A base model's own template in the newer place must not win over the one that was trained.
    (tmp_path / "base" / "chat_template.jinja").write_text(TEMPLATE, "utf-8")
    copy_tokenizer(tmp_path / "base", tmp_path / "chat", settings={"chat_template": PRESETS[name]})
    reloaded = AutoTokenizer.from_pretrained(str(tmp_path / "chat"))
    ours = load_tokenizer(tmp_path / "base")
    (encoded,) = encode_conversation(ours, [SYSTEM, *TALK], PRESETS[name])
    theirs = reloaded.apply_chat_template([SYSTEM, *TALK], return_assistant_tokens_mask=True)
    assert theirs["input_ids"] == encoded.ids
    assert [bool(value) for value in theirs["assistant_masks"]] == encoded.assistant_mask
    prompt = reloaded.apply_chat_template(TALK[:3], add_generation_prompt=True)["input_ids"]
    assert prompt == encode_prompt(ours, TALK[:3], PRESETS[name])
    assert stored_template(load_tokenizer(tmp_path / "chat")) == PRESETS[name]


# -- masks ----------------------------------------------------------------------------------------------------------


def test_masks_hold_the_replies_with_their_ends_and_nothing_else(llama: Any, byte_level: Any) -> None:
    words = [{**message, "content": message["content"].replace("公園です", "Fine")} for message in TALK]
    assert trained_text(llama, words, PRESETS["shisa"])[0] == " I<0x27>m doing great. </s>"
    assert trained_text(llama, words, PRESETS["swallow"])[0] == " I<0x27>m doing great.</s>"
    # ChatML writes a newline after the end of the turn, which the model is never asked for.
    assert trained_text(byte_level, TALK[:2], CHATML) == ["I'mĠdoingĠgreat.<|im_end|>"]
    (encoded,) = encode_conversation(byte_level, TALK, CHATML)
    last = max(index for index, trained in enumerate(encoded.assistant_mask) if trained)
    assert last == len(encoded.ids) - 2
    assert check_template(byte_level, CHATML) == byte_level.convert_tokens_to_ids("<|im_end|>")


TEXTS = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Z"), include_characters="\n\t"), max_size=12
)


@given(
    replies=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3),
    name=st.sampled_from(["shisa", "swallow", "chatml", "blank", "rewriting"]),
)
def test_prompts_of_inference_are_prefixes_of_training(
    llama: Any, byte_level: Any, replies: list[tuple[str, str]], name: str
) -> None:
    own = {**PRESETS, "chatml": CHATML, "blank": BLANK, "rewriting": REWRITING}
    tokenizer, template = (byte_level if name == "chatml" else llama), own[name]
    messages = [
        message
        for user, reply in replies
        for message in ({"role": "user", "content": user}, {"role": "assistant", "content": reply + "."})
    ]
    sequences = encode_conversation(tokenizer, messages, template)
    starts = []
    for encoded in sequences:
        mask = encoded.assistant_mask
        starts += [
            encoded.ids[:index]
            for index, trained in enumerate(mask)
            if trained and not (index and mask[index - 1])
        ]
    # One supervised stretch a reply, and what stands before it is what a server would send.
    assert starts == [
        encode_prompt(tokenizer, messages[: 2 * turn + 1], template) for turn in range(len(replies))
    ]
    if name in PRESETS:
        (only,) = sequences
        assert only.ids == list(tokenizer.apply_chat_template(messages, chat_template=template)["input_ids"])


def test_a_boundary_that_bpe_would_merge_is_kept(llama: Any) -> None:
    messages = TALK[:2]
    prompt = encode_prompt(llama, messages[:1], BLANK)
    whole = list(llama.apply_chat_template(messages, chat_template=BLANK)["input_ids"])
    assert whole[: len(prompt)] != prompt, "this tokenizer does not merge here, so the test shows nothing"
    encoded = encode_reply(llama, messages, BLANK)
    assert encoded.ids[: len(prompt)] == prompt
    assert llama.decode(encoded.ids) == llama.decode(whole)
    assert encoded.assistant_mask == [False] * len(prompt) + [True] * (len(encoded.ids) - len(prompt))


def test_a_rewriting_template_gives_one_sequence_a_reply(llama: Any) -> None:
    first, second = encode_conversation(llama, TALK, REWRITING)
    assert first.ids == encode_reply(llama, TALK[:2], REWRITING).ids
    assert "I' [INST]" not in llama.decode(second.ids)
    assert second.ids == encode_reply(llama, TALK, REWRITING).ids
    assert first.supervised > 0
    assert second.supervised > 0


# -- unfit templates ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "said"),
    [
        (PRESETS["shisa"].replace("{{- bos_token -}}\n", "", 1), "writes no <s>"),
        (PRESETS["shisa"].replace("{{- bos_token -}}\n", "{{- bos_token + bos_token -}}\n", 1), "2 times"),
        (PRESETS["swallow"].replace(" + eos_token", ""), "no special token"),
        (
            "{{ bos_token }}{% for m in messages %}{{ m.content + eos_token }}{% endfor %}"
            "{% if add_generation_prompt %}{{ 'Reply:' }}{% endif %}",
            "does not begin",
        ),
    ],
)
def test_unfit_templates_are_told(llama: Any, template: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        check_template(llama, template)


def test_a_conversation_without_a_reply_is_told(llama: Any) -> None:
    for messages in ([], TALK[:1], TALK[:3]):
        with pytest.raises(UserError, match="does not end with the assistant's reply"):
            encode_conversation(llama, messages, PRESETS["shisa"])


def test_a_model_without_a_template_is_told(llama: Any) -> None:
    with pytest.raises(UserError, match="no chat template"):
        render(llama, TALK)


def test_a_template_file_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "own.jinja"
    path.write_text(PRESETS["swallow"] + "\n", "utf-8")
    assert read_template(path) == PRESETS["swallow"]
    dashed = PRESETS["swallow"].replace("{% generation %}", "{%- generation -%}")
    path.write_text(dashed, "utf-8")
    assert read_template(path) == dashed
    path.write_text("{% for m in messages %}\n{{ m.content }\n{% endfor %}", "utf-8")
    with pytest.raises(UserError, match=r"own\.jinja:2: not a Jinja template"):
        read_template(path)
    with pytest.raises(UserError, match="cannot be read"):
        read_template(tmp_path / "none.jinja")


# -- real tokenizers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["mistral-v1", "mistral-v3"])
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_on_the_real_mistral_tokenizers(tmp_path: Path, version: str, name: str) -> None:
    from watari.artifact.outside import packaged_file
    from watari.pretrained.fast import write_fast_tokenizer
    from watari.pretrained.sentencepiece import read_spm

    write_fast_tokenizer(read_spm(packaged_file(f"package://{version}")), tmp_path)
    tokenizer: Any = load_tokenizer(tmp_path)
    assert check_template(tokenizer, PRESETS[name]) == tokenizer.eos_token_id
    messages = [
        SYSTEM,
        *TALK,
        {"role": "user", "content": "続けて。\n\n- 一\n- two"},
        {"role": "assistant", "content": "\n  はい、\n\n```\nx = 1\n```\n🍡"},
    ]
    (encoded,) = encode_conversation(tokenizer, messages, PRESETS[name])
    for end in (2, 4, 6):
        prompt = encode_prompt(tokenizer, messages[:end], PRESETS[name])
        assert encoded.ids[: len(prompt)] == prompt
        assert not encoded.assistant_mask[len(prompt) - 1]
        assert encoded.assistant_mask[len(prompt)]
    supervised = [token for token, on in zip(encoded.ids, encoded.assistant_mask, strict=True) if on]
    # Blanks aside: v3 reads [/INST] as a control token and starts what follows with one more.
    said = "".join(f"{m['content']}</s>" for m in messages if m["role"] == "assistant")
    assert "".join(tokenizer.decode(supervised).split()) == "".join(said.split())
