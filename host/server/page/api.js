// The server: calls, and the feed of what happens.

import { learn } from "./time.js";

const root = new URL("..", import.meta.url); // also right behind a proxy that serves Fenix under a path
const TOKEN = "fenix-token";
const SILENCE = 40_000; // the server says something every 15 s
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;

/** A call that failed. */
export class CallError extends Error {
  constructor(status, message, hint) {
    super(message);
    this.status = status;
    this.hint = hint;
  }
}

/** Keeps a token until the tab is closed. */
export const signIn = (token) => sessionStorage.setItem(TOKEN, token);

/** Forgets it. */
export const signOut = () => sessionStorage.removeItem(TOKEN);

/** True if there is one. */
export const signedIn = () => sessionStorage.getItem(TOKEN) !== null;

function request(path, options = {}) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = token ? { "x-auth-token": token } : {};
  return fetch(new URL(path, root), { ...options, headers, cache: "no-store", redirect: "error" });
}

/** Makes a call and returns its answer. */
export async function call(path, method = "GET", body = undefined) {
  let response;
  try {
    const sent = body instanceof Blob ? body : body && JSON.stringify(body);
    response = await request(path, { method, body: sent });
  } catch {
    throw new CallError(0, "the server cannot be reached", "this page goes on by itself when it is back");
  }
  learn(response);
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const { message = `the server answered ${response.status}`, hint } = answer.error ?? {};
  throw new CallError(response.status, message, hint);
}

/** One part of a path. */
export const part = encodeURIComponent;

const shown = () => document.visibilityState === "visible";

/** Waits until somebody can see the page: a browser has few connections for a server, and a hidden tab needs none. */
const seen = () =>
  new Promise((done) => {
    const look = () => {
      if (!shown()) return;
      document.removeEventListener("visibilitychange", look);
      done();
    };
    document.addEventListener("visibilitychange", look);
    look();
  });

/**
 * Follows the feed while the page can be seen. `on.open()` is called when it is open, `on.lost()` when it is not, `on.refused(status)` if
 * the server will not have us, after which it ends, and `on.event(id, kind, data)` for each event; after a break it goes on where it was.
 */
export async function follow(on) {
  let last = null;
  let pause = FIRST_PAUSE;
  for (;;) {
    await seen();
    const stop = new AbortController();
    const hide = () => shown() || stop.abort();
    document.addEventListener("visibilitychange", hide);
    let silence;
    const heard = () => {
      clearTimeout(silence);
      silence = setTimeout(() => stop.abort(), SILENCE);
    };
    try {
      heard();
      const query = last === null ? "" : `?from=${last}`;
      const response = await request(`v1/events${query}`, { signal: stop.signal });
      if (response.status === 401 || response.status === 403) return on.refused(response.status);
      if (!response.ok) throw new CallError(response.status, "no feed");
      on.open();
      pause = FIRST_PAUSE;
      for await (const event of events(response.body, heard)) {
        if (event.id !== null) last = event.id;
        on.event(event.id, event.kind, event.data);
      }
    } catch {
      // Whatever it was: it is tried again.
    }
    clearTimeout(silence);
    document.removeEventListener("visibilitychange", hide);
    if (!shown()) continue;
    on.lost();
    await new Promise((done) => setTimeout(done, pause));
    pause = Math.min(pause * 2, LONGEST_PAUSE);
  }
}

async function* events(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard();
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const event = { id: null, kind: "message", data: null };
      for (const line of block.split("\n")) {
        if (line.startsWith("id: ")) event.id = Number(line.slice(4));
        else if (line.startsWith("event: ")) event.kind = line.slice(7);
        else if (line.startsWith("data: ")) event.data = JSON.parse(line.slice(6));
      }
      if (event.data) yield event;
    }
  }
}
