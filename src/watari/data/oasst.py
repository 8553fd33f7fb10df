"""OpenAssistant's message trees: one conversation a tree, along the best-ranked answers.

Two published forms are read: one message a row ({message_id, parent_id, role, text, rank, lang, …}, as in oasst1 and
oasst2 on the hub) and one tree a row ({message_tree_id, prompt: {role, text, replies: […]}}).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from watari.artifact.records import Fault, Record
from watari.data.dialogue import Messages, Misshapen, messages_of


@dataclass(frozen=True)
class Thread:
    """The conversation of one tree.

    Args:
        root: The first message's record; its columns describe the conversation.
        id: The first message's id.
        messages: The turns.
        used: The ids of the messages on the way.
        language: As the first message states it.
    """

    root: Record
    id: str
    messages: Messages
    used: list[str]
    language: str | None


@dataclass(frozen=True)
class Node:
    """One message of a tree."""

    record: Record
    id: str
    parent: str | None
    row: dict[str, Any]


def nodes_of(record: Record) -> list[Node] | Fault:
    """Return the messages in a row: one, or those of a whole tree."""
    tree = record.row.get("prompt")
    if isinstance(tree, dict):
        found: list[Node] = []
        fault = _collect(record, tree, None, found, 1)
        return fault or found
    node = _node(record, record.row, record.row.get("parent_id"))
    return node if isinstance(node, Fault) else [node]


def _collect(
    record: Record, row: dict[str, Any], parent: str | None, found: list[Node], depth: int
) -> Fault | None:
    node = _node(record, row, parent)
    if isinstance(node, Fault):
        return node
    found.append(node)
    replies = row.get("replies") or []
    if not isinstance(replies, list) or not all(isinstance(reply, dict) for reply in replies) or depth > 200:
        return record.fault("field 'replies' is not a list of messages", f"at message {node.id}")
    for reply in replies:
        if fault := _collect(record, reply, node.id, found, depth + 1):
            return fault
    return None


def _node(record: Record, row: dict[str, Any], parent: Any) -> Node | Fault:
    for field in ("message_id", "role", "text"):
        if not isinstance(row.get(field), str):
            return record.fault(f"field '{field}' is not a text")
    if row["role"] not in ("prompter", "assistant"):
        return record.fault("unknown role", repr(row["role"]))
    if parent is not None and not isinstance(parent, str):
        return record.fault("field 'parent_id' is not a text")
    return Node(record, row["message_id"], parent or None, row)


def threads(nodes: list[Node]) -> tuple[list[Thread], list[tuple[Node, str]]]:
    """Return one conversation a tree, and every message that is in none, with the reason.

    At each step the reply with the lowest `rank` is taken (unranked ones last, then by id); messages that were
    deleted or failed review are not taken, nor is what hangs on them. A tree without any answer gives no conversation,
    and a last turn of the user is left off.
    """
    replies: dict[str, list[Node]] = {}
    known = {node.id for node in nodes}
    for node in nodes:
        if node.parent is not None:
            replies.setdefault(node.parent, []).append(node)
    found = []
    reasons: dict[int, str] = {}
    for root in nodes:
        if root.parent is not None:
            if root.parent not in known:
                reasons[id(root)] = "its parent is missing"
            continue
        way = _way(root, replies)
        while way and way[-1].row["role"] != "assistant":
            way = way[:-1]
        try:
            turns = messages_of([{"role": n.row["role"], "content": n.row["text"]} for n in way], "text")
        except Misshapen as error:
            reasons[id(root)] = "no answer in its tree" if not way else error.reason
            continue
        for node in way:
            reasons[id(node)] = ""
        language = root.row.get("lang")
        found.append(
            Thread(
                root.record,
                root.id,
                turns,
                [n.id for n in way],
                language if isinstance(language, str) else None,
            )
        )
    left = [(node, reasons.get(id(node), "not on the best-ranked way")) for node in nodes]
    return found, [(node, reason) for node, reason in left if reason]


def _way(root: Node, replies: dict[str, list[Node]]) -> list[Node]:
    way: list[Node] = []
    seen: set[str] = set()
    node: Node | None = root if _usable(root) else None
    while node is not None and node.id not in seen:
        seen.add(node.id)
        way.append(node)
        choices = [reply for reply in replies.get(node.id, []) if _usable(reply)]
        node = min(choices, key=_rank, default=None)
    return way


def _usable(node: Node) -> bool:
    return not node.row.get("deleted") and node.row.get("review_result") is not False


def _rank(node: Node) -> tuple[float, str]:
    rank = node.row.get("rank")
    return (float(rank) if isinstance(rank, int | float) else float("inf"), node.id)
