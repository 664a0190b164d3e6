// What is wrong comes first, and what to do about it.

import { byId, el, keyed, setAttribute, setText } from "./dom.js";
import { counted, duration } from "./words.js";

const COMMAND = /(kvs [a-z-]+(?: --[a-z-]+(?: (?!--)[^\s;,]+(?:,[^\s;,]+)*)*)*)/;

export function showProblems(problems) {
  const list = byId("problems-list");
  setText(byId("problems-title"), problems.length ? `What is wrong (${problems.length})` : "Nothing is wrong");
  setText(byId("problems-count"), problems.length ? counted(problems.length, "problem") : "Nothing is wrong");
  const shown = problems.length ? problems : [null];
  keyed(list, shown, (problem) => problem?.code ?? "", make, update);
}

// What was told is old: that nothing is wrong must not be read from it.
export function ageProblems(problems) {
  const well = problems.length === 0;
  setText(byId("problems-title"), well ? "What is wrong now is not known" : "What was wrong, when it last answered");
  setText(byId("problems-count"), "");
  if (well) byId("problems-list").replaceChildren(el("li", {}, el("span"), el("span", {}, "Nothing was, when it last answered.")));
}

function make(problem) {
  if (!problem) {
    const well = "Every node answers, every key has a live owner and as many copies as were asked for.";
    return el("li", { class: "well" }, well);
  }
  const what = el("span", { class: "what" }, el("span"), el("span", { class: "lasts" }));
  return el("li", {}, el("span", { class: "badge" }), what, el("span", { class: "do" }));
}

function update(item, problem) {
  if (!problem) return;
  const [badge, what, todo] = item.children;
  setAttribute(item, "class", problem.severity);
  setText(badge, problem.severity);
  setText(what.children[0], `${capital(problem.what)}.`);
  const lasts = problem["for-seconds"];
  const since = lasts === undefined ? "" : ` For ${duration(lasts)}.`;
  setText(what.children[1], `${since} (${problem.code})`);
  if (todo.dataset.text !== problem.do) {
    todo.dataset.text = problem.do;
    const parts = `To do: ${problem.do}`.split(COMMAND);
    todo.replaceChildren(...parts.map((part, at) => (at % 2 ? el("code", {}, part) : part)));
  }
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
