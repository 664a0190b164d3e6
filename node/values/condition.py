"""What a client demands of the version that a key has when its write is carried out, else nothing is to be written."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from node.values.version import Version

_Version = Annotated[Version, msgspec.Meta(min_length=16, max_length=16)]


class Versions(NamedTuple):
    """Some versions of a key."""

    any: bool
    """Whichever it has: the key must have a value, that is all."""
    these: tuple[_Version, ...] = ()

    def have(self, version: Version | None) -> bool:
        """`version`: that of the value there is; None: there is none."""
        return version is not None and (self.any or version in self.these)


class Condition(NamedTuple):
    """Both must hold; None: nothing is demanded."""

    one_of: Versions | None = None
    """It must have one of these."""
    none_of: Versions | None = None
    """It must have none of these."""

    def is_met(self, version: Version | None) -> bool:
        """By a value of that version; None: by there being none."""
        return (self.one_of is None or self.one_of.have(version)) and not (
            self.none_of is not None and self.none_of.have(version)
        )


NO_CONDITION = Condition()
"""Always met, as any that is equal to it; this one is known without a look into it."""
