"""The client beside its peers, against a scripted server in another process (200±50 ms; 1.3 KB asked, 1.7 KB answered).

    python benchmarks/endpoint.py                    all of them: 20 minutes on a quiet machine with two cores
    python benchmarks/endpoint.py --only speed       one of speed, crash, storm, budget, million, checks
    python benchmarks/endpoint.py --quick            tiny sizes, without peers: to see that they work

speed    rows a second and CPU a row at 64, 256 and 512 in flight, with 1 % 429 and 1 % 500
crash    kill -9 twenty times: rows lost, answers asked again, requests of a finished run
storm    a server that allows 100 requests a second, 256 in flight: 429s a row, share of the allowed rate, rows lost
budget   512 in flight against a budget: what was spent above it
million  1 M rows of input: memory, time to the first request
checks   CPU a row with every check in the path

Peers: plain aiohttp with the same retries and no ledger, openai-python, litellm, distilabel and curator, each in a virtual
environment of its own under WATARI_PEERS (/tmp/watari-peers), made where it is missing; one that cannot be installed is said
to be missing and left out. `pip`'s own settings say where packages come from (PIP_FIND_LINKS for a folder of wheels).
A server's own CPU time is not a client's; on two cores it takes part of the other one.
"""

from __future__ import annotations

import sys

from parts import run_parts

PARTS = ("speed", "crash", "storm", "budget", "million", "checks")


if __name__ == "__main__":
    sys.exit(run_parts("endpoint", PARTS, __doc__))
