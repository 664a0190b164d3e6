// The ring of partitions: which part of the keys is whose, and in which zones its copies are.

import { byId, el, keyed, setAttribute, setText, svg } from "./dom.js";
import { severity } from "./nodes.js";
import { count } from "./words.js";

const CENTER = 160;
const OUTER = 156;
const SHARD_WIDTH = 20;
const INNERMOST = 62;
const COPIES_MAX = 5;
const LABEL_SHARE = 0.025;
const ZONE_COLOURS = 8;

let drawn = "";

export function showRing({ view, nodes }) {
  const byAddress = new Map(nodes.map((node) => [node.address, node]));
  const zones = [...new Set(view.shards.flatMap((shard) => shard.zones))].sort();
  const colour = new Map(zones.map((zone, at) => [zone, `z${at % ZONE_COLOURS}`]));
  const isDown = (address) => severity(byAddress.get(address) ?? { state: "silent", member: true }) === "bad";
  showZones(zones, colour);
  showShards(view, byAddress, colour, isDown);
  const key = JSON.stringify([view.digest, view.epoch, view.shards.map((shard) => shard.replicas.map(isDown))]);
  if (key !== drawn) {
    drawn = key;
    byId("ring-figure").replaceChildren(draw(view, colour, isDown), caption(view));
  }
}

function showZones(zones, colour) {
  keyed(
    byId("zones"),
    zones,
    (zone) => zone,
    (zone) => el("li", {}, el("span", { class: `swatch ${colour.get(zone)}` }), zone),
    (item, zone) => setAttribute(item.firstChild, "class", `swatch ${colour.get(zone)}`),
  );
}

function showShards(view, byAddress, colour, isDown) {
  keyed(
    byId("shards-body"),
    view.shards,
    (shard) => shard["shard-id"],
    (shard) => {
      const light = (on) => () => highlight(on ? shard["shard-id"] : null);
      const copies = el("td", {}, el("div", { class: "copies-on" }));
      const row = el("tr", {}, el("th", { scope: "row" }, shard["shard-id"]), copies, el("td", { class: "n" }), el("td", { class: "n" }));
      row.addEventListener("pointerenter", light(true));
      row.addEventListener("pointerleave", light(false));
      return row;
    },
    (row, shard) => {
      const [, copies, share, keys] = row.children;
      keyed(
        copies.firstChild,
        shard.replicas,
        (address) => address,
        (address) => el("span", { class: "mono" }, el("span", { class: "swatch", "aria-hidden": "true" }), el("span", {}, address)),
        (chip, address) => {
          const zone = shard.zones[shard.replicas.indexOf(address)];
          setAttribute(chip.firstChild, "class", `swatch ${colour.get(zone)}`);
          setAttribute(chip, "title", `zone ${zone}`);
          setAttribute(chip, "class", isDown(address) ? "mono bad" : "mono");
          setText(chip.lastChild, isDown(address) ? `${address} ✕` : address);
        },
      );
      setText(share, `${((100 * shard.partitions) / view.partitions).toFixed(1)}%`);
      const counts = shard.replicas.map((address) => byAddress.get(address)?.["key-count"] ?? 0);
      setText(keys, count(Math.max(...counts)));
    },
  );
}

function highlight(shardId) {
  for (const arc of byId("ring-figure").querySelectorAll(".arc")) {
    arc.classList.toggle("dim", shardId !== null && arc.dataset.shard !== shardId);
  }
}

function draw(view, colour, isDown) {
  const arcs = arcsOf(view);
  const copies = Math.min(COPIES_MAX, Math.max(...view.shards.map((shard) => shard.replicas.length)));
  const width = Math.min(30, (OUTER - SHARD_WIDTH - INNERMOST) / copies);
  const parts = [];
  view.shards.forEach((shard, index) => {
    const own = arcs.get(index + 1) ?? [];
    const band = (outer, thick, classes) =>
      svg("path", { class: `arc ${classes}`, "data-shard": shard["shard-id"], d: own.map((arc) => sector(arc, outer, outer - thick)).join("") });
    parts.push(band(OUTER, SHARD_WIDTH, `arc-shard${index % 2 ? " odd" : ""}`));
    shard.replicas.slice(0, copies).forEach((address, at) => {
      const classes = isDown(address) ? "arc-down" : `arc-zone ${colour.get(shard.zones[at])}`;
      parts.push(band(OUTER - SHARD_WIDTH - at * width - 1.5, width - 1.5, classes));
    });
  });
  parts.push(svg("path", { class: "arc-gap", d: [...arcs.values()].flat().map((arc) => spoke(arc[0])).join("") }));
  view.shards.forEach((shard, index) => parts.push(...label(shard, arcs.get(index + 1) ?? [])));
  parts.push(text("ring-text ring-big", CENTER, CENTER - 8, count(view.shards.length)));
  parts.push(text("ring-text ring-dim", CENTER, CENTER + 16, view.shards.length === 1 ? "shard" : "shards"));
  return svg("svg", { viewBox: "0 0 320 320", role: "img", "aria-label": describe(view, isDown) }, ...parts);
}

// By shard, from where to where it goes around, in turns.
function arcsOf(view) {
  const arcs = new Map();
  let at = 0;
  for (const [shard, partitions] of view.ranges) {
    const arc = [at / view.partitions, (at + partitions) / view.partitions];
    arcs.set(shard, [...(arcs.get(shard) ?? []), arc]);
    at += partitions;
  }
  return arcs;
}

function point(turn, radius) {
  const angle = 2 * Math.PI * turn - Math.PI / 2;
  return `${(CENTER + radius * Math.cos(angle)).toFixed(2)} ${(CENTER + radius * Math.sin(angle)).toFixed(2)}`;
}

function sector([from, to], outer, inner) {
  const end = Math.min(to, from + 0.99999);
  const large = end - from > 0.5 ? 1 : 0;
  const there = `M${point(from, outer)}A${outer} ${outer} 0 ${large} 1 ${point(end, outer)}`;
  return `${there}L${point(end, inner)}A${inner} ${inner} 0 ${large} 0 ${point(from, inner)}Z`;
}

const spoke = (turn) => `M${point(turn, INNERMOST - 6)}L${point(turn, OUTER + 1)}`;

function label(shard, arcs) {
  const largest = arcs.reduce((one, other) => (other[1] - other[0] > one[1] - one[0] ? other : one), [0, 0]);
  if (largest[1] - largest[0] < LABEL_SHARE) return [];
  const [x, y] = point((largest[0] + largest[1]) / 2, OUTER - SHARD_WIDTH / 2).split(" ");
  return [text("ring-text", x, y, shard["shard-id"])];
}

const text = (classes, x, y, told) => svg("text", { class: classes, x, y }, told);

function describe(view, isDown) {
  const shards = view.shards.map((shard) => {
    const copies = shard.replicas.map((address, at) => `${address} in zone ${shard.zones[at]}${isDown(address) ? ", which is down" : ""}`);
    return `shard ${shard["shard-id"]} on ${copies.join(" and ")}`;
  });
  return `The ring of ${view.partitions} partitions: ${shards.slice(0, 12).join("; ")}`;
}

function caption(view) {
  const copies = view["repl-factor"] ?? 1;
  const told = copies === 1 ? "One copy of each key" : `${copies} copies of each key, a band each, in the colour of its zone`;
  return el("figcaption", { class: "note" }, told);
}
