"""Documents from files and stages: planned in pieces, read as working tables.

`plan` says which pieces there are; `read` makes tables of one piece; `identify` gives each row its language. Whatever
is wrong with a row stands in its `reason`: `UNREADABLE` are those that mean a fault of the file, which a careful build
stops at; the others ("empty", "not HTML", …) are what crawls are full of.
"""

from watari.corpus.ingest.language import LanguageParams, identify
from watari.corpus.ingest.piece import Piece
from watari.corpus.ingest.planning import plan
from watari.corpus.ingest.rows import UNREADABLE
from watari.corpus.ingest.tables import read

__all__ = ["UNREADABLE", "LanguageParams", "Piece", "identify", "plan", "read"]
