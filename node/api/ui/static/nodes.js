// A row for each node.

import { byId, el, keyed, setAttribute, setText, setWidth, svg } from "./dom.js";
import { requests, sum } from "./samples.js";
import { bytes, count, duration, milliseconds, NONE, offset, rate } from "./words.js";

const SLOW_PING_MS = 50;
const CLOCK_OFF_MS = 1000;
const CELLS = ["State", "Shard", "Keys", "Disk", "Last 15 min", "Requests/s", "p50", "p99", "Clock", "Ping"];
const KINDS = { State: "how", Disk: "disk nowrap", "Last 15 min": "drawn" };
const NUMBERS = new Set(["Keys", "Requests/s", "p50", "p99", "Clock", "Ping"]);

export function severity(node) {
  if (node.state === "down" || node.state === "silent" || node.state === "foreign") return node.member ? "bad" : "off";
  return node.stuck ? "bad" : node.state === "up" ? "up" : "warn";
}

export function stateWords(node) {
  if (node.state === "down" && node["dead-seconds"] !== null) return `down for ${duration(node["dead-seconds"])}`;
  return node.stuck ? "disk takes nothing" : node.state;
}

export function showNodes({ nodes, samples, now }) {
  keyed(byId("nodes-body"), nodes, (node) => node.address, make, (row, node) => update(row, node, samples, now));
}

function make() {
  const cells = CELLS.map((label) => {
    return el("td", { "data-label": label, class: NUMBERS.has(label) ? "n" : KINDS[label] });
  });
  const [state, , , disk, spark] = cells;
  state.append(el("span", { class: "state" }, el("span", { class: "dot", "aria-hidden": "true" }), el("span")));
  disk.append(el("span", { class: "meter", "aria-hidden": "true" }, el("i")), el("span"));
  spark.append(svg("svg", { class: "spark", viewBox: "0 0 180 24", preserveAspectRatio: "none", "aria-hidden": "true" }, svg("path")));
  const head = el("th", { scope: "row" }, el("span", { class: "mono" }), el("span", { class: "tag" }), el("div", { class: "where" }));
  return el("tr", {}, head, ...cells);
}

function update(row, node, samples, now) {
  const [head, state, shard, keys, disk, spark, requested, p50, p99, clock, ping] = row.children;
  const how = severity(node);
  const last = node.state === "down" ? null : samples.last(node.address, now);
  setText(head.children[0], node.address);
  setText(head.children[1], node.me ? "serves this page" : "outside the view");
  head.children[1].hidden = !node.me && node.member;
  setText(head.children[2], node.zone ? `zone ${node.zone}` : "");
  setAttribute(state.firstChild, "class", `state ${how}`);
  setAttribute(state.firstChild.firstChild, "class", `dot ${how}`);
  setText(state.firstChild.lastChild, stateWords(node));
  setText(shard, node["shard-id"] ?? NONE);
  setText(keys, count(node["key-count"]));
  showDisk(disk, node);
  showSpark(spark.firstChild.firstChild, samples.series(now, requests, sum, [node.address]));
  setText(requested, last ? rate(requests(last)) : NONE);
  setText(p50, last?.p50 ? milliseconds(last.p50) : NONE);
  setText(p99, last?.p99 ? milliseconds(last.p99) : NONE);
  setText(clock, offset(node["clock-offset-ms"]));
  clock.classList.toggle("hot", Math.abs(node["clock-offset-ms"] ?? 0) >= CLOCK_OFF_MS);
  const trip = node["round-trip-ms"];
  setText(ping, node.me || trip === null ? NONE : trip < 1 ? "< 1 ms" : milliseconds(trip));
  ping.classList.toggle("hot", (node["round-trip-ms"] ?? 0) > SLOW_PING_MS);
}

function showDisk(cell, node) {
  const [meter, text] = cell.children;
  const all = node["disk-bytes"];
  meter.hidden = !all;
  text.classList.toggle("hot", Boolean(all) && !node["free-bytes"]);
  if (!all) {
    setText(text, NONE);
    return;
  }
  const used = 1 - node["free-bytes"] / all;
  setWidth(meter.firstChild, used);
  setAttribute(meter, "class", `meter ${node.stuck || !node["free-bytes"] ? "bad" : used > 0.9 ? "warn" : ""}`);
  setText(text, node.stuck ? "full, or hangs" : `${bytes(node["free-bytes"])} free`);
  setAttribute(cell, "title", `${bytes(node["store-bytes"])} of ${bytes(all)} are this store's`);
}

function showSpark(path, values) {
  const most = Math.max(1, ...values.map((value) => value ?? 0));
  const points = values.map((value, at) => `${at} ${(23 - (22 * (value ?? 0)) / most).toFixed(1)}`);
  setAttribute(path, "d", `M0 24L${points.join("L")}L179 24Z`);
}
