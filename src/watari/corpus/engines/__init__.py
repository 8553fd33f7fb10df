"""Where the tasks of a step run: a pool of processes here, or datatrove's executors (local, Ray, Slurm).

Every engine calls the same function for the same task numbers, so every engine writes the same files. What is done is
what has left its mark in the work folder, whatever an engine's own records say.
"""

from watari.corpus.engines.options import ENGINES, EngineOptions
from watari.corpus.engines.running import RUN_TASK, prepare, run

__all__ = ["ENGINES", "RUN_TASK", "EngineOptions", "prepare", "run"]
