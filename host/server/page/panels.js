// What is shown about one session: how it stands, what it waits for, what moves, whom it asked, what it decided and why.

import { button, byId, el, setAttribute, setText, show, syncList } from "./dom.js";
import { short } from "./model.js";
import { clock, now, parse, span, ticking } from "./time.js";

const BLOCKERS = 40; // blockers that are shown; further ones are counted
const ASKS = 100; // questions that are shown, the newest

/** Blockers that somebody should look at; the others are the ordinary course of things. */
const URGENT = new Set(["failed", "parked", "held", "outcome-unknown", "manager-unreachable", "quarantined"]);

const BLOCKER_WORDS = {
  reply: "answer",
  "manager-unreachable": "manager unreachable",
  effect: "under way",
  "outcome-unknown": "outcome unknown",
  refused: "a rule says no",
  workflow: "workflow",
  packages: "packages",
  quarantined: "quarantined",
  parked: "parked",
  held: "held",
  paused: "paused",
  failed: "failed",
  closing: "closing",
};

/** `PLANNED_MAINTENANCE` as people say it. */
export const spoken = (state) => state.toLowerCase().replaceAll("_", " ");

/** What is worth a word beside the state: an ended session is done or failed, which the state says. */
const CONDITIONS = { running: "running", paused: "paused", parked: "parked", closing: "closing", ended: "" };

/** The list of sessions. */
export function showSessions(sessions, chosen) {
  const items = sessions.map((session) => ({ ...session, current: session.session_id === chosen }));
  const make = (first) => {
    const name = el("span", { class: "id" }, short(first.session_id));
    const percent = el("span", { class: "percent" });
    const state = el("span", { class: "state" });
    const since = el("time", { class: "quiet" });
    const bar = el("progress", { max: "100", "aria-hidden": "true" });
    const line = el("span", { class: "row" }, name, percent);
    const link = el("a", { href: `#${first.session_id}` }, line, bar, el("span", { class: "row" }, state, since));
    const update = (session) => {
      setText(percent, `${session.percent_done} %`);
      const condition = CONDITIONS[session.condition] ?? session.condition;
      const aside = condition && condition !== "running" ? `, ${condition}` : "";
      setText(state, spoken(session.state) + aside);
      setText(since, clock(parse(session.created_at)));
      if (bar.value !== session.percent_done) bar.value = session.percent_done;
      setAttribute(link, "aria-current", session.current ? "page" : null);
      link.dataset.mood = mood(session);
    };
    return { element: el("li", {}, link), update };
  };
  syncList(byId("sessions"), items, (session) => session.session_id, make);
}

/** How a session fares, in one word. */
function mood({ state, condition }) {
  if (state === "MAINTENANCE_FAILED") return "failed";
  if (condition === "parked") return "failed";
  if (condition === "paused") return "held";
  return condition === "ended" ? "done" : "running";
}

/** The templates, each with its button. `start(name)` is called for one; without it there are no buttons. */
export function showTemplates(templates, start) {
  const make = (first) => {
    const about = el("span", { class: "quiet" });
    const what = el("span", { class: "quiet" });
    const words = el("span", { class: "words" }, el("strong", {}, first.name), about, what);
    const element = el("li", {}, words);
    if (start) {
      element.append(button({ label: "Start", spoken: `Start ${first.name}`, kind: "go", run: () => start(first.name) }));
    }
    const update = ({ description, session }) => {
      setText(about, description);
      const actions = (session.actions ?? []).map((action) => action.plugin).join(", ");
      const hosts = session.hosts?.length ? `${session.hosts.length} hosts` : "every free host";
      setText(what, actions ? `${hosts}: ${actions}` : hosts);
    };
    return { element, update };
  };
  const key = (template) => `${template.name} ${Boolean(start)}`;
  syncList(byId("templates"), templates, key, make);
}

