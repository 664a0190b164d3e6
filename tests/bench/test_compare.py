"""Two checkouts compared: which one a name means, whose code a node runs, and what ratios are shown."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.compare import NoCheckout, Pair, checkout, fastest, table
from bench.lanes import Sample
from bench.load import Result
from bench.servers import free_addresses, server
from bench.tables import show

SERVING = """
import http.server, os
host, port = os.environ["ADDRESS"].split(":")
http.server.HTTPServer((host, int(port)), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def a_checkout(root: Path) -> Path:
    (root / "node").mkdir(parents=True)
    (root / "node" / "__init__.py").touch()
    (root / "node" / "__main__.py").write_text(SERVING)
    return root


def git(root: Path, *arguments: str) -> None:
    author = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    subprocess.run(["git", "-C", str(root), *author, *arguments], check=True, capture_output=True, timeout=20)


def sample(per_second: float, cpu_us: float) -> Sample:
    return Sample(Result(int(2 * per_second), 2.0, 1.0, 2.0, failed=0), cpu_us)


def test_server_runs_the_code_of_the_checkout_it_is_given(tmp_path: Path) -> None:
    root = a_checkout(tmp_path / "other")
    (address,) = free_addresses(1)
    with server("node", address, {}, root=root) as process:
        assert process.serving_after("/node/__main__.py") > 0


def test_checkout_of_a_directory_is_that_directory(tmp_path: Path) -> None:
    root = a_checkout(tmp_path / "other")
    with checkout(str(root), tmp_path) as found:
        assert found == root


def test_checkout_of_a_revision_is_what_was_committed(tmp_path: Path) -> None:
    root = a_checkout(tmp_path / "repository")
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-m", "first")
    (root / "node" / "__main__.py").write_text("later")
    with checkout("HEAD", root) as found:
        assert (found / "node" / "__main__.py").read_text() == SERVING
    assert not found.exists()


def test_checkout_of_anything_else_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init")
    with pytest.raises(NoCheckout, match="no-such-revision"), checkout("no-such-revision", tmp_path):
        pass


def test_fastest_turn_counts_with_its_own_processor_time() -> None:
    assert fastest([sample(1_000, 20), sample(2_000, 12), sample(1_500, 11)]) == sample(2_000, 12)


def test_table_shows_medians_and_the_ratios_within_each_round(capsys: pytest.CaptureFixture[str]) -> None:
    rounds = [
        Pair(sample(1_000, 20), sample(1_100, 20)),
        Pair(sample(2_000, 10), sample(1_900, 11)),
        Pair(sample(4_000, 10), sample(4_000, 12)),
    ]
    show(table({"GET": rounds}))
    _, _, row, *_ = capsys.readouterr().out.splitlines()
    shown = " ".join(row.split())
    assert shown == "GET 2,000 1,900 requests/s 1.000 0.950 to 1.100 1.100 1.000 to 1.200"
