"""A node on a machine: its sockets, its data directory and its application, started and ended in order."""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple, TypeVar

from aiohttp import web

from gossip.settings import Settings
from gossip.view import Address, host_of, port_of
from node.api.admission import Admission, Bounds
from node.api.app import make_app
from node.api.data import DataApi
from node.api.descriptors import for_clients, limit
from node.api.doors import Doors
from node.api.fastpath import FastPath
from node.api.protocol import JsonProtocol
from node.api.request_log import RequestLog
from node.api.staleness import Staleness
from node.api.tally import Tally
from node.api.tls_port import TlsPort
from node.certificates import Certificates
from node.cluster_secret import Secrets, parse_cluster_secret
from node.config import Config
from node.errors import BadDataDir, StartupFault, StorageFault
from node.net.pool import Peers
from node.node import Node
from node.secret_files import Parse, Renewable, SecretFile
from node.storage.identity import identify
from node.storage.lmdb_engine import open_engine
from node.storage.store import Store
from node.timing.clock import Time
from node.timing.system_time import SystemTime
from node.timing.turns import Turns
from node.tokens import Tokens, parse_tokens

T = TypeVar("T")

log = logging.getLogger(__name__)

BACKLOG = 1024
NAMES_SETTLE_S = 5.0
"""A node that serves for longer is not ended by a name that leads to it: rather by mistake of the name server."""


class Serving(NamedTuple):
    node: Node
    life: asyncio.Task[None]
    """Ends only if the node fails, with the error."""
    second_name: asyncio.Future[Address]
    """Under which this node, soon after its start, has found itself, though its `VIEW` takes that for another node."""
    files: tuple[Renewable, ...]
    """That it has read, and reads again when it is told to."""


@asynccontextmanager
async def serving(
    config: Config, gossip_settings: Settings | None = None, time: Time | None = None
) -> AsyncIterator[Serving]:
    """A node that serves while the block runs. At its end, it takes no more connections and finishes what is in flight,
    but hands nothing over: it stays an owner. Raises StartupFault, and Unclosed at the end if the disk hangs."""
    loop = asyncio.get_running_loop()
    files = _read_files(config)
    tokens, secret, certificates = files
    doors = None if tokens is None else Doors(tokens)
    sockets = _bind(config)
    time, rng = time or SystemTime(), random.Random()
    with closing(_open_store(config)) as store:
        second_name: asyncio.Future[Address] = loop.create_future()
        until = loop.time() + NAMES_SETTLE_S

        def found_itself(name: str) -> None:
            is_early = loop.time() < until and not second_name.done()
            has_nothing = node.views.current.epoch == 0 and not node.views.holds_keys()
            if is_early and has_nothing and name in config.view and not _listens_elsewhere(config):
                second_name.set_result(name)

        process = f"{rng.getrandbits(64):016x}"
        peers = Peers(config, process, found_itself, secret=secret, certificates=certificates)
        try:
            identity = await identify(store, rng, config.cluster, config.address)
            tally = Tally()
            node = Node(config, time, rng, store, identity, peers, gossip_settings, tally.counted)
            await node.start()
        except (BadDataDir, StorageFault) as fault:
            await peers.close()
            raise BadDataDir(f"DATA_DIR {config.data_dir}: {fault}") from None
        data = DataApi(config, node.router)
        turns = Turns(config.pause_check_s, time.monotonic)
        requests = RequestLog(time.monotonic, config.slow_request_ms / 1000)
        admission = Admission(config.limits, time.monotonic)
        app = make_app(node, data, peers, turns, tally, requests, admission, doors, certificates)
        runner = web.AppRunner(app, shutdown_timeout=config.drain_s)
        await runner.setup()
        assert runner.server is not None
        staleness = Staleness(node.readiness, turns, time.monotonic, config.late_s)
        bounds = Bounds(admission, config.head_s, config.taking_s)
        settings = {"access_log": None, "auto_decompress": False, "keepalive_timeout": config.keepalive_s}
        protocol = partial(JsonProtocol, runner.server, staleness, bounds, loop=loop, **settings)
        descriptors = for_clients(limit(), len(config.view))
        front = FastPath(data, staleness, protocol, config.keepalive_s, descriptors, tally, requests, admission, doors)
        life = asyncio.create_task(node.run())
        servers: list[asyncio.Server | TlsPort] = []
        try:
            for bound in sockets:
                _listen(bound, config)
                servers.append(await _server_of(bound, front, certificates, config, tally, descriptors))
            log.info("%s serves%s", config.address, "" if certificates is None else ", by HTTPS")
            yield Serving(node, life, second_name, tuple(file for file in files if file is not None))
        finally:
            node.stop_serving()
            for server in servers:
                server.close()
            await front.close()
            await runner.cleanup()
            life.cancel()
            await asyncio.wait([life])
            turns.close()
            await node.close()


