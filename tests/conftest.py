"""Fixtures and rules for the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The machines are shared and slow at times: a deadline would make tests fail by weather.
settings.register_profile("watari", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("watari")

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real data; tests that need it are skipped without it."""
    folder = os.environ.get("WATARI_TEST_DATA")
    if not folder:
        pytest.skip("needs WATARI_TEST_DATA")
    return Path(folder)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Where WATARI_NO_SKIP is set (in CI), a skipped test is a failed one."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("WATARI_NO_SKIP") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {report.longrepr}"
