"""Which forms are read, migrated and refused."""

from __future__ import annotations

import pytest

from node.errors import UnknownForm
from node.storage import forms
from node.storage.forms import FORMATS, demand_known, is_empty, migrate, must_migrate
from node.storage.from_3_0 import Items as AnyItems
from node.storage.keys import FORMAT, Setting, setting_place
from tests.node.storage.items import STORE_ID, Items, items_of_3_0

PLACE = setting_place(Setting.FORMAT)


def items_in(form: bytes) -> Items:
    return Items({PLACE: form, setting_place(Setting.STORE_ID): STORE_ID})


def test_form_of_a_new_store_is_none() -> None:
    assert is_empty(Items()) and not must_migrate(Items())
    items = Items()
    migrate(items)
    assert items == {}


@pytest.mark.parametrize("form", FORMATS)
def test_form_that_is_read_stays(form: bytes) -> None:
    demand_known(form)
    items = items_in(form)
    assert not must_migrate(items)
    migrate(items)
    assert items == items_in(form)


def test_form_of_3_0_is_migrated_once() -> None:
    items = items_of_3_0()
    assert must_migrate(items)
    migrate(items)
    assert not must_migrate(items)
    after = dict(items)
    migrate(items)
    assert items == after


@pytest.mark.parametrize("form", [b"4", b"10", b"1", b"", b"2\n", b"\xff", b"x" * 1000])
def test_form_of_another_release_is_refused_in_one_line_that_names_both(form: bytes) -> None:
    items = items_in(form)
    for judge in (must_migrate, migrate):
        with pytest.raises(UnknownForm) as caught:
            judge(items)
        (line,) = caught.value.faults
        assert "written by another release" in line and "this one reads 2 and 3: start that release on it" in line
        assert "\n" not in line
    assert caught.value.status == 2
    assert items == items_in(form)


def test_form_of_another_release_is_refused_though_the_rest_is_unknown() -> None:
    """A later release may keep its store id elsewhere."""
    with pytest.raises(UnknownForm):
        must_migrate(Items({PLACE: b"9"}))


def test_form_of_no_release_is_refused() -> None:
    items = items_of_3_0()
    items[setting_place(Setting.VIEW)] = b"garbage"
    with pytest.raises(UnknownForm, match=r"of which nothing is known: its view is not one of release 3\.0"):
        migrate(items)


def test_forms_are_migrated_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a release adds one: nobody has to start the releases in between."""

    def next_one(items: AnyItems) -> None:
        items.put(PLACE, b"next")

    monkeypatch.setattr(forms, "MIGRATIONS", {**forms.MIGRATIONS, FORMAT: next_one})
    monkeypatch.setattr(forms, "FORMATS", (b"next",))
    items = items_of_3_0()
    migrate(items)
    assert items[PLACE] == b"next"
