"""Labels in English and in Japanese: both stand in the page, and its style shows one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from watari.pages.visible import visible

Pair = tuple[str, str]
"""The same in English and in Japanese."""

FRAME: dict[str, Pair] = {
    "skip": ("Skip to the figures", "本文へ移動"),
    "language": ("Language", "言語"),
    "theme": ("Light or dark", "明暗の切り替え"),
    "contents": ("Contents", "目次"),
    "headline": ("Headline figures", "主な結果"),
}
"""Labels of what every page has."""

LANGUAGES: dict[str, Pair] = {
    "en": ("English", "英語"),
    "ja": ("Japanese", "日本語"),
    "ko": ("Korean", "韓国語"),
    "zh": ("Chinese", "中国語"),
    "id": ("Indonesian", "インドネシア語"),
    "th": ("Thai", "タイ語"),
    "ru": ("Russian", "ロシア語"),
    "el": ("Greek", "ギリシャ語"),
    "hi": ("Hindi", "ヒンディー語"),
    "ar": ("Arabic", "アラビア語"),
    "he": ("Hebrew", "ヘブライ語"),
    "de": ("German", "ドイツ語"),
    "fr": ("French", "フランス語"),
    "es": ("Spanish", "スペイン語"),
    "und": ("unknown", "不明"),
}
"""Names of languages by code."""


@dataclass(frozen=True)
class Labels:
    """The labels of a page.

    Args:
        words: Key to label. A label may hold markup, and the names of values in braces.
    """

    words: Mapping[str, Pair]

    def t(self, key: str, **values: object) -> Markup:
        """Return a label in both languages. Values are escaped.

        Raises:
            KeyError: if there is no such label, or one of its values is not given.
        """
        return both(*self._filled(key, values))

    def t_svg(self, key: str, **values: object) -> Markup:
        """Return a label as `t` does, for inside an SVG text."""
        return both_svg(*self._filled(key, values))

    def aria(self, key: str) -> Markup:
        """Return an `aria-label` in English with its Japanese form beside it, for the page's script to exchange."""
        english, japanese = self.words[key]
        return Markup('aria-label="{}" data-en="{}" data-ja="{}"').format(english, english, japanese)

    def _filled(self, key: str, values: Mapping[str, object]) -> tuple[Markup, Markup]:
        english, japanese = self.words[key]
        return Markup(english).format(**values), Markup(japanese).format(**values)


def both(english: str, japanese: str) -> Markup:
    """Return a text in both languages; what is not markup is escaped."""
    return Markup('<span class="w" lang="en">{}</span><span class="w" lang="ja">{}</span>').format(
        english, japanese
    )


def both_said(english: str, japanese: str) -> Markup:
    """Return a sentence that may hold texts from outside: in both languages, or once where they are the same."""
    texts = [Markup("<bdi>{}</bdi>").format(visible(said, lines=False)) for said in (english, japanese)]
    return texts[0] if texts[0] == texts[1] else both(*texts)


def both_svg(english: str, japanese: str) -> Markup:
    """Return a text in both languages for inside an SVG text; what is not markup is escaped."""
    return Markup('<tspan class="w" lang="en">{}</tspan><tspan class="w" lang="ja">{}</tspan>').format(
        english, japanese
    )


def language_name(code: str) -> Markup:
    """Return a language's name in both languages, or its code if there is none."""
    return both(*LANGUAGES[code]) if code in LANGUAGES else Markup.escape(code)


def language_svg(code: str) -> Markup:
    """Return a language's name as `language_name` does, for inside an SVG text."""
    return both_svg(*LANGUAGES[code]) if code in LANGUAGES else Markup.escape(code)
