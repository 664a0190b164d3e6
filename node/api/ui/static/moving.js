// Keys that are on their way to other nodes: how far that is, and how long it takes yet.

import { byId, el, keyed, setText, setWidth } from "./dom.js";
import { count, counted, duration } from "./words.js";

const RATE_MS = 15000;
const STILL_MS = 5000;
// Writes that one co-owner has counted a moment before the other are no copies on their way.
const SLIGHT = 0.01;

let most = 0;
let flowMost = new Map();
let seen = [];

export function forgetMoves() {
  most = 0;
  flowMost = new Map();
  seen = [];
}

export function showMoving({ view, nodes, samples, now }) {
  const body = byId("moving-body");
  const flows = flowsOf(view, nodes);
  const left = flows.reduce((total, flow) => total + flow.keys, 0);
  const kept = nodes.reduce((total, node) => total + node.kept, 0);
  const waits = [...new Set(nodes.flatMap((node) => node.waiting.map(([from]) => from)))].filter((from) => isDown(nodes, from));
  if (!flows.length && !waits.length) {
    forgetMoves();
    body.replaceChildren(el("p", { class: "note" }, "None: every key is where the view wants it."));
    return;
  }
  if (!body.querySelector(".bar")) body.replaceChildren(...make());
  seen = [...seen.filter((one) => now - one.at < RATE_MS), { at: now, left }];
  most = Math.max(most, flows.reduce((total, flow) => total + (flow.all ?? flow.keys), 0), before(samples, now));
  const [head, bar, list, note] = body.children;
  setText(head.firstChild, most ? `${Math.floor((100 * (most - left)) / most)}% moved` : "Moving");
  setText(head.lastChild, `${counted(left, "key")} to go${timeLeft(left)}`);
  setWidth(bar.firstChild, most ? (most - left) / most : 0);
  bar.setAttribute("aria-valuenow", most ? Math.floor((100 * (most - left)) / most) : 0);
  showFlows(list, flows);
  const missing = waits.length ? `Waits for ${waits.join(", ")}, which cannot be reached and may have keys. ` : "";
  setText(note, missing + (kept ? `${counted(kept, "key")} are kept at earlier owners until there are enough copies.` : ""));
}

// What nodes have to hand over, and what copies lack that are made from their co-owners.
function flowsOf(view, nodes) {
  const handing = nodes.flatMap((node) => node.handing.map(([to, , keys]) => ({ from: node.address, to, keys })));
  const byAddress = new Map(nodes.map((node) => [node.address, node]));
  const taking = new Set(handing.map((flow) => flow.to));
  const lacking = view.shards
    .filter((shard) => !shard.replicas.some((address) => taking.has(address)))
    .flatMap((shard) => {
      const replicas = shard.replicas.map((address) => byAddress.get(address)).filter((node) => node);
      const all = Math.max(0, ...replicas.map((node) => node["key-count"] ?? 0));
      const behind = replicas.filter((node) => node.settled === false && node["key-count"] < (1 - SLIGHT) * all);
      return behind.map((node) => ({ from: `shard ${shard["shard-id"]}`, to: node.address, keys: all - node["key-count"], all }));
    });
  return [...handing, ...lacking];
}

function make() {
  const head = el("p", { class: "moving-head" }, el("strong"), el("span"));
  const aria = { role: "progressbar", "aria-label": "Keys moved", "aria-valuemin": 0, "aria-valuemax": 100 };
  const list = el("ul", { class: "flows", "aria-label": "From where to where", tabindex: 0 });
  return [head, el("div", { class: "bar", ...aria }, el("i")), list, el("p", { class: "note" })];
}

function showFlows(list, flows) {
  keyed(
    list,
    flows,
    (flow) => `${flow.from} ${flow.to}`,
    (flow) => el("li", {}, el("span", { class: "mono" }, `${flow.from} → ${flow.to}`), el("div", { class: "bar" }, el("i")), el("span", { class: "n" })),
    (item, flow) => {
      const key = item.dataset.key;
      flowMost.set(key, Math.max(flow.all ?? flow.keys, flowMost.get(key) ?? 0));
      const all = flowMost.get(key);
      setWidth(item.children[1].firstChild, all ? (all - flow.keys) / all : 0);
      setText(item.children[2], count(flow.keys));
    },
  );
}

const isDown = (nodes, address) => nodes.some((node) => node.address === address && node.state !== "up");

// The most there were since there were none, as the nodes have noted it: a page that was opened later shows the same bar.
function before(samples, now) {
  const owed = samples.series(now, (point) => point.owed, (one, other) => one + other);
  const since = owed.findLastIndex((value, at) => at < owed.length - 2 && !value);
  return Math.max(0, ...owed.slice(since + 1).map((value) => value ?? 0));
}

function timeLeft(left) {
  const [first, last] = [seen[0], seen.at(-1)];
  const elapsed = last.at - first.at;
  if (!left || elapsed < STILL_MS / 2) return "";
  const rate = (first.left - last.left) / elapsed;
  if (rate <= 0) return elapsed >= STILL_MS ? "; nothing moves" : "";
  return `, about ${duration(Math.max(1, left / rate / 1000))} left`;
}