/** The head of the page: one session, or all hosts if it is `null`. `act(condition)` holds it or lets it go on. */
export function showHead(detail, act) {
  show(byId("progress-row"), Boolean(detail));
  show(byId("phases"), Boolean(detail));
  show(byId("pair"), Boolean(detail));
  show(byId("reason"), Boolean(detail?.reason));
  setText(byId("title"), detail ? `Session ${short(detail.session_id)}` : "All hosts");
  setAttribute(byId("title"), "title", detail?.session_id);
  setText(byId("state"), detail ? spoken(detail.state) : "");
  setText(byId("condition"), detail ? (CONDITIONS[detail.condition] ?? detail.condition) : "");
  setAttribute(byId("head"), "data-mood", detail ? mood(detail) : null);
  showButtons(detail, act);
  setText(byId("reason"), detail?.reason ?? "");
  byId("progress").value = detail?.percent_done ?? 0;
  setText(byId("percent"), detail?.percent_done ?? 0);
  showPhases(detail?.phases ?? [], detail?.condition === "ended");
  setText(byId("facts"), detail ? facts(detail) : "Choose a session, or start one from a template.");
}

function facts({ session, actions, hosts, projects }) {
  const done = hosts.filter((host) => host.maintained).length;
  const managed = projects.filter((project) => project.managed).length;
  const named = actions.map((action) => `${action.plugin} (${action.type})`).join(", ") || "none";
  const parts = [
    `${done} of ${hosts.length} hosts`,
    `actions: ${named}`,
    `workflow: ${session.workflow}`,
    `applications with a manager: ${managed} of ${projects.length}`,
    `begun ${clock(parse(session.created_at))}`,
  ];
  if (session.window_end) parts.push(`window until ${clock(parse(session.window_end))}`);
  if (Object.keys(session.meta).length) parts.push(`metadata: ${JSON.stringify(session.meta)}`);
  return parts.join(" · ");
}

function showButtons(detail, act) {
  const failed = detail?.state === "MAINTENANCE_FAILED" && detail.condition === "ended";
  const stands = failed || ["paused", "parked"].includes(detail?.condition);
  const ended = detail?.condition === "ended";
  const buttons = [];
  if (act && detail?.condition === "running") buttons.push({ label: "Pause", run: () => act.turn("paused") });
  if (act && stands) buttons.push({ label: "Continue", kind: "go", run: () => act.turn("running") });
  if (act && ended) buttons.push({ label: "Remove", sure: "Really remove it?", run: act.remove });
  if (act && detail && !ended && detail.condition !== "closing") {
    buttons.push({ label: "Close", sure: "Really close it for good?", run: act.remove });
  }
  const make = (wanted) => ({ element: button(wanted) });
  syncList(byId("buttons"), buttons, ({ label }) => `${detail.session_id} ${label}`, make);
}

/** How long the session was in each state, over all times that it was there. */
function showPhases(phases, ended) {
  const byState = new Map();
  phases.forEach(({ state, since_ms: since }, at) => {
    const row = byState.get(state) ?? { state, took: 0, since: null, last: false };
    byState.set(state, row);
    if (at < phases.length - 1) row.took += phases[at + 1].since_ms - since;
    else Object.assign(row, { since: ended ? null : since, last: true });
  });
  const make = (first) => {
    const took = el("span", { class: "quiet" });
    const element = el("li", {}, spoken(first.state), " ", took);
    const update = (row) => {
      setAttribute(element, "aria-current", row.last ? "step" : null);
      if (row.since === null) setText(took, row.last ? "" : span(row.took));
      else ticking(took, () => span(row.took + now() - row.since));
    };
    return { element, update };
  };
  // A row that goes on is another one than the same at rest: its text goes with the time.
  syncList(byId("phases"), [...byState.values()], (row) => `${row.state} ${row.since}`, make);
}

/** What the session waits for: what somebody should look at stands first, the ordinary course of things by itself. */
export function showBlockers(blockers, moves) {
  const moving = new Set(moves.map((move) => move.instance));
  const urgent = blockers.filter((blocker) => URGENT.has(blocker.what));
  const others = blockers.filter((blocker) => !URGENT.has(blocker.what));
  const ordinary = others.filter((blocker) => blocker.what !== "effect" || !moving.has(blocker.on));
  show(byId("needs"), urgent.length > 0);
  show(byId("no-waits"), ordinary.length === 0);
  setText(byId("no-waits"), others.length > 0 ? "Only for what moves." : "Nothing.");
  listBlockers(byId("urgent"), byId("more-urgent"), urgent);
  listBlockers(byId("waits"), byId("more-waits"), ordinary);
}

