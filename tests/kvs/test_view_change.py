"""`kvs view-change`: the view that it asks for, what it tells meanwhile, and refusals."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import threading
from typing import NoReturn

import pytest
from aiohttp import web

import kvs.cli
from kvs.operating import Change, Operator
from kvs.view_change import UNDER_WAY
from tests.kvs.command import Kvs
from tests.kvs.fake_store import PLAN, FakeStore, answer, progress


def _views_asked_for(store: FakeStore) -> list[str]:
    asked = zip(store.asked, store.bodies, strict=True)
    return [json.loads(body)["view"] for (method, _), body in asked if method == "PUT"]


@pytest.mark.parametrize(
    ("options", "view"),
    [
        (["--add", "10.0.0.3:80"], "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80"),
        (["--add", "10.0.0.3:80", "--add", "[::1]:80"], "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80,[::1]:80"),
        (["--remove", "10.0.0.1:80"], "10.0.0.2:80"),
        (["--remove", "10.0.0.1:80", "--add", "c:1"], "10.0.0.2:80,c:1"),
        (["--to", "C:1,d:2"], "c:1,d:2"),
        (["--repl-factor", "2"], "10.0.0.1:80,10.0.0.2:80"),
        (["--add", "10.0.0.2:80"], "10.0.0.1:80,10.0.0.2:80"),
        (["--replace", "10.0.0.1:80", "C:1"], "c:1,10.0.0.2:80"),
        (["--replace", "10.0.0.1:80", "c:1", "--replace", "10.0.0.2:80", "d:1", "--add", "e:1"], "c:1,d:1,e:1"),
    ],
)
def test_view_change_asks_for_the_view(run: Kvs, store: FakeStore, options: list[str], view: str) -> None:
    result = run("view-change", *options)
    assert result.exit_code == 0
    assert re.search(r"10\.0\.0\.1:80 +5", result.stdout)
    assert _views_asked_for(store) == [view]


def test_view_change_json_plain_and_replicated(run: Kvs, store: FakeStore) -> None:
    plain = json.loads(run("view-change", "--to", "a:1", "-o", "json").stdout)
    assert plain["shards"][0] == {"address": "10.0.0.1:80", "key-count": 5}
    shards = [{"shard-id": "1", "key-count": 9, "replicas": ["a:1", "b:1"]}]
    store.fault = lambda method, _p: answer(200, shards=shards) if method == "PUT" else None
    assert json.loads(run("view-change", "--to", "a:1", "-o", "json").stdout) == {"shards": shards}
    assert re.search(r"1 +9 +a:1, b:1", run("view-change", "--to", "a:1").stdout)


def test_view_change_dry_run_shows_what_would_move(run: Kvs, store: FakeStore) -> None:
    shown = run("view-change", "--add", "10.0.0.3:80", "--dry-run").stdout
    assert "1,365 partitions with 3 keys would move" in shown
    assert re.search(r"10\.0\.0\.1:80 +10\.0\.0\.3:80 +1,365 +3", shown)
    assert json.loads(run("view-change", "--to", "c:1", "--dry-run", "-o", "json").stdout) == PLAN
    assert {path for method, path in store.asked if method == "PUT"} == {"/kvs/view-change?dry-run=true"}


def test_view_change_of_which_nothing_moves_is_not_called_moving_for_a_node_that_is_silent(
    run: Kvs, store: FakeStore
) -> None:
    told = progress(0, 0)
    told["nodes"] = [*told["nodes"], {"address": "10.0.0.2:80", "partitions": None, "keys": None}]  # type: ignore[misc]
    store.progress = [told]
    shown = run("view-change").stdout
    assert shown == "epoch 4: nothing moves; 10.0.0.2:80 cannot be asked, coordinated by 10.0.0.1:80\n"


def test_view_change_no_wait_returns_the_epoch(run: Kvs) -> None:
    assert "Accepted as epoch 4" in run("view-change", "--to", "c:1", "--no-wait").stderr
    assert run("view-change", "--to", "c:1", "--no-wait", "-o", "json").stdout == '{"epoch":4}\n'


def test_view_change_without_options_shows_progress(run: Kvs, store: FakeStore) -> None:
    store.progress = [progress(12, 345), progress(12, 345)]
    assert re.search(r"10\.0\.0\.1:80 +12 +345", run("view-change").stdout)
    assert json.loads(run("view-change", "-o", "json").stdout) == progress(12, 345)
    assert run("view-change").stdout == "epoch 4: settled, coordinated by 10.0.0.1:80\n"


CANNOT = "cannot be reached: start what is to be in the view, or leave it out"
LOST = "an unknown number of keys (718 when last heard)"


@pytest.mark.parametrize(
    ("status", "more", "code", "line"),
    [
        (409, {}, 2, "no"),
        (400, {}, 2, "no"),
        (503, {"unreachable": ["c:1", "d:1"]}, 3, f"no: c:1, d:1 {CANNOT}"),
        (503, {"full": ["c:1"]}, 3, "no: c:1 (its disk is full)"),
        (409, {"view": "a:1,b:1"}, 2, "no; the nodes before were --to a:1,b:1"),
        (409, {"epoch": 5}, 2, "no: somebody changed it meanwhile; see `kvs ring`, and ask again"),
        (
            409,
            {"error": UNDER_WAY},
            2,
            f"{UNDER_WAY}: wait for its end, see `kvs view-change`, or take it back with --undo",
        ),
    ],
)
def test_view_change_refusals_say_what_to_do(
    run: Kvs, store: FakeStore, status: int, more: dict[str, object], code: int, line: str
) -> None:
    store.fault = lambda method, _p: answer(status, **{"error": "no", **more}) if method == "PUT" else None
    for options in ([], ["--no-wait"], ["--dry-run"]):
        result = run("view-change", "--to", "c:1", *options)
        assert (result.exit_code, result.stdout, result.stderr) == (code, "", f"Error: {line}\n")


def _conditions_sent(store: FakeStore) -> list[tuple[str, object, object]]:
    asked = zip(store.asked, store.bodies, strict=True)
    sent = [(method, json.loads(body)) for (method, _), body in asked if method in ("PUT", "DELETE")]
    return [(method, body.get("if-epoch"), body.get("if-safe")) for method, body in sent]


@pytest.mark.parametrize("way", [[], ["--no-wait"], ["--dry-run"]])
def test_view_change_is_always_conditional_unless_forced(run: Kvs, store: FakeStore, way: list[str]) -> None:
    """On the view that it has read, and that nothing is lost."""
    for options in (["--add", "c:1"], ["--to", "c:1"], ["--repl-factor", "2"]):
        assert run("view-change", *options, *way).exit_code == 0
        assert run("view-change", *options, *way, "--force").exit_code == 0
    assert _conditions_sent(store) == [("PUT", 3, True), ("PUT", None, None)] * 3


def test_view_change_gone_for_good_is_told_of_any_change_and_is_one_itself(run: Kvs, store: FakeStore) -> None:
    present = run("view-change", "--dry-run", "--repl-factor", "2")
    for options in (["--gone-for-good"], ["--to", "c:1", "--gone-for-good"], ["--to", "c:1"]):
        assert run("view-change", *options).exit_code == 0
    sent = [json.loads(body) for (method, _), body in zip(store.asked, store.bodies, strict=True) if method == "PUT"]
    assert present.exit_code == 0 and [body.get("gone-for-good") for body in sent] == [None, True, True, None]
    assert (sent[1]["view"], sent[1]["if-epoch"]) == (sent[0]["view"], 3), "the nodes that there are"
    refused = run("view-change", "--undo", "--gone-for-good")
    assert refused.exit_code == 2 and "change the view again with it afterwards" in refused.stderr


@pytest.mark.parametrize("way", [[], ["--no-wait"], ["--dry-run"]])
def test_view_change_undo_takes_back_what_it_has_seen(run: Kvs, store: FakeStore, way: list[str]) -> None:
    assert run("view-change", "--undo", *way).exit_code == 0
    assert run("view-change", "--undo", "--force", *way).exit_code == 0
    assert _conditions_sent(store) == [("DELETE", 4, True), ("DELETE", None, None)]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--replace", "10.0.0.9:80", "c:1"], "--add c:1"),
        (["--replace", "10.0.0.1:80", "10.0.0.2:80"], "--remove 10.0.0.1:80"),
        (["--remove", "10.0.0.1:80,10.0.0.2:80"], "--to"),
    ],
)
def test_view_change_mistake_is_one_line_with_what_to_do_instead(
    run: Kvs, store: FakeStore, options: list[str], told: str
) -> None:
    result = run("view-change", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1 and told in result.stderr
    assert _conditions_sent(store) == []


@pytest.mark.parametrize(("keys", "lost"), [(718, LOST), (None, "an unknown number of keys")])
def test_view_change_keys_at_risk_refused_where_there_is_no_terminal(
    run: Kvs, store: FakeStore, keys: int | None, lost: str
) -> None:
    more = {"keys-at-risk": keys, "unreachable": ["10.0.0.2:80"]}
    store.fault = lambda method, _p: answer(409, error="no", **more) if method == "PUT" else None
    line = (
        f"Error: {lost} would be lost: only 10.0.0.2:80 can have them, and cannot be reached. Start what is down there "
        "again, or give the keys up with --force\n"
    )
    for options in ([], ["--no-wait"], ["-o", "json"]):
        result = run("view-change", "--remove", "10.0.0.2:80", *options, stdin="y\n")
        assert (result.exit_code, result.stdout, result.stderr) == (2, "", line)


def test_view_change_forced_tells_what_was_given_up(run: Kvs, store: FakeStore) -> None:
    shards = [{"address": "10.0.0.1:80", "key-count": 5}]
    lost = {"keys-at-risk": 1718}
    store.fault = lambda method, _p: answer(200, shards=shards, epoch=4, **lost) if method == "PUT" else None
    for options in ([], ["--no-wait"]):
        result = run("view-change", "--remove", "10.0.0.2:80", "--force", *options)
        assert result.exit_code == 0
        assert "Given up: an unknown number of keys (1,718 when last heard)\n" in result.stderr
    shown = run("view-change", "--remove", "10.0.0.2:80", "--force", "-o", "json")
    assert json.loads(shown.stdout) == {"shards": shards, **lost}


@pytest.mark.parametrize(("keys", "lost"), [(718, LOST), (None, "an unknown number of keys")])
def test_view_change_that_left_keys_behind_shows_its_end_and_fails(
    run: Kvs, store: FakeStore, keys: int | None, lost: str
) -> None:
    done = {"shards": [{"address": "10.0.0.1:80", "key-count": 5}], "keys-at-risk": keys}
    store.fault = lambda method, _p: answer(200, **done) if method == "PUT" else None
    result = run("view-change", "--remove", "10.0.0.2:80", "-o", "json")
    assert (result.exit_code, json.loads(result.stdout)) == (3, done)
    assert result.stderr.endswith(
        f"Error: The change is made, but without {lost}: a node that was removed fell silent before it had handed "
        "over what it has. Start it again with its disk, and it brings that home\n"
    )


def test_view_change_dry_run_shows_what_would_be_lost(run: Kvs, store: FakeStore) -> None:
    plan = {**PLAN, "keys-at-risk": 718, "unreachable": ["10.0.0.2:80"]}
    store.fault = lambda method, _p: answer(200, **plan) if method == "PUT" else None
    shown = run("view-change", "--remove", "10.0.0.2:80", "--dry-run").stdout
    assert f"{LOST.capitalize()} would be lost: only 10.0.0.2:80 can have them, and cannot be reached" in shown
    assert json.loads(run("view-change", "--to", "c:1", "--dry-run", "-o", "json").stdout) == plan


def test_view_change_dry_run_takes_what_cannot_be_counted_for_unknown_not_for_none(run: Kvs, store: FakeStore) -> None:
    moves = [*PLAN["moves"], {"from": "10.0.0.2:80", "to": "10.0.0.3:80", "partitions": 5, "keys": 0}]  # type: ignore[misc]
    plan = {**PLAN, "moves": moves, "keys-at-risk": None, "unreachable": ["10.0.0.2:80"]}
    store.fault = lambda method, _p: answer(200, **plan) if method == "PUT" else None
    shown = run("view-change", "--remove", "10.0.0.2:80", "--dry-run").stdout
    assert "with at least 3 keys (those of 10.0.0.2:80, which cannot be asked, are not counted) would move" in shown
    assert re.search(r"10\.0\.0\.2:80 +10\.0\.0\.3:80 +5 +unknown", shown)
    store.fault = lambda method, _p: answer(200, **{**plan, "keys": 0}) if method == "PUT" else None
    assert "with an unknown number of keys (those of" in run("view-change", "--to", "c:1", "--dry-run").stdout


def test_view_change_dry_run_notes_what_the_plan_does_not_show(run: Kvs, store: FakeStore) -> None:
    store.repl_factor = 2
    told = run("view-change", "--add", "c:1", "--dry-run").stderr
    assert told == "Note: 3 nodes cannot be dealt in groups of 2: keys get up to 3 copies, not 2\n"
    assert run("view-change", "--add", "c:1").stderr == ""


def test_view_change_dry_run_counts_copies_where_partitions_get_more_than_one(run: Kvs, store: FakeStore) -> None:
    """Or the sum of the table would not be what its head says."""
    moves = [PLAN["moves"][0], {**PLAN["moves"][0], "to": "10.0.0.4:80"}]  # type: ignore[index]
    store.fault = lambda method, _p: answer(200, **{**PLAN, "moves": moves}) if method == "PUT" else None
    shown = run("view-change", "--to", "c:1", "--dry-run").stdout
    head = "1,365 partitions with 3 keys would move, some to more than one node, 2,730 copies in all:"
    assert head in shown


@pytest.mark.parametrize(
    ("option", "note"),
    [
        (["--remove", "[fe80::1]:80"], "[fe80::1]:80 is out of the view already"),
        (["--replace", "[fe80::1]:80", "10.0.0.2:80"], "10.0.0.2:80 has taken the place of [fe80::1]:80 already"),
    ],
)
def test_view_change_says_what_is_done_already(run: Kvs, store: FakeStore, option: list[str], note: str) -> None:
    """And asks for the view all the same: whoever gives a command again joins what it has begun."""
    result = run("view-change", *option)
    assert (result.exit_code, result.stderr) == (0, f"Note: {note}\n")
    assert _views_asked_for(store) == ["10.0.0.1:80,10.0.0.2:80"]


def test_view_change_to_fewer_nodes_than_copies_is_made_and_says_so(run: Kvs, store: FakeStore) -> None:
    store.repl_factor = 2
    result = run("view-change", "--remove", "10.0.0.2:80")
    told = "Note: 1 node has room for 1 of 2 copies: there will be no more until more nodes are added\n"
    assert (result.exit_code, result.stderr) == (0, told)
    assert _views_asked_for(store) == ["10.0.0.1:80"]


def test_view_change_to_more_copies_than_nodes_is_refused(run: Kvs, store: FakeStore) -> None:
    result = run("view-change", "--repl-factor", "3")
    told = "Error: 2 nodes have room for 2 of 3 copies: add nodes, or ask for fewer copies\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", told)
    assert _views_asked_for(store) == []


def test_view_change_interrupted_says_that_it_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], endpoint: str
) -> None:
    def interrupted(_: Operator, __: Change, ___: object) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(Operator, "change_view", interrupted)
    monkeypatch.setattr(sys, "argv", ["kvs", "-e", endpoint, "view-change", "--to", "c:1"])
    with pytest.raises(SystemExit) as end:
        kvs.cli.main()
    assert end.value.code == 130
    told = "Interrupted: the change goes on; `kvs view-change` shows how far, --undo takes it back\n"
    assert capsys.readouterr().err == told


def _on_a_terminal(endpoint: str, *arguments: str, typed: bytes = b"", status: int = 0) -> str:
    """What the command writes to a terminal, escape sequences and all. `typed`: what somebody answers there."""
    ours, theirs = pty.openpty()
    written = bytearray()

    def read() -> None:
        try:
            while data := os.read(ours, 4096):
                written.extend(data)
        except OSError:
            return  # Linux says so once nobody has the other end.

    reader = threading.Thread(target=read)
    reader.start()
    environment = {**os.environ, "KVS_ENDPOINTS": endpoint, "TERM": "xterm", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "kvs.cli", *arguments]
    os.write(ours, typed)
    done = subprocess.run(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, check=False, timeout=30)
    assert done.returncode == status, written.decode()
    os.close(theirs)
    reader.join(5)
    os.close(ours)
    return written.decode()


def test_view_change_on_a_terminal_draws_a_bar_and_colours(store: FakeStore, endpoint: str) -> None:
    store.progress = [progress(40, 1000), progress(10, 250), progress(None, None), progress(0, 0)]
    shown = _on_a_terminal(endpoint, "view-change", "--to", "c:1")
    assert "of 1,000 keys" in shown
    assert "\x1b[" in shown


@pytest.mark.parametrize(("typed", "status"), [(b"y\n", 0), (b"n\n", 2)])
def test_view_change_on_a_terminal_asks_before_it_loses_anything(
    store: FakeStore, endpoint: str, typed: bytes, status: int
) -> None:
    more = {"keys-at-risk": 718, "unreachable": ["10.0.0.2:80"]}

    def refuses_what_is_safe(method: str, _path: str) -> web.Response | None:
        safe = method == "PUT" and json.loads(store.bodies[-1]).get("if-safe")
        return answer(409, error="no", **more) if safe else None

    store.fault = refuses_what_is_safe
    shown = _on_a_terminal(endpoint, "view-change", "--remove", "10.0.0.2:80", typed=typed, status=status)
    assert "an unknown number of keys (718 when last heard) would be lost" in shown and "Give them up? [y/N]" in shown
    sent = [("PUT", 3, True), ("PUT", 3, None)]
    assert _conditions_sent(store) == sent[: 1 + (typed == b"y\n")]
