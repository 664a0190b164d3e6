"""`kvs tokens`: tokens for those who may use a store that asks for them."""

from __future__ import annotations

import click

from kvs.ending import output_option, print_json
from kvs.token import ROLES, make_token


@click.group()
def tokens() -> None:
    """Make tokens for a store that asks for them."""


@tokens.command()
@click.argument("role", type=click.Choice(ROLES))
@output_option
def new(role: str, output: str) -> None:
    """Print a new token for ROLE, and the line for the nodes.

    The first line is the token, which is told only now: give it to its user. The second one belongs into the file that
    TOKENS_FILE of each node names; send each node SIGHUP then. ROLE is read, write, or admin, each of which may do
    what those before it may.

    \b
    Example:
      kvs tokens new write
    """
    made = make_token(role)
    if output == "json":
        print_json({"role": role, "token": made.token, "line": made.line})
    else:
        click.echo(made.token)
        click.echo(made.line)
