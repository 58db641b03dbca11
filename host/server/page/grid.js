// The hosts as a grid: one element a host, changed only where something is different.
//
// Many hosts get small cells of one element each, a few get cards with the instances on them. Cells are options of a
// list box: one stop for the tabulator, arrows move within.

import { el, setAttribute, setText, show, syncList } from "./dom.js";

const CARDS = 60; // hosts up to which each gets a card with its instances
const NAMES = 240; // hosts up to which each shows its name
const DOTS = 24; // instances drawn on a card
const ARROWS = 48; // moves that are drawn; more would be a tangle
const SVG = "http://www.w3.org/2000/svg";

/** The words for what may be with a host, in the order of a host's turn, and what they mean. */
export const WORDS = {
  waiting: ["waiting", "its turn has not come"],
  fenced: ["fenced", "nothing new is placed here; its instances leave"],
  working: ["working", "the actions run on it"],
  worked: ["worked", "the actions are done; it goes back into service"],
  maintained: ["maintained", "done, and in service again"],
  quarantined: ["quarantined", "something went wrong; it stays as it is until somebody mends it"],
  free: ["in service", "in no session"],
  disabled: ["disabled", "out of service, by somebody else"],
  down: ["down", "it does not answer"],
};

export class Grid {
  constructor({ grid, field, arrows, readout, legend, find }, onSelect) {
    Object.assign(this, { grid, field, arrows, readout, legend, find, onSelect });
    this.cells = new Map(); // by host name: { element, host, signature }
    this.moves = [];
    this.selected = null;
    this.stop = null; // the cell that the tabulator reaches
    this.only = null;
    grid.addEventListener("click", (event) => this.choose(event.target.closest(".cell")));
    grid.addEventListener("keydown", (event) => this.key(event));
    grid.addEventListener("pointerover", (event) => this.read(event.target.closest(".cell")));
    grid.addEventListener("focusin", (event) => this.focused(event.target.closest(".cell")));
    find.addEventListener("input", () => this.search());
    find.addEventListener("keydown", (event) => event.key === "Enter" && this.found());
    new ResizeObserver(() => this.draw()).observe(field);
  }

  /** Shows `groups` of `{ key, label, hosts }`, and `moves` of `{ id, name, from, to }`. */
  update(groups, moves) {
    const count = groups.reduce((sum, group) => sum + group.hosts.length, 0);
    const size = count <= CARDS ? "cards" : count <= NAMES ? "names" : "tiny";
    if (this.size !== size) {
      this.size = size;
      this.grid.replaceChildren();
      this.grid.parts = undefined;
      this.cells.clear();
      this.stop = null;
      this.field.dataset.size = size;
    }
    this.ends = new Map();
    for (const move of moves) {
      this.ends.set(move.from, "out");
      this.ends.set(move.to, "in");
    }
    const counts = {};
    const seen = new Set();
    syncList(this.grid, groups, (group) => group.key, () => this.group());
    for (const group of groups) {
      for (const host of group.hosts) {
        seen.add(host.name);
        if (host.mine) counts[host.word] = (counts[host.word] ?? 0) + 1;
      }
    }
    for (const name of this.cells.keys()) if (!seen.has(name)) this.cells.delete(name);
    this.showLegend(counts);
    if (!this.stop?.isConnected) this.focusable(this.grid.querySelector(".cell"));
    this.moves = moves;
    this.draw();
    this.read(this.reading);
  }

  group() {
    const label = el("span", { class: "group-label", "aria-hidden": "true" });
    const cells = el("div", { class: "cells" });
    const element = el("div", { class: "group", role: "group" }, label, cells);
    const update = (group) => {
      const text = `${group.label} · ${group.hosts.length}`;
      setText(label, text);
      setAttribute(element, "aria-label", `${group.label}, ${group.hosts.length} hosts`);
      syncList(cells, group.hosts, (host) => host.name, (host) => this.cell(host));
    };
    return { element, update };
  }

  cell(first) {
    const element = el("div", { class: "cell", role: "option", tabindex: "-1", "aria-selected": "false" });
    element.dataset.host = first.name;
    const cell = { element, host: first, signature: "" };
    let card = null;
    if (this.size !== "tiny") element.append(el("span", { class: "name" }, first.name));
    if (this.size === "cards") {
      card = { word: el("span", { class: "state" }), dots: el("span", { class: "dots" }) };
      element.append(card.word, card.dots);
    }
    if (this.selected === first.name) element.setAttribute("aria-selected", "true");
    this.cells.set(first.name, cell);
    this.match(cell);
    const update = (host) => {
      const end = this.ends.get(host.name) ?? "";
      const dots = card ? host.inside.map((one) => one.id + one.way).join() : "";
      const signature = `${host.word}|${host.mine}|${host.up}|${host.count}|${host.action}|${end}|${dots}`;
      cell.host = host;
      if (cell.signature === signature) return;
      cell.signature = signature;
      const { dataset } = element;
      dataset.word = host.word;
      dataset.mine = host.mine;
      dataset.end = end;
      setAttribute(element, "aria-label", summary(host));
      if (!card) return;
      setText(card.word, host.action ?? WORDS[host.word][0]);
      showDots(card.dots, host);
    };
    return { element, update };
  }

