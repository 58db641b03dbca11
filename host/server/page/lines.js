// The history of a session: what was decided, asked, answered and done, each line with its reason.

import { call, part } from "./api.js";
import { byId, el, show, syncList } from "./dom.js";
import { clock, parse } from "./time.js";

const FIRST = 150; // lines that are shown at first
const FURTHER = 500; // and with each wish for older ones
const PAGES = 40; // pages of the whole history that are read, of some thousand lines each
const ABOUT = 60; // lines that are shown about a host

/** The lines of one session. */
export class Lines {
  constructor(session) {
    this.session = session;
    this.bySeq = new Map();
    this.inOrder = [];
    this.from = 0; // up to where they were read; what the feed told beyond may have gaps before it
    this.shown = FIRST;
    this.whole = false;
  }

  add(lines) {
    for (const line of lines) if (!this.bySeq.has(line.seq)) this.bySeq.set(line.seq, line);
  }

  /** The newest first; put in order when it is looked at, for many come between two looks. */
  get sorted() {
    if (this.inOrder.length !== this.bySeq.size) {
      this.inOrder = [...this.bySeq.values()].sort((a, b) => b.seq - a.seq);
    }
    return this.inOrder;
  }

  /** Where the server says what it remembers without its journal, after what was read already. */
  path() {
    return `v1/maintenance/${part(this.session)}/events?from=${this.from}&wait=0`;
  }

  /** Takes what it said there. */
  take({ lines, next }) {
    this.add(lines);
    this.from = next;
  }

  /** Shows further lines; those that the server has in its journal only are read first. */
  async older() {
    this.shown += FURTHER;
    if (this.whole || this.sorted.length >= this.shown) return;
    let from = 0;
    for (let page = 0; page < PAGES && from !== null; page += 1) {
      const answer = await call(`v1/maintenance/${part(this.session)}/decisions?from=${from}`);
      this.add(answer.decisions);
      from = answer.next;
    }
    this.whole = true;
  }

  /** Draws them, the newest first. */
  draw() {
    const shown = this.sorted.slice(0, this.shown);
    drawLines(byId("lines"), shown);
    // The first line of every session says that it began.
    show(byId("older"), this.sorted.length > this.shown || (!this.whole && this.sorted.length >= FIRST));
  }

  /** Draws those that name a host. */
  drawAbout(host) {
    const names = new RegExp(`(^|[^\\w.-])${escape(host)}($|[^\\w.-])`);
    const about = this.sorted.filter((line) => names.test(line.what) || names.test(line.why));
    drawLines(byId("host-lines"), about.slice(0, ABOUT));
    return about.length > 0;
  }
}

const escape = (text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");

function drawLines(parent, lines) {
  const make = (line) => {
    const time = el("time", { class: "time" }, clock(line.at_ms ?? parse(line.at)));
    const what = el("span", { class: "what" }, line.what);
    const element = el("li", {}, time, what);
    if (line.why) element.append(el("span", { class: "why" }, line.why));
    const kind = kindOf(line.what);
    if (kind) element.dataset.kind = kind;
    return { element };
  };
  syncList(parent, lines, (line) => line.seq, make);
}

/** For the colour only: the text says it too. */
function kindOf(what) {
  if (/\b(failed|quarantined|unknown|NACK_\w+)\b/.test(what)) return "bad";
  if (/^refused\b|no clear answer|not delivered|withdrawn/.test(what)) return "odd";
  if (/^enter\b|^continued\b|^ended\b/.test(what)) return "phase";
  if (/^ask\b|\banswered\b|\breached\b/.test(what)) return "ask";
  return null;
}
