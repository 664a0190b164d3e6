"""The forms in which stores have been written, and how one of an earlier form gets into that of this release.

A release that cannot read what the one before it has written raises the form, and brings a *migration*: a function that
rewrites what has to be, and knows both forms. All that lead to the present form are run in one transaction, so that a
process which is killed in the middle leaves the store as it was. There is no way back: the release before refuses what
has been migrated.

What is of a form that this release does not know is refused, and not touched: somebody has started it by mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from node.errors import UnknownForm
from node.storage import from_3_0
from node.storage.from_3_0 import Items, NotThatForm
from node.storage.keys import FORMAT, FORMAT_WITH_EXPIRIES, Setting, setting_place

Migration: TypeAlias = Callable[[Items], None]

UNMARKED: bytes | None = None
"""The form of what does not say in which it is."""
FORMATS = (FORMAT, FORMAT_WITH_EXPIRIES)
"""The forms that this release reads as they are, and leaves as they are."""
MIGRATIONS: Mapping[bytes | None, Migration] = {UNMARKED: from_3_0.migrate}
"""By the form that each of them takes; it leaves another one."""

WHAT_TO_DO = "start that release on it, or name another directory; kvs export and kvs load bring keys along"


def is_empty(items: Items) -> bool:
    """Whether no node has ever been started on the store."""
    return all(items.get(setting_place(setting)) is None for setting in (Setting.FORMAT, Setting.STORE_ID))


def must_migrate(items: Items) -> bool:
    """Whether `migrate` is needed before this release can read the store. Raises UnknownForm."""
    if is_empty(items):
        return False
    form = items.get(setting_place(Setting.FORMAT))
    if form not in MIGRATIONS:
        demand_known(form)
    return form in MIGRATIONS


def migrate(items: Items) -> None:
    """Bring the store from the form that it is in to the present one, within one transaction. Raises UnknownForm."""
    try:
        while must_migrate(items):
            MIGRATIONS[items.get(setting_place(Setting.FORMAT))](items)
    except NotThatForm as error:
        what = f"written by another release of this program, of which nothing is known: {error}"
        raise UnknownForm(f"{what}; {WHAT_TO_DO}") from error


def demand_known(form: bytes | None) -> None:
    """Raises UnknownForm unless this is one that this release reads as it is."""
    if form not in FORMATS:
        told = "none" if form is None else ascii(form.decode(errors="replace"))
        known = " and ".join(known.decode() for known in FORMATS)
        what = f"written by another release of this program, in the form {told}, and this one reads {known}"
        raise UnknownForm(f"{what}: {WHAT_TO_DO}")
