"""A real Chromium, and what a test does with a page in it: look, listen for errors, audit, and keep a picture."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Literal

from axe_playwright_python.async_playwright import Axe
from PIL import Image
from playwright.async_api import Browser, ConsoleMessage, Error, Locator, Page, async_playwright, expect

from gossip.view import Address
from tests.cluster import ROOT
from tests.locks import OPEN, Way
from tests.node.tokens import ADMIN

PICTURES = ROOT / "build" / "ui"
"""Where pictures of each state are kept, one after the other."""
PATIENCE_MS = 30_000.0
"""For what has to come true on the page."""
COLOURS = 256
GRAVE = ("serious", "critical")
OF_THE_NETWORK = "Failed to load resource"
"""Chromium says so itself of a request that failed, or was answered with an error, whatever the page makes of it."""
BROKEN_OFF = "net::ERR_NETWORK_CHANGED"
"""Chromium breaks off what is under way when an interface of this machine comes, goes, or gets an address: as that of
each container does, for some seconds after its start. That says nothing of the page, nor of the node."""
OPENINGS = 20
"""A start changes the network a few times."""

expect.set_options(timeout=PATIENCE_MS)


class Shown:
    """One page in one window."""

    def __init__(self, page: Page, name: str, way: Way) -> None:
        self.page = page
        self.name = name
        self._way = way
        self.errors: list[str] = []
        self._broken_off = 0
        page.on("console", self._hear)
        page.on("pageerror", self._note)

    def _hear(self, message: ConsoleMessage) -> None:
        if BROKEN_OFF in message.text:
            self._broken_off += 1
        elif message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _note(self, error: Error) -> None:
        self.errors.append(str(error))

    def __getitem__(self, selector: str) -> Locator:
        return self.page.locator(selector)

    async def open(self, node: Address) -> None:
        """All that the page is made of has come when it returns."""
        for _ in range(OPENINGS):
            before = self._broken_off
            try:
                await self.page.goto(f"{self._way.scheme}://{node}/ui")
            except Error as error:
                if BROKEN_OFF not in str(error):
                    raise
            else:
                if self._broken_off == before:
                    return
        raise AssertionError(f"the network of this machine changed {OPENINGS} times while the page was opened")

    async def open_and_enter(self, node: Address) -> None:
        """Where a token is needed, show one. What the page asked for before it had one is no error."""
        await self.open(node)
        if self._way.headers:
            await self.sign_in(ADMIN)
            await expect(self["#shown"]).to_be_visible()
            self.errors = [error for error in self.errors if OF_THE_NETWORK not in error]
            await self.open(node)

    async def sign_in(self, token: str) -> None:
        await self["#token"].fill(token)
        await self["#login button"].click()

    async def check(self, state: str) -> None:
        """Keep a picture; nothing runs out of the window at the side, and axe finds nothing grave."""
        await self.page.evaluate("scrollTo(0, 0)")
        await self.page.screenshot(path=PICTURES / f"{state}-{self.name}.png", full_page=True)
        width = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert width <= 0, f"{state}: {width} pixels are outside the window"
        found = (await Axe().run(self.page)).response["violations"]
        grave = [
            f"{fault['id']}: {fault['help']}: {[node['html'][:200] for node in fault['nodes'][:3]]}"
            for fault in found
            if fault["impact"] in GRAVE
        ]
        assert not grave, f"{state} on {self.name}: {grave}"


async def on_all(both: list[Shown], what: Callable[[Shown], Awaitable[None]]) -> None:
    """One after the other: a browser in two windows is no faster."""
    for shown in both:
        await what(shown)


async def check(both: list[Shown], state: str) -> None:
    await on_all(both, lambda shown: shown.check(state))


async def says(both: list[Shown], selector: str, text: str) -> None:
    await on_all(both, lambda shown: expect(shown[selector]).to_contain_text(text))


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Debian's, which make test-ui asks for."""
    found = shutil.which("chromium")
    assert found is not None, "no chromium found: apt-get install --no-install-recommends chromium"
    PICTURES.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        await browser.close()


async def window(
    browser: Browser, width: int, scheme: Literal["light", "dark"], way: Way = OPEN, height: int = 900
) -> Shown:
    """By TLS, it believes whoever answers: which CAs a browser knows is its own affair."""
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        reduced_motion="reduce",
        ignore_https_errors=way.tls is not None,
    )
    return Shown(await context.new_page(), f"{width}-{scheme}", way)


async def picture(shown: Shown, path: Path) -> None:
    keep(await shown.page.screenshot(full_page=True), path)


def keep(png: bytes, path: Path) -> None:
    """Small enough to lie in the repository: what we show has few colours."""
    with Image.open(BytesIO(png)) as taken:
        taken.convert("RGB").quantize(COLOURS).save(path, optimize=True)
