"""What is installed is what is here: a room that setup.cfg does not name would be missing in the image alone."""

from __future__ import annotations

import configparser
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("node", "kvs", "gossip", "ring")


def test_distribution_names_every_package_that_there_is() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    there = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for package in PACKAGES
        for file in (ROOT / package).rglob("__init__.py")
    }
    assert set(setup["options"]["packages"].split()) == there
