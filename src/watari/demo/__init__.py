"""The little parallel world that the demo learns: made from a seed, in English and Japanese, with nothing downloaded.

People put things in places, keep animals, buy, eat, sing; the weather changes; somebody's aunt is a pilot. Every fact
says itself in both languages, and knows questions about itself with one right answer. What a test asks about are
combinations that no training text holds; every single word stands in training.
"""

from watari.demo.dialogue import conversations
from watari.demo.documents import documents, parallel
from watari.demo.facts import LANGUAGES, SPLITS
from watari.demo.preferences import preferences
from watari.demo.questions import questions
from watari.demo.sources import RESOURCES, rows

__all__ = [
    "LANGUAGES",
    "RESOURCES",
    "SPLITS",
    "conversations",
    "documents",
    "parallel",
    "preferences",
    "questions",
    "rows",
]
