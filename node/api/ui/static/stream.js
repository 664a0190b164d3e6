// Server-sent events, read from a fetch: an EventSource could send no token. It begins anew whenever it breaks.

import { headers } from "./api.js";

const SILENT_MS = 8000;
const AGAIN_MS = [300, 700, 1500, 3000];

export class Stream {
  // `told(name, data)`: an event; `opened()`, `lost()`; `refused(status)`: 401 or 403, after which `open` must be called.
  constructor(path, { told, opened, lost, refused }) {
    Object.assign(this, { path, told, opened, lost, refused });
    this.failures = 0;
    this.run = 0;
  }

  open() {
    this.close();
    this.failures = 0;
    this.#keep(++this.run);
  }

  close() {
    this.run += 1;
    this.abort?.abort();
  }

  async #keep(run) {
    while (run === this.run) {
      let status = 0;
      try {
        status = await this.#read(run);
      } catch {
        // The node has gone, or the network has.
      }
      if (run !== this.run) return;
      if (status === 401 || status === 403) {
        this.refused(status);
        return;
      }
      this.lost(status);
      await new Promise((done) => setTimeout(done, AGAIN_MS[Math.min(this.failures, AGAIN_MS.length - 1)]));
      this.failures += 1;
    }
  }

  async #read(run) {
    const abort = (this.abort = new AbortController());
    let watchdog = setTimeout(() => abort.abort(), SILENT_MS);
    try {
      const response = await fetch(this.path, { headers: headers(), signal: abort.signal, cache: "no-store" });
      if (!response.ok) return response.status;
      this.opened();
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ""; ; ) {
        const { value, done } = await reader.read();
        if (done || run !== this.run) return 0;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => abort.abort(), SILENT_MS);
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        events.forEach((event) => this.#tell(event));
        this.failures = 0;
      }
    } finally {
      clearTimeout(watchdog);
      abort.abort();
    }
  }

  #tell(event) {
    const fields = Object.fromEntries(event.split("\n").map((line) => line.split(/: (.*)/s, 2)));
    if (fields.event) this.told(fields.event, JSON.parse(fields.data));
  }
}
