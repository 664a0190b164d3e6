// The page: what the node tells is kept here, and shown by the files beside this one.

import { token } from "./api.js";
import { Change } from "./change.js";
import { Charts } from "./charts.js";
import { byId, el, keyed, setText } from "./dom.js";
import { Keys } from "./keys.js";
import { forgetMoves, showMoving } from "./moving.js";
import { showNodes } from "./nodes.js";
import { ageProblems, showProblems } from "./problems.js";
import { showRing } from "./ring.js";
import { Samples, STEP_MS } from "./samples.js";
import { Stream } from "./stream.js";
import { clock, count, duration } from "./words.js";

const state = { you: null, view: null, problems: null, nodes: null, samples: new Samples(), now: 0 };
let heardAt = 0;
let lostAt = null;
let drawnAt = 0;

const charts = new Charts();
const keys = new Keys();
const change = new Change();

const stream = new Stream("/ui/stream", { told, opened, lost, refused });

function told(name, data) {
  heardAt = Date.now();
  if (name === "samples") state.samples.add(data);
  else if (name === "tick") show(data);
  else {
    if (name === "view" && state.view && state.view.digest !== data.digest) forgetMoves();
    state[name] = data;
  }
}

function opened() {
  lostAt = null;
  state.samples.clear();
  drawnAt = 0;
  document.body.className = "live";
  byId("lost").hidden = true;
  byId("login").hidden = true;
  setText(byId("link-text"), "live");
}

function lost(status) {
  lostAt ??= heardAt || Date.now();
  document.body.className = "gone";
  setText(byId("link-text"), "no answer");
  if (state.problems) ageProblems(state.problems);
  sayLost(status);
}

function sayLost(status) {
  const banner = byId("lost");
  const me = state.you?.address ?? location.host;
  const why = status === 503 ? "serves no more pages at the moment" : "does not answer";
  const others = (state.nodes ?? []).filter((node) => node.address !== me && node.member && node.state === "up");
  const links = others.slice(0, 8).flatMap((node, at) => [at ? ", " : "", el("a", { href: `${location.protocol}//${node.address}/ui` }, node.address)]);
  if (banner.hidden) {
    const rest = [" This page asks again until it does, and shows what it knew until then. "];
    if (links.length) rest.push("The others have a page too: ", ...links);
    banner.replaceChildren(el("strong", {}, `${me}, which serves this page, ${why}.`), el("span", { id: "lost-for" }), ...rest);
    banner.hidden = false;
  }
  setText(byId("lost-for"), heardAt ? ` What you see is ${duration((Date.now() - heardAt) / 1000)} old.` : "");
}

function refused(status) {
  document.body.className = "";
  setText(byId("link-text"), "not signed in");
  const had = token.get();
  token.forget();
  byId("shown").hidden = true;
  byId("sign-out").hidden = true;
  byId("lost").hidden = true;
  byId("login").hidden = false;
  if (had) setText(byId("login-note"), status === 403 ? "That token may not look." : "No such token.");
  byId("token").focus();
}

function show(now) {
  state.now = now;
  if (!state.nodes || !state.view || !state.you) return;
  if (byId("shown").hidden) keys.list();
  byId("shown").hidden = false;
  showHead();
  showProblems(state.problems);
  showNodes(state);
  showMoving(state);
  showRing(state);
  change.show(state);
  if (now - drawnAt >= STEP_MS / 2) {
    drawnAt = now;
    charts.show(state.samples, now);
  }
  setText(byId("foot"), `kvs ${state.you.release ?? ""} · as ${state.you.address} sees it at ${clock(now)}`);
}

// What it has yet to bring to owners of which none has it.
function onTheWay(node) {
  const records = node.handing.reduce((sum, [, , records]) => sum + records, 0);
  return Math.max(0, records - node.kept);
}

function showHead() {
  const { you, view, nodes, problems } = state;
  const members = nodes.filter((node) => node.member);
  const up = members.filter((node) => node.state === "up").length;
  const byAddress = new Map(nodes.map((node) => [node.address, node["key-count"] ?? 0]));
  const total = view.shards.reduce((sum, shard) => sum + Math.max(...shard.replicas.map((address) => byAddress.get(address) ?? 0)), 0);
  const isTold = (address) => members.some((node) => node.address === address && node.settled !== null);
  const least = view.shards.every((shard) => shard.replicas.some(isTold)) ? "" : "at least ";
  const coming = nodes.reduce((sum, node) => sum + onTheWay(node), 0);
  const more = coming ? `, up to ${count(coming)} on their way` : "";
  const settled = members.every((node) => node.settled !== false);
  setText(byId("cluster"), you.cluster);
  const facts = [
    ["nodes up", `${up} of ${members.length}`],
    ["keys", `${least}${count(total)}${more}`],
    ["copies", String(view["repl-factor"] ?? 1)],
    ["view", `epoch ${view.epoch}, ${settled ? "settled" : "moving"}`],
    ...(you.tokens ? [["signed in for", you.role]] : []),
  ];
  keyed(
    byId("facts"),
    facts,
    ([name]) => name,
    ([name]) => el("div", {}, el("dt", {}, name), el("dd")),
    (item, [, text]) => setText(item.lastChild, text),
  );
  byId("sign-out").hidden = !you.tokens;
  document.title = problems.length ? `(${problems.length}) ${you.cluster}` : you.cluster;
}

byId("login-form").addEventListener("submit", (event) => {
  event.preventDefault();
  token.set(byId("token").value.trim());
  byId("token").value = "";
  stream.open();
});

byId("sign-out").addEventListener("click", () => {
  stream.close();
  token.forget();
  refused(401);
});

addEventListener("resize", () => state.now && charts.show(state.samples, state.now));
setInterval(() => lostAt !== null && sayLost(0), 1000);
stream.open();
