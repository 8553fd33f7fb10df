"""Fixtures and rules for the whole suite."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The machines are shared and slow at times: a deadline would make tests fail by weather.
settings.register_profile("watari", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("watari")

# As many workers as cores run at once: threads of BLAS and OpenMP beside them would only spin. Before numpy and torch come in.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data; tests that need it are skipped without it."""
    folder = os.environ.get("WATARI_TEST_DATA")
    if not folder:
        pytest.skip("needs WATARI_TEST_DATA")
    return Path(folder)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with `slow(minutes=...)` go first, longest first: `make test-slow` hands out files in this order.

    Files stay whole, for their fixtures' sake, and files without minutes stay in the order they had.
    """
    minutes: defaultdict[Path, float] = defaultdict(float)
    for item in items:
        for mark in item.iter_markers("slow"):
            minutes[item.path] = max(minutes[item.path], mark.kwargs.get("minutes", 0.0))
    items.sort(key=lambda item: -minutes[item.path])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Where WATARI_NO_SKIP is set (in CI), a skipped test is a failed one."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("WATARI_NO_SKIP") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {report.longrepr}"
