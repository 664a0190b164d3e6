// Keys by how they begin, and all there is to know of one.

import { ask, fault } from "./api.js";
import { byId, el } from "./dom.js";
import { bytes, count, moment, NONE } from "./words.js";

const PAGE = 50;

const STATES = { value: "has it", deleted: "deleted", expired: "expired", none: "has nothing", unknown: "does not answer" };

export class Keys {
  constructor() {
    this.next = null;
    this.looked = 0;
    byId("keys-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.list();
    });
    byId("keys-open").addEventListener("click", () => this.open(byId("prefix").value));
    byId("keys-more").addEventListener("click", () => this.list(this.next));
  }

  async list(after = null) {
    const prefix = byId("prefix").value;
    const query = new URLSearchParams({ prefix, limit: PAGE, ...(after === null ? {} : { after }) });
    const answer = await ask("GET", `/kvs/keys?${query}`);
    if (answer.status !== 200) {
      byId("keys-note").textContent = fault(answer);
      return;
    }
    const list = byId("keys-list");
    const items = answer.json.keys.map((key) => this.#item(key));
    if (after === null) list.replaceChildren(...items);
    else list.append(...items);
    this.next = answer.json.next;
    byId("keys-more").hidden = this.next === null;
    const shown = list.children.length;
    byId("keys-note").textContent = shown ? `${count(shown)} shown${this.next === null ? ", that is all" : ", there are more"}` : "There is no such key";
  }

  #item(key) {
    const button = el("button", { type: "button" }, key);
    button.addEventListener("click", () => this.open(key));
    return el("li", { "data-key": key }, button);
  }

  async open(key) {
    if (!key) {
      byId("keys-note").textContent = "Which one? A key has 1 to 50 characters";
      return;
    }
    const looked = (this.looked += 1);
    const [read, copies] = await Promise.all([
      ask("GET", `/kvs/keys/${encodeURIComponent(key)}`),
      ask("GET", `/ui/copies?key=${encodeURIComponent(key)}`),
    ]);
    if (looked !== this.looked) return;
    for (const item of byId("keys-list").children) {
      item.firstChild.setAttribute("aria-current", item.dataset.key === key);
    }
    byId("key").replaceChildren(el("h3", {}, key), ...value(read), ...where(read, copies));
  }
}

function value(read) {
  if (read.status !== 200) return [el("p", { class: "said" }, fault(read))];
  const pairs = [["Version", read.headers.get("ETag") ?? NONE], ["Answered by", read.json.address ?? "this node, an owner"]];
  if (read.json.ttl !== undefined) pairs.push(["Expires in", `${read.json.ttl} s`]);
  return [el("pre", { tabindex: 0, "aria-label": "Value" }, rawValue(read.text)), list(pairs)];
}

// As it was sent: parsed and written again, large numbers would lose digits.
function rawValue(text) {
  const start = text.indexOf('"value":') + '"value":'.length;
  const ends = [',"ttl":', ',"address":', "}"].map((end) => text.lastIndexOf(end)).filter((end) => end >= start);
  for (const end of ends.sort((one, other) => one - other)) {
    const part = text.slice(start, end);
    try {
      const parsed = JSON.parse(part);
      return typeof parsed === "object" && parsed !== null && /^[^0-9]*$|^(?!.*\d{16})/s.test(part) ? JSON.stringify(parsed, null, 2) : part;
    } catch {
      // It goes on.
    }
  }
  return text;
}

function where(read, answer) {
  if (answer.status !== 200) return [el("p", { class: "said" }, fault(answer))];
  const { partition, copies } = answer.json;
  const newest = copies.map((copy) => copy.etag ?? "").sort().at(-1);
  const pairs = [["Where", `partition ${partition}, shard ${answer.json["shard-id"]}`]];
  const rows = copies.map((copy) => row(copy, newest));
  const heads = ["Copy on", "", "Written", "Size"].map((name) => el("th", { scope: "col" }, name || "How it stands"));
  return [list(pairs), el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows))];
}

function row(copy, newest) {
  const isBehind = copy.state !== "unknown" && (copy.etag ?? "") !== newest;
  const how = copy.state === "unknown" ? "bad" : isBehind ? "warn" : "up";
  const told = isBehind && copy.etag ? `${STATES[copy.state]}, an older version` : STATES[copy.state];
  const state = el("span", { class: `state ${how}` }, el("span", { class: `dot ${how}`, "aria-hidden": "true" }), told);
  const written = el("td", { class: null, title: `version ${copy.etag ?? NONE}` }, copy.etag ? moment(copy["written-ms"]) : NONE);
  const name = el("th", { scope: "row" }, el("span", { class: "mono" }, copy.address), copy.owner ? null : el("span", { class: "note" }, " earlier owner"));
  return el("tr", {}, name, el("td", {}, state), written, el("td", { class: "nowrap" }, copy.bytes ? bytes(copy.bytes) : NONE));
}

function list(pairs) {
  return el("dl", { class: "pairs" }, ...pairs.flatMap(([name, told]) => [el("dt", {}, name), el("dd", { class: "mono" }, told)]));
}
