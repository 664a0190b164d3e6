// Numbers as they are read.

const NUMBER = new Intl.NumberFormat("en-US");
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export const NONE = "–";

export function count(number) {
  return number === null || number === undefined ? NONE : NUMBER.format(number);
}

export function counted(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

export function bytes(number) {
  if (number === null || number === undefined) return NONE;
  const power = number < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(number) / 10));
  const scaled = number / 2 ** (10 * power);
  return `${scaled.toFixed(power && scaled < 10 ? 1 : 0)} ${UNITS[power]}`;
}

export function rate(number) {
  if (number === null || number === undefined) return NONE;
  return number >= 100 || Number.isInteger(number) ? count(Math.round(number)) : number.toFixed(1);
}

export function milliseconds(number) {
  if (number === null || number === undefined) return NONE;
  if (Math.abs(number) >= 1000) return `${(number / 1000).toFixed(number >= 10000 ? 0 : 1)} s`;
  return `${number < 10 ? number.toFixed(number > 0 && number < 1 ? 2 : 1) : Math.round(number)} ms`;
}

export function offset(number) {
  if (number === null || number === undefined) return NONE;
  const size = Math.abs(number);
  const told = size < 1000 ? `${size} ms` : duration(size / 1000);
  return number === 0 ? "0 ms" : `${number > 0 ? "+" : "−"}${told}`;
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

export function clock(ms) {
  return new Date(ms).toLocaleTimeString("en-GB");
}

export function moment(ms) {
  const date = new Date(ms);
  return `${date.toLocaleDateString("en-CA")} ${date.toLocaleTimeString("en-GB")}`;
}
