// What the nodes did within the last 15 minutes, and what of that is drawn.

export const SPAN_MS = 15 * 60 * 1000;
export const STEP_MS = 5000;
export const STEPS = SPAN_MS / STEP_MS;

export class Samples {
  constructor() {
    this.clear();
  }

  clear() {
    this.ofNode = new Map();
  }

  add(told) {
    for (const [node, points] of Object.entries(told)) {
      const known = this.ofNode.get(node) ?? [];
      for (const [ended, lasted, reads, writes, lines, refused, p50, p99, owed] of points) {
        known.push({ ended, lasted, reads, writes, lines, refused, p50: p50 / 1000, p99: p99 / 1000, owed });
      }
      this.ofNode.set(node, known.slice(-STEPS - 2));
    }
  }

  // The newest of a node, unless it is old news.
  last(node, now) {
    const point = this.ofNode.get(node)?.at(-1);
    return point && now - point.ended < 4 * STEP_MS ? point : null;
  }

  // For each step up to `now`: `of(point)` of the nodes' points that cover it, put together by `join`; null: nothing.
  series(now, of, join, nodes = [...this.ofNode.keys()]) {
    const values = new Array(STEPS).fill(null);
    for (const node of nodes) {
      const own = new Array(STEPS).fill(null);
      for (const point of this.ofNode.get(node) ?? []) {
        const last = STEPS - 1 - Math.floor((now - point.ended) / STEP_MS);
        const first = last - Math.max(1, Math.round(point.lasted / STEP_MS)) + 1;
        for (let at = Math.max(0, first); at <= Math.min(STEPS - 1, last); at += 1) own[at] = of(point);
      }
      bridge(own);
      own.forEach((value, at) => {
        if (value !== null) values[at] = values[at] === null ? value : join(values[at], value);
      });
    }
    return values;
  }
}

// Intervals are a little longer than a step, and the last one is still to come: single holes between them are none.
function bridge(values) {
  for (let at = 1; at < values.length; at += 1) {
    const goesOn = at + 1 >= values.length || values[at + 1] !== null || at + 2 >= values.length;
    if (values[at] === null && values[at - 1] !== null && goesOn) values[at] = values[at - 1];
  }
}

export const sum = (one, other) => one + other;
export const perSecond = (name) => (point) => (1000 * point[name]) / point.lasted;
export const requests = (point) => (1000 * (point.reads + point.writes + point.lines)) / point.lasted;
