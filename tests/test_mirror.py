"""Whoever looks for the test of a module finds it by the module's name, and no test hides in another one's file.

`node/<room>/<module>.py` is tested by `tests/node/<room>/test_<module>.py`, and where that would grow too long, also by
`test_<module>_<what>.py` beside it; the other packages alike. Otherwise a rule is changed without its tests being read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent

MIRRORED = ("node", "kvs", "gossip", "ring")
"""Packages each module of which has tests."""
MIRRORED_IN_PART = ("bench",)
"""Packages whose tests are of modules, but not every module has some: what measures is tested by measuring."""

WITHOUT_TESTS = {
    "node/__main__.py": "what a process does is seen from outside it, by tests/process",
    "node/process.py": "the same",
    "node/net/link_output.py": "declares the words between a link and its driver, and decides nothing",
    "node/errors.py": "declares faults and decides nothing; who raises one says when",
    "node/storage/disk.py": "declares what engines tell; tests/node/storage/engine_contract.py is run on each of them",
    "node/net/transport.py": "declares a protocol; tests/node/net/transport_contract.py is run on each that keeps it",
}
"""The modules that need no test of their name, and why."""

AS_ONE = ("node/net/messages", "node/api/routes", "node/api/shapes")
"""Packages whose modules only declare, and are tested together under the name of the package."""

TESTED_ELSEWHERE = ("fakes",)
"""Directories within the mirror that hold what stands in for a part, and its tests."""


def modules(package: str) -> Iterator[Path]:
    found = (path.relative_to(ROOT) for path in sorted((ROOT / package).rglob("*.py")) if path.stem != "__init__")
    yield from (path for path in found if str(path.parent) not in AS_ONE)
    yield from (Path(f"{together}.py") for together in AS_ONE if together.startswith(f"{package}/"))


def files_of_tests(package: str) -> Iterator[Path]:
    found = sorted((TESTS / package).rglob("test_*.py"))
    return (path.relative_to(TESTS) for path in found if path.parent.name not in TESTED_ELSEWHERE)


@pytest.mark.parametrize("package", MIRRORED)
def test_mirror_every_module_has_a_test_file_of_its_name(package: str) -> None:
    missing = {
        str(module) for module in modules(package) if not (TESTS / module.parent / f"test_{module.stem}.py").exists()
    }
    assert missing == {module for module in WITHOUT_TESTS if module.startswith(f"{package}/")}


@pytest.mark.parametrize("package", MIRRORED + MIRRORED_IN_PART)
def test_mirror_every_test_file_is_named_after_a_module(package: str) -> None:
    strays = [
        str(test)
        for test in files_of_tests(package)
        if not any(
            module.parent == test.parent and f"{test.stem}_".startswith(f"test_{module.stem}_")
            for module in modules(package)
        )
    ]
    assert strays == []


def imported(path: Path) -> Iterator[str]:
    """Every module that is imported anywhere in a file, and every name taken from one, with its module before it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_mirror_no_test_file_is_imported() -> None:
    """What two test files share stands in a module that is none, or in a conftest: whoever moves a test must not break
    another one."""
    found = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted(TESTS.rglob("*.py"))
        for name in imported(path)
        if name.startswith("tests.") and any(part.startswith("test_") for part in name.split(".")[1:])
    }
    assert found == set()
