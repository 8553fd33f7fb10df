"""The command `watari` with the toy stages in its table: run as a script by the tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

TOYS = {
    "toy.source": "toy_stages.source",
    "toy.join": "toy_stages.join",
    "toy.slow": "toy_stages.slow",
    "toy.fail": "toy_stages.fail",
    "toy.ask": "toy_stages.ask",
    "report.run": "toy_stages.report",
}

if __name__ == "__main__":
    from watari.flow.stages import TABLE

    TABLE._modules.update(TOYS)
    from watari.cli.main import main

    main()
