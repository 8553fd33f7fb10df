"""The ledger: what was recorded is there, whatever happens to the process, in SQLite and in PostgreSQL alike."""

import asyncio
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
import uuid
from pathlib import Path

import pytest

import one_postgres
from watari.endpoint.ledger import Attempt, Failure, Spend, Verdict, open_ledger
from watari.errors import StageFailed, UserError

SOURCE = str(Path(__file__).parents[2] / "src")


def attempt(key: str = "k", **changed) -> Attempt:
    given = {
        "key": key, "unit": f"unit of {key}", "label": "translated", "row": "row 渡り", "rung": 0,
        "purpose": "translate", "endpoint": "fast", "model": "m", "status": "answered", "http": 200,
        "request": b'{"messages": []}', "response": b'{"choices": []}', "prompt_tokens": 10, "completion_tokens": 5,
        "cost": 0.000015, "sent": 1000.0, "seconds": 0.25,
    }  # fmt: skip
    return Attempt(**{**given, **changed})


@pytest.fixture(scope="module")
def postgres():
    if lacking := one_postgres.missing():
        pytest.skip(f"needs {', '.join(lacking)}")
    with one_postgres.running() as address:
        yield address


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, tmp_path):
    """An address where no ledger is yet."""
    if request.param == "sqlite":
        return str(tmp_path / "run")
    import psycopg

    base = f"base_{uuid.uuid4().hex[:12]}"
    address = request.getfixturevalue("postgres")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {base}")
    return address.rpartition("/")[0] + f"/{base}"


def test_what_is_recorded_is_found_again(place):
    async def main():
        with open_ledger(place) as ledger:
            assert ledger.find("a") is None
            assert ledger.failure("a") is None
            numbers = await asyncio.gather(
                ledger.record(attempt("a", status="rate limited", http=429, detail="slow\0down \ud800")),
                *(ledger.record(attempt(f"k{i}")) for i in range(300)),
            )
            assert numbers == list(range(1, 302))
            assert ledger.failure("a") == Failure(1, "rate limited", 429, "slow�down ?")
            assert ledger.find("a") is None
            await ledger.record(attempt("a", response=b"\x00\xff later"))
            found = ledger.find("a")
            assert (found.attempt, found.response, found.cost, found.prompt_tokens) == (
                302,
                b"\x00\xff later",
                0.000015,
                10,
            )
            assert ledger.failure("a") is None
            assert ledger.spent() == ledger.spent("translated") == Spend(0.00453, 302 * 15, 302)
            assert ledger.spent("other") == Spend()

    asyncio.run(main())
    with open_ledger(place, readonly=True) as ledger:
        assert ledger.find("k7").attempt == 9
        with pytest.raises(UserError, match="reading only"):
            ledger.judge([])


def test_verdicts_are_there_at_once_and_later(place):
    with open_ledger(place) as ledger:
        ledger.record_all([attempt("a")])
        verdict = Verdict(1, "v1", False, ("numbers", "register"))
        ledger.judge([verdict])
        assert ledger.verdict_of(1, "v1") == verdict
        ledger.judge([Verdict(1, "v1", True), Verdict(1, "v2", True, ("x",))])
        assert ledger.verdict_of(1, "v1") == Verdict(1, "v1", True)
    with open_ledger(place) as ledger:
        assert ledger.verdict_of(1, "v1") == Verdict(1, "v1", True)
        assert ledger.verdict_of(1, "v2").codes == ("x",)
        assert ledger.verdict_of(1, "v3") is None


def test_retry_voids_and_counts_up_but_deletes_nothing(place):
    with open_ledger(place) as ledger:
        ledger.record_all(
            [
                attempt("a0", unit="a"),
                attempt("a1", unit="a", rung=1),
                attempt("b0", unit="b"),
                attempt("c0", unit="c", label="pairs"),
                attempt("d0", unit="d", status="timeout", http=0),
            ]
        )
        ledger.judge(
            [
                Verdict(1, "v", False, ("numbers",)),
                Verdict(2, "v", True, ()),
                Verdict(3, "v", False, ("numbers", "urls")),
                Verdict(4, "v", True, ("numbers",)),
            ]
        )
        with pytest.raises(UserError, match="which units"):
            ledger.retry()
        # a's last judged answer is clean, so a is not asked again.
        assert ledger.retry(check="numbers", label="translated") == 1
        assert [ledger.generation(unit) for unit in "abcd"] == [0, 1, 0, 0]
        assert ledger.find("b0") is None
        assert ledger.find("a0").attempt == 1
        assert ledger.retry(check="number") == 0
        assert ledger.retry(check="numbers") == 1, "c; b was already"
        assert ledger.retry(status="timeout") == 1
        assert ledger.retry(label="translated") == 1
        assert ledger.rows("SELECT count(*) FROM attempt") == [(5,)]
        assert ledger.spent().requests == 5
    with open_ledger(place, readonly=True) as ledger:
        assert [ledger.generation(unit) for unit in "abcd"] == [1, 1, 1, 1]


