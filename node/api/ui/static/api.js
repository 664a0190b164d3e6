// Asking the node that serves this page. The token, if there is one, is kept for this tab only.

const TOKEN = "kvs-token";

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (text) => sessionStorage.setItem(TOKEN, text),
  forget: () => sessionStorage.removeItem(TOKEN),
};

export function headers() {
  const known = token.get();
  return known ? { Authorization: `Bearer ${known}` } : {};
}

// What was answered: status, headers, and the JSON of its body; `text`: the body as it was sent. Status 0: nothing was.
export async function ask(method, path, body) {
  try {
    const options = { method, headers: headers(), cache: "no-store" };
    if (body !== undefined) options.body = JSON.stringify(body);
    const response = await fetch(path, options);
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: text ? JSON.parse(text) : {} };
  } catch {
    return { status: 0, headers: new Headers(), text: "", json: { error: "The node does not answer" } };
  }
}

// A fault in words.
export function fault(answer) {
  const { error, message, ...details } = answer.json;
  const more = Object.entries(details).map(([name, value]) => `${name}: ${[value].flat().join(", ")}`);
  return [error ?? message ?? `Status ${answer.status}`, ...more].join("; ");
}