  /** Counts by state, each a switch that shows only these. */
  showLegend(counts) {
    const words = Object.keys(WORDS).flatMap((word) => (counts[word] ? [{ word, count: counts[word] }] : []));
    if (this.only && !counts[this.only]) this.filter(null);
    const make = ({ word }) => {
      const number = el("span", { class: "number" });
      const swatch = el("span", { class: "swatch", "data-word": word, "aria-hidden": "true" });
      const press = () => this.filter(this.only === word ? null : word);
      const attributes = { type: "button", title: WORDS[word][1], "aria-pressed": "false", click: press };
      const button = el("button", attributes, swatch, number, ` ${WORDS[word][0]}`);
      button.dataset.word = word;
      return { element: el("li", {}, button), update: ({ count }) => setText(number, count) };
    };
    syncList(this.legend, words, ({ word }) => word, make);
  }

  filter(word) {
    this.only = word;
    setAttribute(this.grid, "data-only", word);
    for (const button of this.legend.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.word === word));
    }
  }

  search() {
    for (const cell of this.cells.values()) this.match(cell);
  }

  match(cell) {
    const text = this.find.value.trim().toLowerCase();
    const misses = text !== "" && !cell.host.name.toLowerCase().includes(text);
    cell.element.classList.toggle("missed", misses);
  }

  found() {
    const hit = this.grid.querySelector(".cell:not(.missed)");
    if (hit) this.choose(hit);
  }

  choose(element) {
    if (!element) return;
    this.focusable(element);
    this.onSelect(element.dataset.host);
  }

  /** Marks a host as the chosen one; `null` for none. */
  select(name) {
    if (this.selected === name) return;
    this.cells.get(this.selected)?.element.setAttribute("aria-selected", "false");
    this.cells.get(name)?.element.setAttribute("aria-selected", "true");
    this.selected = name;
  }

  /** Puts the focus back on a host's cell. */
  focus(name) {
    this.cells.get(name)?.element.focus();
  }

  focusable(element) {
    this.stop?.setAttribute("tabindex", "-1");
    element?.setAttribute("tabindex", "0");
    this.stop = element;
  }

  focused(element) {
    if (!element) return;
    this.focusable(element);
    this.read(element);
  }

  key(event) {
    const from = event.target.closest(".cell");
    if (!from || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      this.choose(from);
      return;
    }
    const all = [...this.grid.querySelectorAll(".cell")];
    const to = target(all, all.indexOf(from), event.key);
    if (!to) return;
    event.preventDefault();
    to.focus();
  }

  /** The line below says in words what a cell shows. */
  read(element) {
    this.reading = element ?? this.reading;
    const cell = this.cells.get(this.reading?.dataset.host);
    setText(this.readout, cell ? summary(cell.host) : "Point at a host, or walk with the arrow keys.");
  }

  /** Lines from where instances leave to where they go. */
  draw() {
    const moves = this.moves.filter((move) => this.cells.has(move.from) && this.cells.has(move.to));
    show(this.arrows, moves.length > 0);
    const middle = (name) => {
      const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = this.cells.get(name).element;
      return [offsetLeft + offsetWidth / 2, offsetTop + offsetHeight / 2];
    };
    const make = () => {
      const element = document.createElementNS(SVG, "path");
      element.setAttribute("marker-end", "url(#arrow-head)");
      const update = (move) => setAttribute(element, "d", curve(middle(move.from), middle(move.to)));
      return { element, update };
    };
    syncList(this.arrows.querySelector("g"), moves.slice(0, ARROWS), (move) => move.id, make);
  }
}

function curve([x1, y1], [x2, y2]) {
  const [dx, dy] = [x2 - x1, y2 - y1];
  // Bent to one side, so that a pair that goes both ways makes two lines.
  const [x, y] = [(x1 + x2) / 2 - dy * 0.18, (y1 + y2) / 2 + dx * 0.18];
  return `M${x1} ${y1}Q${x} ${y} ${x2} ${y2}`;
}

function target(all, at, key) {
  switch (key) {
    case "ArrowRight":
      return all[at + 1];
    case "ArrowLeft":
      return all[at - 1];
    case "Home":
      return all[0];
    case "End":
      return all.at(-1);
    case "ArrowDown":
      return nearest(all.slice(at + 1), all[at]);
    case "ArrowUp":
      return nearest(all.slice(0, at).reverse(), all[at]);
    default:
      return undefined;
  }
}

/** The cell of the next line that is nearest in its column. */
function nearest(cells, from) {
  const line = cells.find((cell) => cell.offsetTop !== from.offsetTop)?.offsetTop;
  const off = (cell) => Math.abs(cell.offsetLeft - from.offsetLeft);
  const inLine = cells.filter((cell) => cell.offsetTop === line);
  return inLine.reduce((best, cell) => (best && off(best) <= off(cell) ? best : cell), undefined);
}

function summary(host) {
  const parts = [host.name, WORDS[host.word][0]];
  if (host.action) parts.push(host.action);
  if (!host.up && host.word !== "down") parts.push("does not answer");
  parts.push(instances(host.count));
  if (!host.mine) parts.push("not in this session");
  return parts.join(", ");
}

const instances = (count) => (count === 1 ? "1 instance" : `${count} instances`);

function showDots(element, host) {
  const known = host.inside.slice(0, DOTS);
  const dots = known.map((one) => el("i", { class: "dot-instance", "data-way": one.way, title: one.name }));
  const more = host.count - known.length;
  if (more > 0) dots.push(el("span", { class: "more" }, known.length ? `+${more}` : instances(more)));
  element.replaceChildren(...dots);
}
