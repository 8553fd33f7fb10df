"""`python -m watari.endpoint.replay`: serve a script until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import sys

from watari.endpoint.replay.running import run
from watari.endpoint.replay.script import REGISTERED, script_at
from watari.endpoint.replay.settings import SCHEME, Behaviour
from watari.errors import WatariError

_ABOUT = """Serve scripted answers over the OpenAI protocol, on 127.0.0.1.

SCRIPT is a registered name ({names}), package.module:function, a .yaml or .jsonl file of rules
(`- {{match: PATTERN, answer: TEXT}}`), a ledger.sqlite or an exported .jsonl of recordings; or a whole address,
replay://SCRIPT?latency=200&rate_429=0.01. The first line printed is the address to give to a client.
GET /stats counts what was served; POST /stats begins anew.

settings (as `--set NAME=VALUE`, or behind ? in an address; others are options of the script):
{settings}"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command; 0 when it is interrupted, 1 for a user's mistake."""
    settings = "\n".join(
        f"  {name:14} {field.description} [{field.default}]" for name, field in Behaviour.model_fields.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m watari.endpoint.replay",
        description=_ABOUT.format(names=", ".join(REGISTERED), settings=settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("script", metavar="SCRIPT")
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input ends")
    options = parser.parse_args(arguments)
    url = options.script if options.script.startswith(SCHEME) else f"{SCHEME}{options.script}"
    if options.set:
        url += ("&" if "?" in url else "?") + "&".join(options.set)
    try:
        asyncio.run(run(script_at(url), options.port, until_eof=options.until_eof))
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        print(f"port {options.port}: {error.strerror} (0 takes any that is free)", file=sys.stderr)
        return 1
    except WatariError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
