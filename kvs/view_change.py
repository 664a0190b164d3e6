"""`kvs view-change`: which nodes make up the store.

It reads the view, works out the next one, and sends that on two conditions: that the view is still the one it read, and
that no keys are lost. Where some would be, it asks whoever sits at the terminal; where nobody does, it refuses.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import click
import msgspec

from kvs.ending import Interrupted, NoAnswer, Refusal, output_option, print_json, run, show
from kvs.params import Addresses, AddressList, AddressParam, complete_addresses
from kvs.wanted import Mistake, brought_home, lost_keys, more_copies, short_of_copies, wanted

if TYPE_CHECKING:
    from kvs.operating import Change, Operator, Refused
    from kvs.responses import Accepted, Changed

_nodes_option = partial(click.option, type=AddressList(), multiple=True, metavar="HOST:PORT")


class KeysAtRisk(Refusal):
    """Refused, for keys would be lost."""


@click.command("view-change")
@_nodes_option("--add", help="Take this node in. May be repeated.")
@_nodes_option("--remove", help="Let this node go. May be repeated.")
@click.option(
    "--replace",
    type=(AddressParam(), AddressParam()),
    multiple=True,
    metavar="OLD NEW",
    shell_complete=complete_addresses,
    help="Put the node NEW in the place of OLD, dead or alive. May be repeated.",
)
@click.option("--to", type=AddressList(), metavar="HOST:PORT,...", help="Make these the nodes, whatever they were.")
@click.option("--repl-factor", type=click.IntRange(min=1), metavar="N", help="Copies of each key from now on.")
@click.option("--undo", is_flag=True, help="Take back the change under way: what has moved moves back.")
@click.option("--dry-run", is_flag=True, help="Only show what would move, and what would be lost.")
@click.option("--force", is_flag=True, help="Even if keys are lost by it, or somebody changed the view meanwhile.")
@click.option(
    "--gone-for-good",
    is_flag=True,
    help="Who is not in the view and cannot be reached serves nobody, and never will: decide conditions without them.",
)
@click.option("--no-wait", is_flag=True, help="Return as soon as the change is accepted.")
@output_option
@click.pass_obj
def view_change(
    endpoints: Addresses,
    add: tuple[Addresses, ...],
    remove: tuple[Addresses, ...],
    replace: tuple[tuple[str, str], ...],
    to: Addresses | None,
    repl_factor: int | None,
    undo: bool,
    dry_run: bool,
    force: bool,
    gone_for_good: bool,
    no_wait: bool,
    output: str,
) -> None:
    """Change which nodes make up the store.

    Waits until every key is where the new view wants it. Without options: shows how far the present change
    is. Asking again for a change joins it, and so does no harm; if this command is interrupted, the change
    goes on. If keys would be lost, since the only nodes that have them go and cannot be reached, it asks first,
    and refuses where there is no terminal.

    \b
    Examples:
      kvs view-change --add 127.0.0.6:13800 --dry-run
      kvs view-change --replace 127.0.0.3:13800 127.0.0.6:13800
      kvs view-change --to 127.0.0.2:13800,127.0.0.3:13800 --repl-factor 2
      kvs view-change --undo
    """
    added, removed = tuple(sum(add, ())), tuple(sum(remove, ()))
    _check_usage(
        named=bool(to), stepwise=bool(added or removed or replace), factor=bool(repl_factor), undo=undo,
        gone=gone_for_good, dry_run=dry_run, force=force, no_wait=no_wait,
    )  # fmt: skip
    if not (to or added or removed or replace or repl_factor or undo or gone_for_good):
        show(run(endpoints, lambda client: client.progress()), output)
        return

    async def planned(client: Operator) -> tuple[Change, tuple[str, ...]]:
        from kvs.operating import Change

        if undo:
            return Change(None, if_epoch=(await client.progress()).epoch), ()
        ring = await client.ring()
        status = await client.status() if dry_run or not to else None
        former = () if to or status is None else status.former
        nodes, notes = (to, ()) if to else wanted(ring.nodes, replace, added, removed, former)
        notes = (*notes, *short_of_copies(len(nodes), repl_factor, ring.repl_factor))
        if dry_run and status is not None:
            dead = [node.address for node in status.nodes if node.state == "dead"]
            going = [node for node in ring.nodes if node not in nodes]
            factor = repl_factor or ring.repl_factor
            notes = (*notes, *more_copies(len(nodes), factor), *brought_home(going, dead))
        return Change(nodes, repl_factor, ring.epoch, gone_for_good=gone_for_good), notes

    try:
        change, notes = run(endpoints, planned)
    except Mistake as mistake:
        raise Refusal(str(mistake)) from None
    for note in notes:
        click.echo(f"Note: {note}", err=True)
    change = msgspec.structs.replace(change, if_safe=not force, if_epoch=None if force else change.if_epoch)
    if dry_run:
        show(run(endpoints, lambda client: client.plan(change), _explain), output)
        return
    _make(change, partial(_accept if no_wait else _complete, endpoints, output))


def _make(change: Change, make: Callable[[Change], None]) -> None:
    """And ask whoever sits there if keys would be lost."""
    try:
        make(change)
    except KeysAtRisk as risk:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        click.echo(risk.format_message(), err=True)
        if not click.confirm("Give them up?", err=True):
            raise Refusal("Nothing was changed") from None
        make(msgspec.structs.replace(change, if_safe=False))


def _check_usage(
    *, named: bool, stepwise: bool, factor: bool, undo: bool, gone: bool, dry_run: bool, force: bool, no_wait: bool
) -> None:
    """Raises click.UsageError for options that do not go together."""
    if named and stepwise:
        raise click.UsageError("--to names all nodes: it goes with none of --add, --remove and --replace.")
    if undo and (named or stepwise or factor):
        raise click.UsageError("--undo goes back to the view before: it takes no other nodes, and no factor.")
    if undo and gone:
        raise click.UsageError("--undo has no use for --gone-for-good: change the view again with it afterwards.")
    if dry_run and no_wait:
        raise click.UsageError("--dry-run changes nothing: there is nothing to --no-wait for.")
    if (dry_run or no_wait or force) and not (named or stepwise or factor or undo or gone):
        raise click.UsageError("Nothing to change: give --add, --remove, --replace, --to, --repl-factor or --undo.")


def _accept(endpoints: Addresses, output: str, change: Change) -> None:
    accepted = run(endpoints, lambda client: client.start_view_change(change), _explain)
    _tell_lost(accepted)
    if output == "json":
        print_json(accepted)
    else:
        click.echo(f"Accepted as epoch {accepted.epoch}; see `kvs view-change` for its progress", err=True)


def _complete(endpoints: Addresses, output: str, change: Change) -> None:
    from kvs.render import change_bar

    try:
        with change_bar() as report:
            changed = run(endpoints, lambda client: client.change_view(change, report), _explain)
    except KeyboardInterrupt:
        raise Interrupted(
            "Interrupted: the change goes on; `kvs view-change` shows how far, --undo takes it back"
        ) from None
    if not change.if_safe:
        _tell_lost(changed)
    show(changed, output)
    if change.if_safe and changed.keys_at_risk is not msgspec.UNSET:
        raise NoAnswer(
            f"The change is made, but without {lost_keys(changed.keys_at_risk)}: a node that was removed fell silent "
            "before it had handed over what it has. Start it again with its disk, and it brings that home"
        )


def _tell_lost(answer: Accepted | Changed) -> None:
    if answer.keys_at_risk is not msgspec.UNSET:
        click.echo(f"Given up: {lost_keys(answer.keys_at_risk)}", err=True)


def _explain(refused: Refused) -> click.ClickException | None:
    """What to do about a refusal, where there is something to be done."""
    nodes = ", ".join(refused.unreachable)
    if refused.keys_at_risk is not msgspec.UNSET:
        lost = lost_keys(refused.keys_at_risk)
        return KeysAtRisk(
            f"{lost} would be lost: only {nodes} can have them, and cannot be reached. Start what is down there "
            "again, or give the keys up with --force"
        )
    if refused.status == 503 and nodes:
        return NoAnswer(f"{refused.error}: {nodes} cannot be reached: start what is to be in the view, or leave it out")
    if refused.status == 409 and refused.epoch is not None:
        return Refusal(f"{refused.error}: somebody changed it meanwhile; see `kvs ring`, and ask again")
    if refused.status == 409 and refused.view is not None:
        return Refusal(f"{refused.error}; the nodes before were --to {refused.view}")
    if refused.status == 409 and refused.error == UNDER_WAY:
        return Refusal(f"{refused.error}: wait for its end, see `kvs view-change`, or take it back with --undo")
    return None


UNDER_WAY = "Another view change is under way"
"""How the store puts it."""
