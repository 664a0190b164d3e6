"""What an operator tells a node: the environment, read once, and checked whole.

Every fault is reported at once, on a line of its own that names the variable and the entry: an operator should not have
to start a container five times to learn of five typing errors.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gossip.view import ZONE_CHARS_MAX, Address, BadAddress, host_of, is_zone, parse_address, parse_nodes
from node.certificates import CA, CERT, KEY, Certificates
from node.cluster_secret import parse_cluster_secret
from node.config import CLUSTER_DEFAULT, Config, TlsFiles
from node.errors import BadEnvironment
from node.limits import parse_limits
from node.secret_files import Parse, SecretFile
from node.time_limits import ROUND_TRIP_MS_DEFAULT, ROUND_TRIP_MS_MAX
from node.tokens import parse_tokens

_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""A name that can stand in a URL, in a header and in a line of the log as it is."""
LOG_LEVELS = ("debug", "info", "warning", "error")
LOG_FORMATS = ("text", "json")
SLOW_REQUEST_MS_MAX = 3_600_000
_MEANING = {
    "ADDRESS": "the HOST:PORT by which the other nodes know this one",
    "VIEW": "the first nodes of the store, HOST:PORT,HOST:PORT,...",
}


def read_environment(env: Mapping[str, str]) -> Config:
    """The configuration in `env`. Raises BadEnvironment with a line for each fault."""
    faults: list[str] = []

    def nodes(variable: str, only_one: bool) -> tuple[Address, ...]:
        text = env.get(variable, "").strip()
        if not text:
            faults.append(f"{variable}: missing: {_MEANING[variable]}")
            return ()
        try:
            return (parse_address(text),) if only_one else parse_nodes(text)
        except BadAddress as error:
            faults.extend(f"{variable}: {fault}" for fault in error.faults)
            return ()

    address = "".join(nodes("ADDRESS", only_one=True))
    view = nodes("VIEW", only_one=False)
    factor_text, bind_text = env.get("REPL_FACTOR", "").strip(), env.get("BIND", "").strip()
    factor = _whole_number(factor_text)
    if factor_text and not factor:
        faults.append(f"REPL_FACTOR: {factor_text!r} is not a whole number of 1 or more")
    trip_text = env.get("ROUND_TRIP_MS", "").strip()
    trip_ms = _whole_number(trip_text) if trip_text else ROUND_TRIP_MS_DEFAULT
    if not trip_ms or trip_ms > ROUND_TRIP_MS_MAX:
        faults.append(f"ROUND_TRIP_MS: {trip_text!r} is not a whole number from 1 to {ROUND_TRIP_MS_MAX}")
    cluster = env.get("CLUSTER", CLUSTER_DEFAULT).strip()
    if not cluster:
        faults.append(f"CLUSTER: empty: name the store, or leave the variable out, and it is {CLUSTER_DEFAULT!r}")
    elif not _CLUSTER.fullmatch(cluster):
        faults.append(f"CLUSTER: {cluster!r} is not a name: 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-', no sign first")
    if bind_text and _ip(bind_text) is None:
        faults.append(f"BIND: {bind_text!r} is not an IP address")
    zone = env.get("ZONE", "").strip()
    if zone and not is_zone(zone):
        rule = f"1 to {ZONE_CHARS_MAX} printable characters without spaces and commas"
        faults.append(f"ZONE: {zone[:ZONE_CHARS_MAX]!r} is not a name of {rule}")
    told = _logging_in(env, faults) | _files_in(env, address, faults)
    limits, bad_entries = parse_limits(env.get("LIMITS", ""))
    faults.extend(f"LIMITS: {fault}" for fault in bad_entries)
    if faults or not trip_ms:
        raise BadEnvironment(*faults)
    host = _ip(host_of(address))
    data_dir = env.get("DATA_DIR", "").strip() or f"data/{address.replace('[', '').replace(']', '')}"
    return Config.for_round_trip(
        trip_ms,
        address=address,
        view=view,
        repl_factor=factor,
        data_dir=Path(data_dir),
        zone=zone,
        cluster=cluster,
        limits=limits,
        bind=(bind_text.strip("[]") or None) or (str(host) if host is not None and host.is_loopback else None),
        **told,
    )


def _logging_in(env: Mapping[str, str], faults: list[str]) -> dict[str, Any]:
    """What is to be logged, and how, as fields of the configuration; what is wrong with it is added to `faults`."""
    told: dict[str, Any] = {}
    for variable, allowed in (("LOG_LEVEL", LOG_LEVELS), ("LOG_FORMAT", LOG_FORMATS)):
        text = env.get(variable, "").strip()
        if text.lower() in allowed:
            told[variable.lower()] = text.lower()
        elif text:
            faults.append(f"{variable}: {text!r} is none of {', '.join(allowed)}")
    if slow_text := env.get("SLOW_REQUEST_MS", "").strip():
        slow_ms = _whole_number(slow_text)
        if slow_ms is None or slow_ms > SLOW_REQUEST_MS_MAX:
            faults.append(f"SLOW_REQUEST_MS: {slow_text!r} is not a whole number from 0 to {SLOW_REQUEST_MS_MAX}")
        else:
            told["slow_request_ms"] = slow_ms
    return told


def _files_in(env: Mapping[str, str], address: Address, faults: list[str]) -> dict[str, Any]:
    """Which files the node is to read, as fields of the configuration; what is wrong with them is added to `faults`."""

    def file_of(variable: str, parse: Parse[Any]) -> Path | None:
        text = env.get(variable, "").strip()
        try:
            return SecretFile(variable, Path(text), parse).path if text else None
        except BadEnvironment as error:
            faults.extend(error.faults)
            return None

    return {
        "tokens_file": file_of("TOKENS_FILE", parse_tokens),
        "cluster_secret_file": file_of("CLUSTER_SECRET_FILE", parse_cluster_secret),
        "tls": _tls_in(env, address, faults),
    }


def _tls_in(env: Mapping[str, str], address: Address, faults: list[str]) -> TlsFiles | None:
    """What is wrong with the files, or that some of them are left out, is added to `faults`."""
    told = {variable: env.get(variable, "").strip() for variable in (CERT, KEY, CA)}
    missing = [variable for variable, text in told.items() if not text]
    if len(missing) == len(told):
        return None
    if missing:
        faults.extend(f"{variable}: missing: {CERT}, {KEY} and {CA} go together" for variable in missing)
        return None
    files = TlsFiles(*map(Path, told.values()))
    try:
        if address:  # Else that is the fault.
            Certificates(files, host_of(address))
    except BadEnvironment as error:
        faults.extend(error.faults)
    return files


def _whole_number(text: str) -> int | None:
    """None: it is none, or one that is out of all bounds."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
