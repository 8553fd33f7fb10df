"""What is done with one row of `synth.translate`: dropped, taken from a person, routed away, or up the ladder."""

from __future__ import annotations

from watari.artifact.rows import Row
from watari.errors import UserError
from watari.synth.human import Filled, source_hash
from watari.synth.ladder import Messages
from watari.synth.routing import Routed, route
from watari.synth.translate_account import Done, by_person
from watari.synth.translate_params import Params
from watari.synth.translator import Translator

ROLES = frozenset({"system", "user", "assistant", "tool"})


class Work:
    """What is done with a row.

    Args:
        translator: Who translates.
        people: What persons have translated, by id.
    """

    def __init__(self, translator: Translator, people: dict[str, Filled]) -> None:
        self._translator = translator
        self._people = people
        self._met: set[str] = set()

    async def row(self, row: Row) -> Done:
        """Return what became of one row."""
        translator, params = self._translator, self._translator.params
        found = readable(row, params)
        if found.drop:
            return found
        messages = found.source
        if (filled := self._people.get(str(row["id"]))) is not None:
            self._met.add(str(row["id"]))
            by_hand = await self._by_person(found, filled)
            if by_hand is not None:
                return by_hand
        routed = routed_away(messages, params)
        if routed is not None:
            found.category = routed.category
            if params.routed == "drop":
                found.drop, found.detail = "not to be translated", f"{routed.category}: {routed.matched}"
                return found
            if params.routed == "native":
                found.outcome = await translator.native(str(row["id"]), messages, routed)
                return found
        taken = translator.segmented(messages)
        found.masked = sum(len(text) for text in taken.masks.texts)
        if not taken.segments:
            found.drop = "nothing to translate"
            return found
        found.outcome = await translator.translate(str(row["id"]), messages, taken)
        return found

    def left_over(self, file: str) -> list[str]:
        """Return a line for every row of the human file that no row of the data has."""
        return [
            f"{file}: line {filled.line}: row {name}: no such row in the data"
            for name, filled in self._people.items()
            if name not in self._met
        ]

    async def _by_person(self, found: Done, filled: Filled) -> Done | None:
        """Return the row as a person translated it, or None if that cannot be used; then the ladder is climbed."""
        translator, name = self._translator, f"human file: line {filled.line}: row {found.row['id']}"
        if filled.source != source_hash(found.source):
            found.refused = f"{name}: its source is another one now; the row is translated anew"
            return None
        if [one["role"] for one in filled.messages] != [one["role"] for one in found.source]:
            found.refused = f"{name}: its messages are not those of the source; the row is translated anew"
            return None
        meta = translator.meta(translator.glossary(found.source))
        findings = await translator.checks.pair(found.source, filled.messages, meta)
        outcome = by_person(filled.messages, findings, forced=filled.force)
        if not outcome.accepted:
            found.refused = f"{name}: {outcome.detail}; mend it, or set `force`"
        found.outcome = outcome
        found.reviewer = filled.reviewer or "unsigned"
        found.forced = filled.force
        return found


def readable(row: Row, params: Params) -> Done:
    """Return the row with the messages that are to be translated, or why it is dropped.

    Raises:
        UserError: naming the row, with `on_error: stop`.
    """
    done = Done(row)
    fault = _fault(row)
    if fault:
        if params.on_error == "stop":
            raise UserError(f"row {row.get('id')}: {fault}", "mend the row, or set `on_error: drop`")
        done.drop, done.detail = "not a conversation", fault
        return done
    messages: Messages = [{"role": one["role"], "content": one["content"]} for one in row["messages"]]
    if params.system == "drop":
        messages = [one for one in messages if one["role"] != "system"]
    done.source = messages
    if not any(one["content"].strip() for one in messages):
        done.drop = "nothing to translate"
    elif row.get("language") == params.language:
        done.drop, done.detail = "in the target language", f"it says that it is '{params.language}'"
    return done


def _fault(row: Row) -> str:
    if isinstance(row.get("fault"), str):
        # A row that could not even be read, as the command line hands it over.
        return str(row["fault"])
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return "no messages"
    for place, one in enumerate(messages, 1):
        if not isinstance(one, dict) or not isinstance(one.get("content"), str):
            return f"message {place} has no text"
        if one.get("role") not in ROLES:
            return f"message {place}: role {one.get('role')!r} is none of {', '.join(sorted(ROLES))}"
    if row.get("id") in (None, ""):
        return "no id"
    return ""


def routed_away(messages: Messages, params: Params) -> Routed | None:
    """Return where a conversation is routed, or None if it is translated."""
    if params.routed == "translate":
        return None
    routed = route(messages, params.source_language)
    return None if routed.translate else routed