def test_secrets_stay_out(place):
    secret = "sk-0123456789abcdef"
    with open_ledger(place) as ledger:
        ledger.hide(secret, "EMPTY", 'odd"secret/1')
        ledger.record_all(
            [
                attempt(
                    "a",
                    status="refused by the server",
                    response=f"Incorrect key {secret}. EMPTY".encode() + b' odd\\"secret/1 odd%22secret%2F1',
                    detail=f"key {secret}",
                    request=secret.encode(),
                )
            ]
        )
        body = ledger.rows("SELECT request, response FROM body")[0]
        assert body == (b"[hidden]", b"Incorrect key [hidden]. EMPTY [hidden] [hidden]")
        assert ledger.failure("a").detail == "key [hidden]"


WRITER = """
import asyncio, sys
from watari.endpoint.ledger import Attempt, open_ledger
async def main():
    ledger = open_ledger(sys.argv[1])
    gate = asyncio.Semaphore(64)
    async def one(i):
        async with gate:
            await ledger.record(Attempt(f"{sys.argv[2]}{i}", f"u{i}", sys.argv[2], "r", 0, "t", "e", "m", "answered", 200, b"q" * 500, b"a" * 900))
            print(i, flush=True)
    await asyncio.gather(*(one(i) for i in range(int(sys.argv[3]))))
    ledger.close()
asyncio.run(main())
"""


def writer(place: str, label: str, count: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), place, label, str(count)],
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdout=subprocess.PIPE,
    )


def test_several_processes_write_at_once_and_others_read(place):
    writers = [writer(place, label, 600) for label in "abc"]
    seen: list[tuple[int, int]] = []
    late = 0
    while any(process.poll() is None for process in writers):
        try:
            with open_ledger(place, readonly=True) as ledger:
                seen.append(ledger.rows("SELECT count(*), coalesce(max(id), 0) FROM attempt")[0])
        except UserError:
            late += bool(seen)
        time.sleep(0.02)
    assert [process.wait() for process in writers] == [0, 0, 0]
    assert seen == sorted(seen)
    assert late == 0, "only before the ledger is made can it not be read"
    assert all(count == highest for count, highest in seen), "no gap is ever seen"
    with open_ledger(place) as ledger:
        assert ledger.rows("SELECT label, count(*) FROM attempt GROUP BY label ORDER BY label") == [
            ("a", 600), ("b", 600), ("c", 600)
        ]  # fmt: skip
        assert ledger.spent().requests == 1800


def test_kill_9_loses_nothing_that_was_acknowledged(place):
    for round_ in range(2):
        process = writer(place, f"r{round_}-", 20_000)
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(0.05 + 0.1 * round_)
        process.send_signal(signal.SIGKILL)
        told = [line for line in (first + process.stdout.read()).split(b"\n")[:-1] if line]
        process.wait()
        with open_ledger(place) as ledger:
            there = {
                key for (key,) in ledger.rows("SELECT key FROM attempt WHERE label = ?", (f"r{round_}-",))
            }
            assert {f"r{round_}-{int(number)}" for number in told} <= there
            assert ledger.rows("SELECT count(*) FROM attempt") == ledger.rows("SELECT count(*) FROM body")
            assert ledger.rows("SELECT count(*) FROM attempt")[0][0] == ledger.spent().requests


def test_postgres_goes_on_after_a_broken_connection(postgres):
    import psycopg

    async def main():
        with open_ledger(postgres) as ledger:
            for i in range(40):
                await ledger.record(attempt(f"broken{i}"))
                if i % 10 == 5:
                    with psycopg.connect(postgres, autocommit=True) as other:
                        other.execute(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                        )
            assert ledger.rows("SELECT count(*), count(DISTINCT key), max(id) FROM attempt") == [(40, 40, 40)]

    asyncio.run(main())


