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


def test_distribution_takes_every_file_of_the_page_along() -> None:
    """Which are no modules, and would be missing where it is installed."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    data = setup["options.package_data"]
    taken = {
        file for package in data for file in (ROOT / package.replace(".", "/")).glob(data[package]) if file.is_file()
    }
    there = {
        file
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }
    assert taken == there


def test_distribution_says_under_which_licence_it_is_and_has_its_text() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    file = ROOT / setup["metadata"]["license_files"]
    assert file.read_text().startswith(f"{setup['metadata']['license']} License")
    assert f"!{file.name}" in (ROOT / ".dockerignore").read_text().splitlines(), "the image has it too"


def test_distribution_version_is_the_same_wherever_it_stands() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    version = setup["metadata"]["version"]
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert next(heading for heading in headings if heading != "## Unreleased") == f"## {version}"
    assert f'org.opencontainers.image.version="{version}"' in (ROOT / "Dockerfile").read_text()