function listBlockers(list, rest, blockers) {
  const make = (first) => {
    const detail = el("span", { class: "detail" });
    const then = el("span", { class: "then" });
    const times = el("span", { class: "quiet times" });
    const word = el("span", { class: "word" }, BLOCKER_WORDS[first.what] ?? first.what);
    const element = el("li", {}, el("span", { class: "row" }, word, el("strong", {}, first.on), times), detail, then);
    const update = (blocker) => {
      setText(detail, blocker.detail);
      setText(then, blocker.then ? `then: ${blocker.then}` : "");
      const since = parse(blocker.since);
      const until = blocker.until ? parse(blocker.until) : null;
      ticking(times, () => {
        const waited = `for ${span(now() - since)}`;
        if (until === null) return waited;
        return until > now() ? `${waited}, ${span(until - now())} left` : `${waited}, time is up`;
      });
    };
    return { element, update };
  };
  syncList(list, blockers.slice(0, BLOCKERS), keyed((blocker) => `${blocker.what} ${blocker.on} ${blocker.detail}`), make);
  show(rest, blockers.length > BLOCKERS);
  setText(rest, `and ${blockers.length - BLOCKERS} more`);
}

/** A key that stays one of a kind when items are alike. */
function keyed(key) {
  const seen = new Map();
  return (item) => {
    const text = key(item);
    const times = seen.get(text) ?? 0;
    seen.set(text, times + 1);
    return `${text} ${times}`;
  };
}

const arrow = () => el("span", {}, el("span", { "aria-hidden": "true" }, " → "), el("span", { class: "hidden" }, " to "));

/** The instances on their way. */
export function showMoves(moves) {
  show(byId("no-moves"), moves.length === 0);
  const make = (move) => {
    const way = el("span", { class: "way" }, move.from, arrow(), move.to);
    const times = el("span", { class: "quiet times" });
    const reason = el("span", { class: "why" }, move.effect.reason);
    const element = el("li", {}, el("span", { class: "row" }, el("strong", {}, move.name), way, times), reason);
    const since = parse(move.effect.since);
    const deadline = parse(move.effect.deadline);
    ticking(times, () => `for ${span(now() - since)}, ${span(deadline - now())} left`);
    const update = ({ effect }) => {
      setText(reason, effect.unknown ? `outcome unknown: ${effect.unknown}` : effect.reason);
    };
    return { element, update };
  };
  syncList(byId("moving"), moves, (move) => `${move.id} ${move.from} ${move.to}`, make);
}

/** Whom the session asked, the newest first. */
export function showAsks(asks) {
  const open = (ask) => (ask.status === "open" ? 1 : 0);
  const newest = [...asks].sort((a, b) => open(b) - open(a) || b.id - a.id).slice(0, ASKS);
  show(byId("no-asks"), newest.length === 0);
  show(byId("asks"), newest.length > 0);
  const make = (first) => {
    const answer = el("span", { class: "word" });
    const times = el("span", { class: "quiet" });
    const round = first.round > 1 ? `, round ${first.round}` : "";
    const count = first.instance_ids.length;
    const about = [first.host, count ? `${count} ${count === 1 ? "instance" : "instances"}` : null];
    const element = el(
      "tr",
      {},
      el("td", { class: "time" }, clock(parse(first.opened_at))),
      el("td", {}, el("strong", {}, first.project_id), ` ${spoken(first.state)}${round}`),
      el("td", {}, about.filter(Boolean).join(", ") || "the whole session"),
      el("td", {}, answer, " ", times),
    );
    const update = (ask) => {
      answer.dataset.answer = ask.status;
      setText(answer, answerWord(ask));
      const by = parse(ask.reply_by);
      if (ask.status === "open") {
        ticking(times, () => (by > now() ? `${span(by - now())} left` : "time is up"));
      } else setText(times, answerTime(ask.answered_after_ms));
    };
    return { element, update };
  };
  // An open question's text goes with the time; answered it is another row.
  const key = (ask) => `${ask.id} ${ask.status === "open"}`;
  syncList(byId("asks").tBodies[0], newest, key, make);
}

function answerTime(ms) {
  if (ms === null) return "";
  return ms < 1000 ? "at once" : `after ${span(ms)}`;
}

function answerWord(ask) {
  if (ask.status === "open") return ask.delivered_at ? "no answer yet" : "not delivered yet";
  const words = { acked: "agreed", nacked: "refused", expired: "silence", undelivered: "not delivered", void: "void" };
  return words[ask.status] ?? ask.status;
}