def test_what_is_no_ledger_is_refused_in_words(tmp_path, monkeypatch):
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to look at" * 10)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE cookies (x)")
    newer = tmp_path / "newer.sqlite"
    open_ledger(newer).close()
    with sqlite3.connect(newer) as connection:
        connection.execute("UPDATE ledger SET value = '9'")
    for path, said in ((text, "no SQLite file"), (other, "another program"), (newer, "newer watari")):
        for readonly in (False, True):
            with pytest.raises(UserError, match=said):
                open_ledger(path, readonly=readonly)
    with pytest.raises(UserError, match="no ledger is there"):
        open_ledger(tmp_path / "nothing.sqlite", readonly=True)
    assert not (tmp_path / "nothing.sqlite").exists()
    with pytest.raises(UserError, match="not understood"):
        open_ledger("mysql://host/base")
    with pytest.raises(UserError, match="PGPASSWORD") as refused:
        open_ledger("postgresql://me:hunter22@host/base")
    assert "hunter22" not in str(refused.value)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match="needs psycopg"):
        open_ledger("postgresql://127.0.0.1:1/base")


def test_a_server_that_is_not_there_is_told(postgres):
    with pytest.raises(UserError, match="cannot be reached"):
        open_ledger("postgresql://watari@127.0.0.1:1/base")
    with pytest.raises(UserError, match="no ledger is there"):
        open_ledger(postgres.rpartition("/")[0] + "/template1", readonly=True)


def test_a_damaged_file_is_told(tmp_path):
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path) as ledger:
        ledger.record_all([attempt(f"k{i}", response=os.urandom(3000)) for i in range(200)])
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\x5a" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        _use(path)


def _use(path: Path) -> None:
    with open_ledger(path) as ledger:
        ledger.find("k1")
        ledger.record_all([attempt("x")])


def test_a_full_disk_is_told_and_what_was_acknowledged_is_there(tmp_path):
    """A limit on the file's size is as near to a full disk as a test gets without one; SQLite calls it an I/O error."""
    code = """
    import asyncio, resource, signal, sys
    from watari.endpoint.ledger import Attempt, open_ledger
    from watari.errors import WatariError
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    async def main():
        ledger = open_ledger(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        done = 0
        try:
            while True:
                await ledger.record(Attempt(f"k{done}", "u", "l", "r", 0, "t", "e", "m", "answered", 200, b"q" * 9000, b"a" * 9000))
                done += 1
        except WatariError as error:
            print(done, type(error).__name__, error)
        try:
            ledger.close()
        except WatariError:
            pass
    asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "l.sqlite")],
        env={**os.environ, "PYTHONPATH": SOURCE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    count, name, said = done.stdout.strip().split(" ", 2)
    assert name == "StageFailed"
    assert "disk" in said
    assert "recorded is safe" in said
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        assert int(count) > 5
        assert all(ledger.find(f"k{i}") for i in range(int(count)))


def test_a_full_disk_in_sqlites_words(tmp_path):
    with open_ledger(tmp_path) as ledger:
        ledger.transact(lambda tx: tx.run("PRAGMA max_page_count = 30"))
        with pytest.raises(StageFailed, match="the disk is full"):
            ledger.record_all([attempt(f"k{i}", response=b"x" * 5000) for i in range(50)])


def test_a_read_only_file_is_told_and_still_read():
    # Not below pytest's own folder, which nobody but its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="watari-read-only-", dir="/tmp"))
    path = folder / "ledger.sqlite"
    with open_ledger(path) as ledger:
        ledger.record_all([attempt("a")])
    # Root may write anything, so it becomes nobody; in a folder that nobody can reach.
    code = """
    import os, sys, tempfile
    import sqlite3, orjson, urllib.parse, json
    from watari.endpoint.ledger import open_ledger
    from watari.errors import UserError
    if os.geteuid() == 0:
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
    print(open_ledger(sys.argv[1], readonly=True).find('a').attempt)
    try:
        open_ledger(sys.argv[1])
    except UserError as error:
        print(error)
    """
    path.chmod(0o444)
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), str(path)],
            env={**os.environ, "PYTHONPATH": SOURCE}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "1"
    assert "cannot be written: it is read-only" in lines[1]
