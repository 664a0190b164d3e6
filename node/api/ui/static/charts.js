// Rates and latencies of the last 15 minutes, drawn here: lines and areas over time, with a reading where one points.

import { byId, el, setText, svg } from "./dom.js";
import { perSecond, SPAN_MS, STEP_MS, STEPS, sum } from "./samples.js";
import { clock, count, milliseconds, rate } from "./words.js";

const WIDTH = 480;
const HEIGHT = 130;
const LEFT = 44;
const BOTTOM = 16;
const TOP = 6;
const GRID = 3;

const CHARTS = [
  {
    name: "Requests a second, all nodes",
    stacked: true,
    words: rate,
    series: [
      { name: "reads", classes: "s0", of: perSecond("reads"), join: sum },
      { name: "writes", classes: "s1", of: perSecond("writes"), join: sum },
      { name: "lines of batches", classes: "s2", of: perSecond("lines"), join: sum },
    ],
  },
  {
    name: "How long requests take, on the slowest node",
    words: milliseconds,
    series: [
      { name: "p99", classes: "s1", of: (point) => point.p99 || null, join: Math.max },
      { name: "p50", classes: "s0", of: (point) => point.p50 || null, join: Math.max },
    ],
  },
  {
    name: "Keys on their way",
    words: (value) => count(Math.round(value)),
    least: 10,
    series: [{ name: "to hand over", classes: "s0", of: (point) => point.owed, join: sum }],
  },
  {
    name: "Answers of 503 a second",
    words: rate,
    series: [{ name: "refused", classes: "s-bad", of: perSecond("refused"), join: sum }],
  },
];

export class Charts {
  constructor() {
    this.charts = CHARTS.map((spec) => new Chart(spec));
    byId("charts").replaceChildren(...this.charts.map((chart) => chart.figure));
  }

  show(samples, now) {
    for (const chart of this.charts) chart.show(samples, now);
  }
}

class Chart {
  constructor(spec) {
    this.spec = spec;
    this.at = null;
    this.values = spec.series.map((one) => ({ el: el("b"), one }));
    const told = this.values.map((value) =>
      el("span", { class: `value ${value.one.classes}` }, el("span", { class: "swatch", "aria-hidden": "true" }), value.one.name, value.el),
    );
    this.when = el("span", { class: "value" });
    this.svg = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    const slider = { role: "slider", tabindex: 0, "aria-label": spec.name, "aria-valuemin": 0, "aria-valuemax": STEPS - 1 };
    this.plot = el("div", { class: "plot", ...slider, "aria-orientation": "horizontal" }, this.svg);
    this.plot.addEventListener("pointermove", (event) => this.#point(this.#stepAt(event)));
    this.plot.addEventListener("pointerleave", () => this.#point(null));
    this.plot.addEventListener("blur", () => this.#point(null));
    this.plot.addEventListener("keydown", (event) => this.#key(event));
    this.figure = el("figure", { class: "chart" }, el("figcaption", {}, el("span", { class: "name" }, spec.name), ...told, this.when), this.plot);
  }

  show(samples, now) {
    this.now = now;
    this.series = this.spec.series.map((one) => samples.series(now, one.of, one.join));
    this.#draw();
  }

  #draw() {
    if (!this.series) return;
    const width = Math.max(260, this.plot.clientWidth || WIDTH);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const tops = this.spec.stacked ? stack(this.series) : this.series;
    const most = nice(Math.max(this.spec.least ?? 0, ...tops.flat().map((value) => value ?? 0)));
    const x = (at) => LEFT + ((width - LEFT) * at) / (STEPS - 1);
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most);
    const parts = [...this.#axes(width, most, x, y)];
    tops.forEach((values, index) => {
      const classes = this.spec.series[index].classes;
      const under = this.spec.stacked && index ? tops[index - 1] : null;
      if (this.spec.stacked) parts.push(svg("path", { class: `area ${classes}`, d: area(values, under, x, y) }));
      else parts.push(svg("path", { class: `line ${classes}`, d: line(values, x, y) }));
    });
    if (this.at !== null) parts.push(svg("line", { class: "cross", x1: x(this.at), x2: x(this.at), y1: TOP, y2: HEIGHT - BOTTOM }));
    this.svg.replaceChildren(...parts);
    this.#read();
  }

  *#axes(width, most, x, y) {
    for (let step = 0; step <= GRID; step += 1) {
      const value = (most * step) / GRID;
      yield svg("line", { class: "grid", x1: LEFT, x2: width, y1: y(value), y2: y(value) });
      yield svg("text", { class: "axis", x: LEFT - 6, y: y(value) + 3.5, "text-anchor": "end" }, this.spec.words(value));
    }
    for (const [minutes, anchor] of [[15, "start"], [10, "middle"], [5, "middle"], [0, "end"]]) {
      const at = (STEPS - 1) * (1 - (minutes * 60000) / SPAN_MS);
      yield svg("text", { class: "axis", x: x(at), y: HEIGHT - 2, "text-anchor": anchor }, minutes ? `−${minutes} min` : "now");
    }
  }

  // What the caption and a screen reader tell: of the moment that is pointed at, or of now.
  #read() {
    const at = this.at ?? STEPS - 1;
    this.values.forEach((value, index) => setText(value.el, told(this.spec, this.series[index][at])));
    const when = this.at === null ? "" : `at ${clock(this.now - (STEPS - 1 - at) * STEP_MS)}`;
    setText(this.when, when);
    const words = this.values.map((value, index) => `${value.one.name} ${told(this.spec, this.series[index][at])}`).join(", ");
    this.plot.setAttribute("aria-valuenow", at);
    this.plot.setAttribute("aria-valuetext", `${words} ${when || "now"}`);
  }

  #point(at) {
    this.at = at;
    this.#draw();
  }

  #stepAt(event) {
    const box = this.plot.getBoundingClientRect();
    const width = Math.max(260, box.width);
    const share = ((event.clientX - box.left) * (width / box.width) - LEFT) / (width - LEFT);
    return Math.round(Math.min(1, Math.max(0, share)) * (STEPS - 1));
  }

  #key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageDown: -12, PageUp: 12, Home: -STEPS, End: STEPS }[event.key];
    if (event.key === "Escape") this.#point(null);
    if (!steps) return;
    event.preventDefault();
    this.#point(Math.min(STEPS - 1, Math.max(0, (this.at ?? STEPS - 1) + steps)));
  }
}

const told = (spec, value) => (value === null || value === undefined ? "–" : spec.words(value));

function stack(series) {
  return series.map((values, index) =>
    values.map((value, at) => (value === null ? null : series.slice(0, index + 1).reduce((total, one) => total + (one[at] ?? 0), 0))),
  );
}

function nice(value) {
  if (value <= 0) return GRID;
  const power = 10 ** Math.floor(Math.log10(value / GRID));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power * GRID >= value);
  return step * power * GRID;
}

// Runs of values, each [at, value].
function runs(values) {
  const found = [];
  values.forEach((value, at) => {
    if (value === null) return;
    if (at && values[at - 1] !== null) found.at(-1).push([at, value]);
    else found.push([[at, value]]);
  });
  return found;
}

const place = (x, y) => ([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`;

function line(values, x, y) {
  return runs(values)
    .map((run) => `M${(run.length > 1 ? run : [run[0], run[0]]).map(place(x, y)).join("L")}`)
    .join("");
}

function area(values, under, x, y) {
  return runs(values)
    .map((run) => {
      const back = run.map(([at]) => [at, under ? (under[at] ?? 0) : 0]).reverse();
      return `M${[...run, ...back].map(place(x, y)).join("L")}Z`;
    })
    .join("");
}
