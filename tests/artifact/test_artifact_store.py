"""Manifests, the store, locks."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from watari.artifact import atomic
from watari.artifact.kinds import Kind
from watari.artifact.manifest import (
    FileEntry,
    Manifest,
    digest_of,
    list_files,
    now,
    read_manifest,
    write_manifest,
)
from watari.artifact.store import Store, held, locked, verify
from watari.errors import CheckFailed, Interrupted, StageFailed, UserError


def manifest_for(folder: Path, key: str = "k1", **more) -> Manifest:
    files = list_files(folder)
    fields = {
        "kind": Kind.DOCUMENTS,
        "uses": "corpus.build",
        "stage_version": 1,
        "key": key,
        "digest": digest_of(files),
        "parameters": {"a": 1},
        "files": files,
        "metrics": {"loss": 1.25},
        "started": now(),
        "finished": now(),
        "seconds": 0.5,
    }
    return Manifest.model_validate({**fields, **more})


def build(store: Store, key: str = "k1", text: str = "hello", **more) -> Path:
    with store.building(key) as folder:
        (folder / "work").mkdir()
        (folder / "work/scratch").write_text("x")
        (folder / "logs").mkdir()
        (folder / "logs/out.log").write_text(now())
        (folder / "sub").mkdir()
        (folder / "sub/data.txt").write_text(text)
        return store.publish(folder, manifest_for(folder, key, **more))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_an_artifact_is_built_published_and_found(store):
    assert store.find(Kind.DOCUMENTS, "k1") is None
    path = build(store)
    assert path == store.root / "documents/k1"
    assert store.find(Kind.DOCUMENTS, "k1") == path
    assert not (path / "work").exists()
    assert (path / "logs/out.log").exists()
    manifest = store.read(Kind.DOCUMENTS, "k1")
    assert [entry.path for entry in manifest.files] == ["sub/data.txt"]
    assert manifest.bytes == 5
    assert verify(path) == []
    assert store.artifacts() == [path]
    assert list((store.root / "partial").iterdir()) == []


def test_logs_and_work_do_not_count_in_the_digest(tmp_path):
    digests = set()
    for text in ("1", "2"):
        store = Store(tmp_path / text)
        path = build(store)
        digests.add(read_manifest(path).digest)
    assert len(digests) == 1
    other = build(Store(tmp_path / "3"), text="other")
    assert read_manifest(other).digest not in digests


def test_a_replaced_artifact_is_kept_aside(store):
    build(store, text="one")
    path = build(store, text="two")
    assert (path / "sub/data.txt").read_text() == "two"
    (aside,) = (store.root / "replaced").iterdir()
    assert (aside / "sub/data.txt").read_text() == "one"


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.update(key="k2"),
        lambda body: body["metrics"].update(loss=0.1),
        lambda body: body["metrics"].update(more=1),
        lambda body: body["files"][0].update(size=9),
        lambda body: body["parameters"].clear(),
        lambda body: body.update(seconds=0.1),
        lambda body: body.update(seal=""),
    ],
)
def test_every_edit_by_hand_is_found(store, change):
    path = build(store)
    body = json.loads((path / "manifest.json").read_text("utf-8"))
    change(body)
    (path / "manifest.json").write_text(json.dumps(body), "utf-8")
    with pytest.raises(UserError, match="changed since it was written") as caught:
        store.read(Kind.DOCUMENTS, "k1")
    assert "\n" not in str(caught.value)
    assert [fault.problem for fault in verify(path)] == [
        "changed since it was written (its seal does not match)"
    ]


def test_a_change_of_layout_alone_is_no_edit(store):
    path = build(store)
    body = json.loads((path / "manifest.json").read_text("utf-8"))
    (path / "manifest.json").write_text(json.dumps(dict(reversed(body.items())), indent=7), "utf-8")
    assert store.read(Kind.DOCUMENTS, "k1").metrics == {"loss": 1.25}


def test_a_manifest_of_another_artifact_is_told(store):
    build(store)
    (store.root / "documents/k1").rename(store.root / "documents/k9")
    with pytest.raises(UserError, match=r"the manifest belongs to another artifact \(documents k1\)"):
        store.read(Kind.DOCUMENTS, "k9")
    assert [fault.problem for fault in verify(store.root / "documents/k9")] == [
        "belongs to another artifact (k1)"
    ]


def test_damage_is_told_file_by_file(store):
    path = build(store)
    data = path / "sub/data.txt"
    data.write_text("hellO")
    assert [fault.problem for fault in verify(path)] == ["changed: its hash is not the one in the manifest"]
    store.read(Kind.DOCUMENTS, "k1")
    data.write_text("hello!")
    with pytest.raises(UserError, match=r"data\.txt: has 6 bytes instead of 5"):
        store.read(Kind.DOCUMENTS, "k1")
    data.unlink()
    (path / "extra").write_text("")
    assert {fault.problem for fault in verify(path)} == {"missing", "not in the manifest"}


def test_a_digest_that_does_not_follow_is_told(store):
    with store.building("k1") as folder:
        (folder / "x").write_text("1")
        path = store.publish(folder, manifest_for(folder, digest="0" * 32))
    assert [fault.problem for fault in verify(path)] == ["the digest does not follow from the files"]


def test_no_manifest_is_told(tmp_path):
    with pytest.raises(UserError, match="no manifest here"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        read_manifest(tmp_path)


def test_manifests_hold_any_language(tmp_path):
    (tmp_path / "日本.txt").write_text("語", "utf-8")
    write_manifest(tmp_path, manifest_for(tmp_path, parameters={"題": "値"}))
    manifest = read_manifest(tmp_path)
    assert manifest.parameters == {"題": "値"}
    assert manifest.files == [FileEntry(path="日本.txt", size=3, hash=manifest.files[0].hash)]


class _Stop(BaseException):
    pass


@pytest.mark.parametrize("step", range(1, 12))
def test_wherever_publishing_breaks_off_a_folder_with_its_name_is_complete(store, monkeypatch, step):
    """The process ends at the n-th of the calls that publishing makes to the file system."""
    build(store, text="one")
    calls = 0

    def counted(real):
        def call(*arguments, **more):
            nonlocal calls
            calls += 1
            if calls == step:
                raise _Stop
            return real(*arguments, **more)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", counted(Path.rename))
        patch.setattr(Path, "replace", counted(Path.replace))
        patch.setattr(os, "fsync", counted(os.fsync))
        patch.setattr(atomic, "remove_tree", counted(atomic.remove_tree))
        try:
            build(store, text="two")
        except _Stop:
            pass
        else:
            assert step > calls
    found = store.find(Kind.DOCUMENTS, "k1")
    assert found is None or verify(found) == []
    # The next attempt finds an interrupted one, and makes it whole.
    with store.building("k1") as folder:
        for name in ("work", "logs", "sub"):
            atomic.remove_tree(folder / name)
    path = build(store, text="three")
    assert verify(path) == []
    assert (path / "sub/data.txt").read_text() == "three"


HOLD = """
import sys, time
from pathlib import Path
from watari.artifact.store import Store, locked
path, ready, root = map(Path, sys.argv[1:])
with Store(root).building("k1"), locked(path) as ours:
    ready.write_text(str(ours))
    time.sleep(60)
