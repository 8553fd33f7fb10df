"""Imports ahead: in a process of its own, for here everything is imported already."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

WHO = """
import asyncio, json, sys, threading

class Notes:
    found = {}
    def find_spec(self, name, path=None, target=None):
        self.found.setdefault(name, threading.current_thread() is threading.main_thread())

sys.meta_path.insert(0, Notes())
from watari.artifact.ahead import import_ahead
early = "pyarrow" in sys.modules
"""


def told(code: str) -> dict[str, object]:
    done = subprocess.run([sys.executable, "-c", WHO + code], capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_pyarrow_is_imported_where_the_loop_runs_and_pandas_beside_it() -> None:
    found = told("""
asyncio.run(import_ahead())
print(json.dumps({
    "early": early, "pyarrow in main": Notes.found.get("pyarrow"), "pandas in main": Notes.found.get("pandas"),
    "pandas": "pandas" in sys.modules, "parquet": "pyarrow.parquet" in sys.modules,
}))
""")
    assert found == {
        "early": False,
        "pyarrow in main": True,  # else libarrow may crash later
        "pandas in main": False,
        "pandas": find_spec("pandas") is not None,
        "parquet": True,
    }


def test_a_broken_pandas_is_passed_over() -> None:
    found = told("""
class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "pandas":
            raise RuntimeError("compiled against another numpy")

sys.meta_path.insert(0, Broken())
asyncio.run(import_ahead())
print(json.dumps({"parquet": "pyarrow.parquet" in sys.modules, "pandas": "pandas" in sys.modules}))
""")
    assert found == {"parquet": True, "pandas": False}
