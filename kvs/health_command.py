"""`kvs health`: whether nodes would serve now, for those who look and for what restarts or watches a container.

The exit status is 0 or 1, and nothing else, since docker knows no other.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from kvs.ending import ca_file, output_option, print_json
from kvs.params import Addresses, EndpointList

if TYPE_CHECKING:
    from kvs.health import Place


@click.command()
@click.argument("node", type=EndpointList(), required=False)
@output_option
@click.pass_context
def health(ctx: click.Context, node: Addresses | None, output: str) -> None:
    """Tell whether NODE would serve now; NODE may be several, with commas.

    Without NODE: the endpoints, if they were given; else, in the environment of a node, as in its container, that
    node; else the endpoints all the same. Each check that has failed is a line, and so is what is only worth
    knowing, without which a node is fit to serve.

    \b
    Exit status:
      0  all would serve
      1  one would not, or gives no answer
    """
    from kvs.errors import BadRequest
    from kvs.health import look_at

    try:
        found = [look_at(place) for place in _places(ctx, node)]
    except BadRequest as fault:
        raise click.ClickException(str(fault)) from None
    if output == "json":
        print_json({"nodes": found})
    else:
        for of_node in found:
            for check in of_node.checks:
                if check.state != "ok":
                    click.echo(f"{of_node.address}: {check.name} {check.reason}")
            if of_node.ready:
                click.echo(f"{of_node.address}: ready")
    ctx.exit(0 if all(of_node.ready for of_node in found) else 1)


def _places(ctx: click.Context, named: Addresses | None) -> list[Place]:
    from kvs.errors import BadRequest
    from kvs.health import Place, own_node

    whole = ctx.find_root()
    endpoints: Addresses = named or whole.params["endpoints"]
    given = [Place(endpoint, ca_file()) for endpoint in endpoints]
    if named or whole.get_parameter_source("endpoints") is not ParameterSource.DEFAULT:
        return given
    try:
        own = own_node(os.environ)
    except BadRequest as error:
        raise click.ClickException(f"ADDRESS: {error}") from None
    return given if own is None else [own]
