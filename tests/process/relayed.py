"""Two nodes that are owners of the same keys, each behind a relay for the other one, not for clients."""

from __future__ import annotations

from gossip.view import Address, port_of
from tests.cluster import Client, Processes, eventually, fresh_addresses
from tests.relay import Relay


class RelayedNodes:
    """Known to each other by their `addresses`, where the relays are. Clients ask them where they `listen`."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        addresses = fresh_addresses(4)
        self.addresses, self._hosts = addresses[:2], [address.rpartition(":")[0] for address in addresses[2:]]
        self.listen: list[Address] = [f"{host}:{port_of(self.addresses[0])}" for host in self._hosts]
        self.relays = [Relay(address, far) for address, far in zip(self.addresses, self.listen, strict=True)]

    async def start(self, **environment: str) -> None:
        for relay, address, host in zip(self.relays, self.addresses, self._hosts, strict=True):
            await relay.open()
            await self._processes.start(address, self.addresses, REPL_FACTOR="2", BIND=host, **environment)

    async def in_touch(self, http: Client) -> None:
        """Wait until each has heard the other and compared with it: until then writes are on one copy."""
        for node in self.listen:

            async def reaches_both(node: Address = node) -> bool:
                shown = (await http.ask(node, "GET", "/kvs/view-change")).json
                return shown["state"] == "settled" and all(one["keys"] is not None for one in shown["nodes"])

            await eventually(reaches_both, f"{node} reaches the other one")

    def log(self, number: int) -> str:
        return self._processes[self.addresses[number]].log.read_text()

    async def close(self) -> None:
        for relay in self.relays:
            await relay.close()