class _Files(NamedTuple):
    tokens: SecretFile[Tokens] | None
    secret: SecretFile[Secrets] | None
    certificates: Certificates | None


def _read_files(config: Config) -> _Files:
    """Raises BadEnvironment."""
    files = _Files(
        _file("TOKENS_FILE", config.tokens_file, parse_tokens),
        _file("CLUSTER_SECRET_FILE", config.cluster_secret_file, parse_cluster_secret),
        None if config.tls is None else Certificates(config.tls, host_of(config.address)),
    )
    if files.tokens is not None and files.secret is None and files.certificates is None:
        log.warning("TOKENS_FILE without CLUSTER_SECRET_FILE: whoever poses as a node needs no token")
    return files


def _file(variable: str, path: Path | None, parse: Parse[T]) -> SecretFile[T] | None:
    """Raises BadEnvironment."""
    return None if path is None else SecretFile(variable, path, parse)


async def _server_of(
    bound: socket.socket,
    front: FastPath,
    certificates: Certificates | None,
    config: Config,
    tally: Tally,
    descriptors: int,
) -> asyncio.Server | TlsPort:
    """Which accepts what comes to `bound`, until it is closed."""
    if certificates is None:
        return await asyncio.get_running_loop().create_server(front, sock=bound, backlog=BACKLOG)
    port = TlsPort(front, certificates, config, tally, descriptors)
    port.listen(bound)
    return port


def _listens_elsewhere(config: Config) -> bool:
    """Whether this node listens at another IP than that in its address. Then it may be that nothing but the name of
    another node leads to it: addresses are mixed up, but it has not got two."""
    try:
        own = ip_address(host_of(config.address))
    except ValueError:
        return False
    bound = own if config.bind is None else ip_address(config.bind)
    return bound != own and not bound.is_unspecified


def _open_store(config: Config) -> Store:
    """Raises BadDataDir."""
    try:
        return Store(
            open_engine(
                config.data_dir,
                asyncio.get_running_loop(),
                config.jobs_s_max,
                commit_s=config.commit_s,
                reserve_bytes=config.reserve_bytes,
                reserve_share=config.reserve_share,
            )
        )
    except StorageFault as fault:
        raise BadDataDir(f"DATA_DIR {config.data_dir}: {fault}") from None


def _bind(config: Config) -> list[socket.socket]:
    """Sockets bound to where the node is to listen, so that it fails before it touches anything else. Raises
    StartupFault."""
    everywhere = [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
    one = [(socket.AF_INET6 if config.bind and ":" in config.bind else socket.AF_INET, config.bind)]
    sockets: list[socket.socket] = []
    for family, host in everywhere if config.bind is None else one:
        try:
            bound = socket.socket(family, socket.SOCK_STREAM)
            sockets.append(bound)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((host, port_of(config.address)))
        except OSError as error:
            if config.bind is None and family == socket.AF_INET6 and error.errno != errno.EADDRINUSE:
                continue  # This machine has no IPv6.
            for bound in sockets:
                bound.close()
            fault = f"ADDRESS {config.address}: cannot listen on {host}: {error.strerror}"
            raise StartupFault(f"{fault}: the port must be free, and the IP, or that of BIND, this machine's") from None
    return sockets


def _listen(bound: socket.socket, config: Config) -> None:
    """Two nodes may bind one address at the same moment, but only one of them may listen. Raises StartupFault."""
    try:
        bound.listen(BACKLOG)
    except OSError as error:
        raise StartupFault(f"ADDRESS {config.address}: cannot listen: {error.strerror}") from None
