"""What a node shows, taken apart by Prometheus' own parser."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from gossip.view import Address
from tests.cluster import Client

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Scrape:
    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self._figures: Figures = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    @property
    def names(self) -> set[str]:
        """Of the families, as they are exposed: counters with their suffix."""
        return {
            f"{family.name}_total" if family.type == "counter" else family.name for family in self.families.values()
        }

    def __call__(self, name: str, **labels: str) -> float:
        """A figure; 0 if there is none of these labels yet."""
        return self._figures.get((name, frozenset(labels.items())), 0.0)

    def has(self, name: str, **labels: str) -> bool:
        return (name, frozenset(labels.items())) in self._figures


async def scrape(http: Client, node: Address) -> Scrape:
    reply = await http.ask(node, "GET", "/metrics")
    assert reply.status == 200
    return Scrape(reply.body.decode())