"""


def test_locks_hold_between_processes_and_fall_with_the_process(store, tmp_path):
    lock, ready = tmp_path / "lock", tmp_path / "ready"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(lock), str(ready), str(store.root)])
    try:
        deadline = time.monotonic() + 60
        while not ready.exists() or not ready.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert ready.read_text() == "True"
        assert held(lock)
        with locked(lock) as ours:
            assert not ours
        with (
            pytest.raises(StageFailed, match="another run is building artifact k1 now"),
            store.building("k1", wait=0.1),
        ):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with locked(lock, wait=5.0) as ours:
            assert ours
            assert held(lock)
        assert not held(lock)
        with store.building("k1", wait=5.0):
            pass
    finally:
        process.kill()
        process.wait()


def test_looking_at_a_lock_leaves_no_trace(tmp_path):
    assert not held(tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_on_a_file_that_was_removed_is_no_lock(tmp_path):
    path = tmp_path / "lock"
    with locked(path) as first:
        assert first
        path.unlink()
        with locked(path) as second:
            assert second


def test_errors_cross_a_process_boundary_whole():
    import pickle

    from watari.artifact.problems import Problem, RecipeError

    for kind in (UserError, StageFailed, CheckFailed, Interrupted):
        back = pickle.loads(pickle.dumps(kind("what", "mend")))
        assert (type(back), back.message, back.mend, back.exit_code) == (kind, "what", "mend", kind.exit_code)
        assert str(back) == "what (mend)"
    told = pickle.loads(pickle.dumps(RecipeError([Problem(None, ("a", 0), "wrong")])))
    assert str(told) == "a[0]: wrong"
