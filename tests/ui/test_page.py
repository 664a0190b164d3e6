"""What the page does in a real browser besides what `test_walk` shows, on nodes that are processes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.cluster import Client, Processes, eventually, fresh_addresses
from tests.node.tokens import ADMIN, READ, UNKNOWN, bearing, tokens_file
from tests.ui.browser import OF_THE_NETWORK, Shown, check, on_all, says, window

pytestmark = [pytest.mark.ui, pytest.mark.timeout(180)]

KEYS = 400
EVIL = "<img src=x onerror=alert(1)>"


async def test_ui_shows_a_key_as_it_is_and_says_when_the_node_that_serves_it_is_gone(
    processes: Processes, http: Client, both: list[Shown]
) -> None:
    a, b, *_ = nodes = fresh_addresses(4)
    await processes.start_all(nodes, REPL_FACTOR="2")
    await http.put_all(a, {f"key{n:04}": {"n": n} for n in range(KEYS)} | {EVIL: EVIL})
    await on_all(both, lambda shown: shown.open_and_enter(a))
    await says(both, "#problems-title", "Nothing is wrong")
    await says(both, "#facts", f"{KEYS + 1}")
    for shown in both:
        await shown["#prefix"].fill("<")
        await shown["#keys-form button[type=submit]"].click()
        await expect(shown["#keys-list button"]).to_have_text([EVIL])
        await shown["#keys-list button"].first.click()
        await expect(shown["#key h3"]).to_have_text(EVIL)
        await expect(shown["#key pre"]).to_have_text(json.dumps(EVIL))
        await expect(shown["#key tbody tr"]).to_have_count(2)
        await expect(shown["#key tbody"]).to_contain_text("has it")
        assert await shown["#key img, #keys-list img"].count() == 0
    assert [shown.errors for shown in both] == [[], []]

    await processes[a].kill()
    await says(both, "#lost", f"{a}, which serves this page, does not answer")
    await on_all(both, lambda shown: expect(shown[f"#lost a[href='{http.way.scheme}://{b}/ui']"]).to_have_count(1))
    await says(both, "#problems-title", "What is wrong now is not known")
    await says(both, "#facts", f"{KEYS + 1}")
    await check(both, "lost")
    await processes[a].start()
    await on_all(both, lambda shown: expect(shown["#lost"]).to_be_hidden())
    await says(both, "#link-text", "live")
    await says(both, "#problems-title", "Nothing is wrong")
    assert [error for shown in both for error in shown.errors if OF_THE_NETWORK not in error] == []


async def test_ui_asks_for_a_token_and_lets_it_do_what_it_is_for(
    processes: Processes, http: Client, browser: Browser, tmp_path: Path
) -> None:
    (a,) = fresh_addresses(1)
    await processes.start(a, [a], TOKENS_FILE=str(tokens_file(tmp_path)))

    async def has_begun() -> bool:
        return (await http.ask(a, "GET", "/kvs/status", headers=bearing(READ))).status == 200

    await eventually(has_begun, "the node answers")
    shown = await window(browser, 1600, "dark", http.way)

    await shown.open(a)
    await expect(shown["#login"]).to_be_visible()
    await expect(shown["#shown"]).to_be_hidden()
    await shown.check("sign-in")
    await shown.sign_in(UNKNOWN)
    await expect(shown["#login-note"]).to_have_text("No such token.")
    await shown.sign_in(READ)
    await expect(shown["#facts"]).to_contain_text("signed in for")
    await expect(shown["#change"]).to_contain_text("takes one for admin")
    await expect(shown["#change form"]).to_be_hidden()
    await shown["#sign-out"].click()
    await expect(shown["#shown"]).to_be_hidden()
    await shown.sign_in(ADMIN)
    await expect(shown["#change form"]).to_be_visible()
    await shown.page.reload()
    await expect(shown["#change form"]).to_be_visible()
    elsewhere = await window(browser, 400, "light", http.way)
    await elsewhere.open(a)
    await expect(elsewhere["#login"]).to_be_visible()
    assert [error for error in shown.errors if OF_THE_NETWORK not in error] == []


async def test_ui_goes_by_keyboard(processes: Processes, http: Client, browser: Browser) -> None:
    (a,) = fresh_addresses(1)
    await processes.start(a, [a])
    await http.put_all(a, {"one": 1, "two": 2})
    shown = await window(browser, 1600, "light", http.way)
    await shown.open_and_enter(a)
    await expect(shown["#keys-list button"]).to_have_count(2)
    keyboard = shown.page.keyboard
    await keyboard.press("Tab")
    await expect(shown[":focus"]).to_have_text("Skip to what is wrong")
    await keyboard.press("Enter")
    await expect(shown["#problems"]).to_be_focused()
    chart = shown[".plot"].first
    await chart.focus()
    now = int(await chart.get_attribute("aria-valuenow") or 0)
    for _ in range(3):
        await keyboard.press("ArrowLeft")
    await expect(chart).to_have_attribute("aria-valuenow", str(now - 3))
    reached = set()
    for _ in range(40):
        await keyboard.press("Tab")
        reached.add(await shown.page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {"prefix", "one", "two", "change-add", "change-factor", "Plan"} <= reached
    await shown["#keys-list button"].last.focus()
    await keyboard.press("Enter")
    await expect(shown["#key pre"]).to_have_text("2")
    await asyncio.sleep(0)
    assert shown.errors == []
