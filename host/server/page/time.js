// Times, all in UTC as in the journal and on the command line.

let ahead = 0; // how far the server's clock is before this machine's, in milliseconds

/** Learns the server's clock from an answer, to whole seconds. */
export function learn(response) {
  const date = Date.parse(response.headers.get("date") ?? "");
  // Half a second is what the header's rounding takes away on average.
  if (!Number.isNaN(date)) ahead = date + 500 - Date.now();
}

/** The server's time. */
export const now = () => Date.now() + (Math.abs(ahead) < 1500 ? 0 : ahead);

/** A time as the API writes it, in milliseconds. */
export const parse = (text) => Date.parse(text.endsWith("Z") ? text : `${text}Z`);

const pad = (number) => String(number).padStart(2, "0");

/** `19:43:24`, with the day before it if it is another one. */
export function clock(ms) {
  const time = new Date(ms);
  const day = time.toISOString().slice(0, 10);
  const hours = `${pad(time.getUTCHours())}:${pad(time.getUTCMinutes())}:${pad(time.getUTCSeconds())}`;
  return day === new Date(now()).toISOString().slice(0, 10) ? hours : `${day} ${hours}`;
}

/** A span in a few characters: `8 s`, `3:05`, `2 h 10 min`. */
export function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${pad(seconds % 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} d ${Math.floor((seconds % 86400) / 3600)} h`;
}

const running = new Map(); // elements whose text goes with the time, with the function that makes it

/** Lets an element's text go with the time, as long as it is in the document. */
export function ticking(element, text) {
  running.set(element, text);
  if (element.textContent !== text()) element.textContent = text();
}

/** Brings all such texts up to date. */
export function tick() {
  for (const [element, text] of running) {
    if (!element.isConnected) running.delete(element);
    else if (element.textContent !== text()) element.textContent = text();
  }
}
