"""Talking with a model in the terminal."""

from watari.chat.commands import COMMANDS
from watari.chat.conversation import Conversation
from watari.chat.editing import history_path, set_up
from watari.chat.repl import Answerer, Chat, answer_once
from watari.chat.screen import Screen

__all__ = ["COMMANDS", "Answerer", "Chat", "Conversation", "Screen", "answer_once", "history_path", "set_up"]
