"""A scripted OpenAI-compatible server on loopback: real HTTP, answers from rules or recordings, faults drawn by seed.

It is the teacher of the demo and the adversary of the tests. An address says all of it:
`replay://demo-teacher?latency=200&sd=50&rate_429=0.01&seed=7`. The same body gets the same answer, and the same fault
when it comes for the same time, so a run against it can be repeated.
"""

from watari.endpoint.replay.running import run, serve, serving
from watari.endpoint.replay.script import Reply, Script, load_script, script_at
from watari.endpoint.replay.server import Listening, ReplayServer
from watari.endpoint.replay.settings import Behaviour, parse_address

__all__ = [
    "Behaviour",
    "Listening",
    "ReplayServer",
    "Reply",
    "Script",
    "load_script",
    "parse_address",
    "run",
    "script_at",
    "serve",
    "serving",
]
