"""What the checks of made rows must know of a language: phrases and forms, as data. A new language is a YAML file here.

Patterns are regular expressions of Python's `re`; letters match whatever their case. Fields:
    refusals     Said by a model that does not do what it was asked for, or asks for the text that it was given.
    sorry        Words of an original that make a refusal in its translation nothing strange.
    announces    A first line that says that a translation follows ("Here is the translation:").
    assents      A first sentence that says yes to the request ("Certainly!").
    nods         Words at the head of an original that make an assent in its translation nothing strange.
    closings     A last line that speaks of the translation, or offers more ("Let me know if ...").
    offers       Words of an original's end that make such an offer nothing strange.
    about        Words that speak of translating: nobody adds them to a text that has nothing to do with it.
    topic        Words of an original that has to do with translating, languages or originals.
    tongues      Words of a conversation in which other languages may be quoted: languages, countries, spelling.
    latin        Names of languages in Latin letters, in which an answer may be wanted.
    notes        Marks of a translator's note.
    empty        Answers that stand for no answer, whole.
    labels       Names of the speakers of a conversation, before a colon.
    asks         Forms that a question or request has.
    answers      Heads of an answer ("Yes, ").
    opens        Heads of a request in an original ("Tell me ...").
    set_phrases  Greetings, thanks and the like, which every language says in its own words.
    words        Words of grammar, in languages with blanks: two of them make a sentence of this language.
    polite, plain  Ends of sentences of the polite and the plain register.
    ends         Ends of a sentence besides punctuation.
    hanging      Ends that no sentence has.
    units        Words in small letters that touch other scripts: units, abbreviations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from watari.errors import UserError


class CheckPhrases(BaseModel):
    """The phrases of one language; see this package's head for the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    code: str
    refusals: list[str] = Field(default_factory=list)
    sorry: list[str] = Field(default_factory=list)
    announces: list[str] = Field(default_factory=list)
    assents: list[str] = Field(default_factory=list)
    nods: list[str] = Field(default_factory=list)
    closings: list[str] = Field(default_factory=list)
    offers: list[str] = Field(default_factory=list)
    about: list[str] = Field(default_factory=list)
    topic: list[str] = Field(default_factory=list)
    tongues: list[str] = Field(default_factory=list)
    latin: list[str] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    empty: list[str] = Field(default_factory=list)
    labels: list[str] = Field(default_factory=list)
    asks: list[str] = Field(default_factory=list)
    answers: list[str] = Field(default_factory=list)
    opens: list[str] = Field(default_factory=list)
    set_phrases: list[str] = Field(default_factory=list)
    words: str = ""
    polite: list[str] = Field(default_factory=list)
    plain: list[str] = Field(default_factory=list)
    ends: list[str] = Field(default_factory=list)
    hanging: list[str] = Field(default_factory=list)
    units: str = ""

    @field_validator("*")
    @classmethod
    def _readable(cls, value: object) -> object:
        for item in value if isinstance(value, list) else ():
            try:
                re.compile(item)
            except re.error as error:
                raise ValueError(f"{item!r} is no regular expression: {error}") from None
        return value


def check_languages() -> list[str]:
    """Return the codes of the languages with phrases, sorted."""
    names = (entry.name for entry in resources.files(__name__).iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


@cache
def check_phrases(code: str) -> CheckPhrases:
    """Return a language's phrases; of a language without a file, none.

    Raises:
        UserError: if the file cannot be read.
    """
    import yaml

    if code not in check_languages():
        return CheckPhrases(code=code)
    content = yaml.safe_load((resources.files(__name__) / f"{code}.yaml").read_text("utf-8"))
    try:
        return CheckPhrases(code=code, **content)
    except ValidationError as error:
        raise UserError(f"languages/checks/{code}.yaml: {error.errors()[0]['msg']}") from None


# What of a pattern is no letter that it matches.
_SYNTAX = re.compile(r"\\.|\[[^\]]*\]|\(\?[a-zA-Z!=<:]+|\{[0-9,]*\}")
_OTHER_LETTER = re.compile(r"[^\W\d_A-Za-z]")
_LATIN_LETTER = re.compile("[A-Za-z]")


class Phrases:
    """Patterns of which any may match, made for texts most of which hold none: each is tried by itself, so that `re` finds
    the places where it can begin, and those in Latin letters only in a text that has some."""

    def __init__(self, patterns: list[str], *, whole: bool = False) -> None:
        always: list[re.Pattern[str]] = []
        latin: list[re.Pattern[str]] = []
        for one in patterns:
            has_latin = _LATIN_LETTER.search(_SYNTAX.sub(" ", one)) is not None
            compiled = re.compile(rf"\A(?:{one})\Z" if whole else one, re.IGNORECASE if has_latin else 0)
            (latin if has_latin and not _OTHER_LETTER.search(one) else always).append(compiled)
        self._always, self._latin = tuple(always), tuple(latin)

    def search(self, text: str) -> re.Match[str] | None:
        """Return a match of the first pattern that has one, whatever the case of Latin letters."""
        for one in self._always:
            if match := one.search(text):
                return match
        if self._latin and _LATIN_LETTER.search(text):
            for one in self._latin:
                if match := one.search(text):
                    return match
        return None

    def finditer(self, text: str) -> Iterator[re.Match[str]]:
        """Yield every match of each pattern, one pattern after another."""
        for one in (*self._always, *self._latin):
            yield from one.finditer(text)


@cache
def pattern(field: str, *codes: str, whole: bool = False) -> Phrases:
    """Return what a field holds in several languages, for `search`.

    Args:
        field: A field that is a list of patterns.
        codes: Languages; one that is named twice counts once.
        whole: True for patterns that are to match all of a text.
    """
    return Phrases(
        [item for code in dict.fromkeys(codes) for item in getattr(check_phrases(code), field)], whole=whole
    )


@cache
def words(field: str, *codes: str) -> frozenset[str]:
    """Return the words of a field that holds words parted by blanks (`words`, `units`)."""
    return frozenset(word for code in codes for word in getattr(check_phrases(code), field).split())
