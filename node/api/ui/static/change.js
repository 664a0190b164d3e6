// A view change: planned first, always, then made on the conditions under which it was planned, and watched.

import { ask, fault } from "./api.js";
import { byId, el, keyed, setText } from "./dom.js";
import { severity, stateWords } from "./nodes.js";
import { count, counted } from "./words.js";

const PATH = "/kvs/view-change";

export class Change {
  constructor() {
    this.state = null;
    this.asked = 0;
    this.#make();
  }

  #make() {
    this.choice = el("fieldset", { class: "choose" }, el("legend", {}, "Nodes of the next view"));
    this.boxes = el("div", { class: "choose" });
    this.choice.append(this.boxes);
    this.more = el("input", { id: "change-add", autocomplete: "off", spellcheck: "false", placeholder: "10.10.0.9:13800" });
    this.factor = el("input", { id: "change-factor", type: "number", min: 1, inputmode: "numeric" });
    this.planButton = el("button", { type: "submit" }, "Plan");
    this.undoButton = el("button", { type: "button", class: "quiet" }, "Take the change back");
    this.said = el("div", { role: "status" });
    this.plan = el("div", { class: "plan", hidden: true });
    const fields = el(
      "div",
      { class: "fields" },
      el("label", { for: "change-add" }, "More nodes, with commas between them", this.more),
      el("label", { for: "change-factor" }, "Copies of each key", this.factor),
      this.planButton,
      this.undoButton,
    );
    this.form = el("form", {}, this.choice, fields);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#plan();
    });
    this.form.addEventListener("input", () => this.#forgetPlan());
    this.undoButton.addEventListener("click", () => this.#undo());
    this.may = el("p", { class: "note" });
    byId("change-body").replaceChildren(this.may, this.form, this.said, this.plan);
  }

  show(state) {
    const isNewView = this.digest !== state.view.digest;
    Object.assign(this, { state, digest: state.view.digest });
    const isAdmin = state.you.role === "admin";
    this.form.hidden = !isAdmin;
    setText(this.may, isAdmin ? "Nothing is changed before you have seen what would move, and what would be lost." : `Your token is for ${state.you.role}. To plan or make a change takes one for admin.`);
    this.#showBoxes(isNewView);
    const moving = state.nodes.some((node) => node.member && node.settled === false);
    this.undoButton.hidden = !(moving && state.view.epoch > 0);
    this.factor.placeholder = String(state.view["repl-factor"] ?? 1);
    if (isNewView) this.#forgetPlan();
  }

  #showBoxes(isNewView) {
    const nodes = this.state.nodes.filter((node) => node.member || (node.state !== "down" && node.state !== "foreign"));
    keyed(
      this.boxes,
      nodes,
      (node) => node.address,
      (node) => {
        const box = el("input", { type: "checkbox", value: node.address });
        box.checked = node.member;
        return el("label", {}, box, el("span", { class: "dot", "aria-hidden": "true" }), el("span", { class: "mono" }, node.address), el("span", { class: "note" }));
      },
      (label, node) => {
        if (isNewView) label.firstChild.checked = node.member;
        label.children[1].setAttribute("class", `dot ${severity(node)}`);
        setText(label.children[3], node.member ? (node.state === "up" ? "" : stateWords(node)) : "outside");
      },
    );
  }

  #forgetPlan() {
    this.asked += 1;
    this.plan.hidden = true;
    this.plan.replaceChildren();
  }

  // What is asked for; `if-epoch`: the view that it was planned on.
  #wish() {
    const chosen = [...this.boxes.querySelectorAll("input:checked")].map((box) => box.value);
    const added = this.more.value.split(",").map((address) => address.trim()).filter(Boolean);
    const wish = { view: [...chosen, ...added].join(","), "if-epoch": this.state.view.epoch };
    if (this.factor.value !== "") wish["repl-factor"] = Number(this.factor.value);
    return wish;
  }

  async #plan() {
    this.#forgetPlan();
    const asked = this.asked;
    const wish = this.#wish();
    this.#say("", "Planning…");
    const answer = await ask("PUT", `${PATH}?dry-run=true`, wish);
    if (asked !== this.asked) return;
    if (answer.status !== 200) {
      this.#say("bad", `Cannot be done: ${fault(answer)}.`);
      return;
    }
    this.said.replaceChildren();
    this.plan.hidden = false;
    this.plan.replaceChildren(...this.#planned(answer.json, wish));
    this.plan.querySelector("h3").focus();
  }

  #planned(plan, wish) {
    const risk = plan["keys-at-risk"];
    const isRisky = risk !== undefined;
    const lost = `An unknown number of keys${risk ? ` (${count(risk)} when last heard)` : ""}`;
    const title = el("h3", { tabindex: -1 }, `${counted(plan.partitions, "partition")} with ${counted(plan.keys, "key")} would move`);
    const safe = isRisky
      ? el("p", { class: "said bad" }, `${lost} would be lost: only ${[plan.unreachable ?? []].flat().join(", ")} can have them, and cannot be reached. Start what is down there again first, if you can.`)
      : el("p", { class: "said good" }, "Nothing is at risk: everything has a reachable holder.");
    const make = el("button", { type: "button", class: isRisky ? "danger" : null }, "Make this change");
    const actions = el("div", { class: "actions" }, make);
    if (this.#isInForce(plan)) return [el("h3", { tabindex: -1 }, "That is the view in force already")];
    if (isRisky) {
      make.disabled = true;
      const box = el("input", { type: "checkbox" });
      box.addEventListener("change", () => (make.disabled = !box.checked));
      actions.prepend(el("label", { class: "state" }, box, `Give up ${lost.toLowerCase()}`));
    }
    make.addEventListener("click", () => this.#makeIt({ ...wish, "if-safe": !isRisky }, make));
    const moves = plan.moves.map((move) => [move.from, move.to, count(move.partitions), count(move.keys)]);
    const shards = plan.shards.map((shard) => [shard["shard-id"], shard.replicas.join(", "), count(shard.partitions)]);
    return [
      title,
      safe,
      table(["From", "To", "Partitions", "Keys"], moves, 2),
      el("details", {}, el("summary", {}, "The shards afterwards"), table(["Shard", "Copies on", "Partitions"], shards, 2)),
      actions,
    ];
  }

  #isInForce(plan) {
    const shards = (told) => JSON.stringify(told.map((shard) => [...shard.replicas].sort()));
    return !plan.partitions && shards(plan.shards) === shards(this.state.view.shards);
  }

  async #makeIt(wish, button) {
    button.disabled = true;
    const answer = await ask("PUT", `${PATH}?wait=false`, wish);
    button.disabled = false;
    if (answer.status !== 202) {
      this.#say("bad", `Not made: ${fault(answer)}.`);
      return;
    }
    this.more.value = "";
    this.factor.value = "";
    this.#forgetPlan();
    this.#say("good", `Accepted as epoch ${answer.json.epoch}. Reads and writes go on; “Keys on their way” shows how far it is.`);
  }

  async #undo() {
    const back = el("button", { type: "button" }, "Yes, back to the view before");
    const leave = el("button", { type: "button", class: "quiet" }, "No");
    leave.addEventListener("click", () => this.said.replaceChildren());
    back.addEventListener("click", async () => {
      const answer = await ask("DELETE", `${PATH}?wait=false`, { "if-epoch": this.state.view.epoch, "if-safe": true });
      if (answer.status === 202) this.#say("good", `Taken back by epoch ${answer.json.epoch}: what has moved moves back.`);
      else this.#say("bad", `Not taken back: ${fault(answer)}.`);
    });
    this.said.replaceChildren(el("div", { class: "said actions" }, "What has moved moves back. Sure?", back, leave));
    back.focus();
  }

  #say(kind, text) {
    this.said.replaceChildren(el("p", { class: `said ${kind}` }, text));
  }
}

// `texts`: so many of the columns are texts, the rest numbers.
function table(heads, rows, texts) {
  const kind = (at) => (at < texts ? "mono" : "n");
  const head = el("tr", {}, ...heads.map((name, at) => el("th", { scope: "col", class: at < texts ? null : "n" }, name)));
  const body = rows.map((row) => el("tr", {}, ...row.map((cell, at) => el("td", { class: kind(at) }, cell))));
  if (!rows.length) return el("p", { class: "note" }, "No keys need to move.");
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": heads.join(", ") }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
}
