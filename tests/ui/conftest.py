"""A browser for each test of the page, with windows of both widths and both schemes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.cluster import Client
from tests.docker.conftest import bare_engine, containers, locks
from tests.ui.browser import Shown, chromium, window

__all__ = ["bare_engine", "both", "browser", "containers", "locks"]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture
async def both(browser: Browser, http: Client) -> AsyncIterator[list[Shown]]:
    """A wide window and a narrow one."""
    windows = [await window(browser, 1600, "light", http.way), await window(browser, 400, "dark", http.way)]
    yield windows
    for shown in windows:
        print(f"--- {shown.name}", *shown.errors, sep="\n")  # pytest shows it where a test failed.
