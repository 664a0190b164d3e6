"""The page in a real browser, on a store in docker, through all that may happen to its containers.

The windows stay open from the first stage to the last, as those of somebody who watches. Each stage is looked at in
both widths, audited, and left as pictures in `build/ui`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.cluster import Client
from tests.docker.containers import NODE1, NODE3, NODE4, TRIO, Containers, docker
from tests.docker.disks import SmallDisks
from tests.ui.browser import Shown, check, on_all, says

pytestmark = [pytest.mark.ui, pytest.mark.timeout(300)]

KEYS = 1200
VALUE = "x" * 4000
"""All keys together are more than the newcomer's disk has left."""


@pytest.fixture
async def small_disks(tmp_path: Path) -> AsyncIterator[SmallDisks]:
    """To be asked for before `containers`, so that they are gone when the disks go."""
    disks = SmallDisks(tmp_path / "disks")
    yield disks
    await disks.unmount()


async def test_ui_walks_through_a_killed_container_its_return_and_a_view_change_that_a_full_disk_holds_up(
    small_disks: SmallDisks, containers: Containers, http: Client, both: list[Shown]
) -> None:
    wide, _ = both
    assert await small_disks.mount([NODE4]), "no disk can be filled: nothing may be mounted here"
    await containers.start(*TRIO, view=TRIO, repl_factor=2)
    await containers.start(NODE4, view=TRIO, repl_factor=2, volume=str(small_disks.directory / NODE4.name))
    await on_all(both, lambda shown: shown.open_and_enter(NODE1.address))
    await says(both, "#problems-title", "Nothing is wrong")
    await says(both, "#facts", "3 of 3")
    await says(both, "#nodes-body", NODE4.address)
    await check(both, "1-start")

    await http.put_all(NODE1.published, {f"key{n:04}": VALUE for n in range(KEYS)})
    await says(both, "#facts", f"{KEYS:,}")
    for shown in both:
        await shown["#keys-form button[type=submit]"].click()
        await shown["#keys-list button"].first.click()
        await expect(shown["#key h3"]).to_have_text("key0000")
        await expect(shown["#key tbody"]).to_contain_text("has it")
    await check(both, "2-load")

    await docker("kill", NODE3.name)
    await says(both, "#problems-list", f"start {NODE3.address} again")
    await says(both, f"#nodes-body tr[data-key='{NODE3.address}']", "down")
    await on_all(both, lambda shown: expect(shown["#ring-figure .arc-down"]).to_have_count(1))
    await check(both, "3-killed")

    await docker("start", NODE3.name)
    await says(both, "#problems-title", "Nothing is wrong")
    await says(both, "#facts", "3 of 3")
    await on_all(both, lambda shown: expect(shown["#ring-figure .arc-down"]).to_have_count(0))
    await check(both, "4-back")

    await wide[f"#change input[value='{NODE4.address}']"].check()
    await wide["#change button[type=submit]"].click()
    await expect(wide["#change .plan h3"]).to_contain_text("would move")
    await expect(wide["#change .plan"]).to_contain_text("Nothing is at risk")
    await wide.check("5-plan")

    small_disks.fill(NODE4)
    await wide["#change .plan .actions button"].click()
    await expect(wide["#change"]).to_contain_text("Accepted as epoch 1")
    await says(both, "#moving", "% moved")
    await says(both, "#moving", "to go")
    await on_all(both, lambda shown: expect(shown["#moving [role=progressbar]"]).to_be_visible())
    await says(both, "#problems-list", f"he disk of {NODE4.address} is full")
    await says(both, "#nodes-body", "disk takes nothing")
    await check(both, "6-full-disk")

    small_disks.make_room(NODE4)
    await says(both, "#moving", "None: every key is where the view wants it")
    await says(both, "#facts", "epoch 1, settled")
    await says(both, "#facts", "4 of 4")
    await on_all(both, lambda shown: expect(shown["#change input[type=checkbox]:checked"]).to_have_count(4))
    await says(both, "#problems-title", "Nothing is wrong")
    await check(both, "7-moved")
    assert [shown.errors for shown in both] == [[], []]
