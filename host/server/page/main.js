// The page: keeps what the server said up to date, and draws what changed.
//
// The feed says that something happened; what is shown is then read anew, at most as often as it can be read and drawn
// without getting in anybody's way.

import { call, CallError, follow, part, signedIn, signIn, signOut } from "./api.js";
import { byId, setAttribute, setText, show } from "./dom.js";
import { Grid } from "./grid.js";
import { showHost } from "./host.js";
import { Lines } from "./lines.js";
import { groups, moves, newest, short } from "./model.js";
import { showAsks, showBlockers, showHead, showMoves, showSessions, showTemplates, spoken } from "./panels.js";
import { showPlugins } from "./plugins.js";
import { clock, now, tick } from "./time.js";

const SHORTEST_PAUSE = 300; // between two readings
const LONGEST_PAUSE = 5000;
const AGAIN = 2000; // after a reading that failed
const LOOK_ROUND = 10_000; // what others do to the cloud is in no feed

const state = {
  sessions: [],
  templates: [],
  plugins: [],
  hosts: [],
  chosen: null, // the shown session's id
  host: null, // the shown host's name
  detail: null,
  blockers: null,
  hostDetail: null,
  lines: null,
  mayChange: true,
  barred: new Set(), // what the token does not open
  said: "",
};

const stale = new Set(); // what is to be read anew: "sessions", "templates", "plugins", "hosts", "session", "host"
const ALL = ["sessions", "templates", "plugins", "hosts", "session", "host"];
let wake = () => {};
let fresh = true; // nothing was read yet

const grid = new Grid(
  {
    grid: byId("grid"),
    field: byId("field"),
    arrows: byId("arrows"),
    readout: byId("readout"),
    legend: byId("legend"),
    find: byId("find"),
  },
  (name) => chooseHost(name === state.host ? null : name),
);

/** Has things read anew. */
function touch(...parts) {
  for (const one of parts) stale.add(one);
  wake();
}

/** Reads what is stale. What has changed meanwhile, like the chosen session, is left for the next time. */
async function read(parts) {
  const { chosen, host, lines } = state;
  const jobs = [];
  const get = (what, path, take, gone) => {
    const allowed = (answer) => {
      state.barred.delete(what);
      take(answer);
    };
    const failed = (error) => {
      if (error.status === 403) state.barred.add(what);
      else if (gone && error.status === 404) gone();
      else throw error;
    };
    jobs.push(call(path).then(allowed, failed));
  };
  if (parts.has("sessions")) get("sessions", "v1/maintenance", (answer) => (state.sessions = newest(answer.summaries)));
  if (parts.has("templates")) get("templates", "v1/templates", (answer) => (state.templates = answer.templates));
  if (parts.has("plugins")) get("plug-ins", "v1/plugins", (answer) => (state.plugins = answer.plugins));
  if (parts.has("hosts")) get("hosts", "v1/hosts", (answer) => (state.hosts = answer.hosts));
  if (parts.has("session") && chosen) {
    const path = `v1/maintenance/${part(chosen)}`;
    const still = (take) => (answer) => state.chosen === chosen && take(answer);
    const gone = still(() => sessionGone(chosen));
    get("a session in full", `${path}/detail`, still((answer) => (state.detail = answer)), gone);
    get("blockers", `${path}/blockers`, still((answer) => (state.blockers = answer.blockers)), gone);
    get("reasons", lines.path(), (answer) => lines.take(answer), gone);
  }
  if (parts.has("host") && host) {
    const still = (take) => (answer) => state.host === host && take(answer);
    get("hosts", `v1/hosts/${part(host)}`, still((answer) => (state.hostDetail = answer)), still(() => chooseHost(null)));
  }
  const failed = (await Promise.allSettled(jobs)).find((result) => result.status === "rejected");
  if (!failed) return;
  touchLater();
  if (failed.reason.status !== 0) throw failed.reason;
  link("lost", "no connection, trying again");
}

function sessionGone(session) {
  say(`Session ${short(session)} is there no more.`);
  go(null);
  touch("sessions");
}

/** Reads and draws for ever. */
async function pump() {
  for (;;) {
    if (stale.size === 0) await new Promise((done) => (wake = done));
    if (document.visibilityState !== "visible") {
      await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
      continue;
    }
    const begun = performance.now();
    const parts = new Set(stale);
    stale.clear();
    try {
      await read(parts);
      if (fresh) first();
      await new Promise(requestAnimationFrame);
      performance.mark("draw");
      draw();
      performance.measure("fenix-draw", "draw");
    } catch (error) {
      complain(error);
    }
    // Twice as long at rest as at work, so that many hosts and a slow line cost no more than few.
    const cost = performance.now() - begun;
    const pause = Math.min(Math.max(SHORTEST_PAUSE, 2 * cost), LONGEST_PAUSE);
    await new Promise((done) => setTimeout(done, pause));
  }
}

/** After the first reading: a session that is under way, or has failed, is what one comes for. */
function first() {
  fresh = false;
  if (state.chosen) return;
  const goesOn = state.sessions.find((session) => session.condition !== "ended");
  const wanted = goesOn ?? state.sessions.find((session) => session.state === "MAINTENANCE_FAILED");
  if (wanted) go(wanted.session_id, true);
}

function draw() {
  const { detail, sessions } = state;
  showSessions(sessions, state.chosen);
  setAttribute(byId("all"), "aria-current", state.chosen ? null : "page");
  show(byId("no-sessions"), sessions.length === 0);
  showTemplates(state.templates, state.mayChange ? startTemplate : null);
  show(byId("no-templates"), state.templates.length === 0);
  showPlugins(state.plugins, state.mayChange ? plug : null);
  showHead(detail, state.mayChange ? steer : null);
  show(byId("barred"), state.barred.size > 0);
  setText(byId("barred"), `Your token does not show: ${[...state.barred].sort().join(", ")}.`);
  const underWay = moves(detail);
  showBlockers((detail && state.blockers) || [], underWay);
  const grouped = groups(state.hosts, detail, underWay);
  grid.update(grouped, underWay);
  if (detail) {
    showMoves(underWay);
    showAsks(detail.asks);
    state.lines?.draw();
    announce(detail);
  }
  const { hostDetail } = state;
  const wasShown = !byId("host").hidden;
  show(byId("host"), Boolean(hostDetail));
  if (hostDetail) showHost(hostDetail, grid.cells.get(hostDetail.hostname)?.host, state.lines, state.mayChange ? clear : null);
  if (hostDetail && !wasShown) byId("host").scrollIntoView({ block: "nearest" });
  const title = detail ? `${detail.percent_done} % · ${spoken(detail.state)} · Fenix` : "Fenix";
  if (document.title !== title) document.title = title;
  document.body.dataset.drawn = "true";
}

/** Tells those who listen how the session stands, when that is another state than before. */
function announce(detail) {
  const text = `Session ${short(detail.session_id)}: ${spoken(detail.state)}, ${detail.condition}`;
  if (text === state.said) return;
  state.said = text;
  setText(byId("said"), text);
}

// What people do

function go(session, instead = false) {
  const hash = session ? `#${session}` : "#";
  if (instead) history.replaceState(null, "", hash);
  else if (location.hash !== hash) history.pushState(null, "", hash);
  route();
}

/** Shows what the address says: `#SESSION`, or everything. */
function route() {
  const wanted = decodeURIComponent(location.hash.slice(1));
  const chosen = wanted && wanted !== "main" ? wanted : null;
  if (wanted === "main" || chosen === state.chosen) return;
  Object.assign(state, { chosen, detail: null, blockers: null, lines: chosen ? new Lines(chosen) : null });
  byId("lines").scrollTop = 0;
  draw();
  touch("session", "hosts", "host");
}

function chooseHost(name) {
  const before = state.host;
  state.host = name;
  state.hostDetail = null;
  grid.select(name);
  if (name) touch("host");
  else {
    show(byId("host"), false);
    if (before && byId("host").contains(document.activeElement)) grid.focus(before);
  }
}

async function startTemplate(name) {
  try {
    const { session_id: session } = await call(`v1/templates/${part(name)}`, "POST");
    go(session);
    touch("sessions");
    byId("title").focus({ preventScroll: true });
  } catch (error) {
    complain(error);
  }
}

/** What can be done with the shown session. */
const steer = {
  turn: (condition) => change(`v1/maintenance/${part(state.chosen)}`, "PUT", { condition }),
  remove: () => change(`v1/maintenance/${part(state.chosen)}`, "DELETE"),
};

/** What can be done with plug-ins. */
const plug = {
  attach: (file) => change("v1/plugins", "POST", file),
  grant: (digest) => change(`v1/plugins/${part(digest)}/grant`, "PUT"),
  revoke: (digest) => change(`v1/plugins/${part(digest)}/grant`, "DELETE"),
  detach: (name) => change(`v1/plugins/${part(name)}`, "DELETE"),
};

/** Says that somebody has put a host right. */
const clear = (name) => change(`v1/hosts/${part(name)}/quarantine`, "DELETE");

async function change(path, method, body) {
  try {
    await call(path, method, body);
    touch(...ALL);
  } catch (error) {
    complain(error);
  }
}

// What goes wrong

function complain(error) {
  if (!(error instanceof CallError)) console.error(error);
  if (error.status === 401) return askForToken();
  say(error.hint ? `${error.message}: ${error.hint}` : error.message);
}

function say(text) {
  setText(byId("notice-text"), text);
  show(byId("notice"), true);
}

function askForToken() {
  show(byId("sign-in"), true);
  show(byId("sign-in-why"), signedIn());
  setText(byId("sign-in-why"), signedIn() ? "The server does not take the token that was given." : "");
  link("lost", "not signed in");
  show(byId("columns"), false);
  byId("token").focus();
}

let later = null;
function touchLater() {
  clearTimeout(later);
  later = setTimeout(() => touch(...ALL), AGAIN);
}

function link(word, text) {
  setAttribute(byId("link"), "data-link", word);
  setText(byId("link-text"), text);
}

// The beginning

/** Only administrators change anything: the server says who we are. */
async function who() {
  const { name, role, project_id: project, open } = await call("v1");
  state.mayChange = role === "administrator";
  const holder = project ? `${name}, ${role} ${project}` : `${name}, ${role}`;
  setText(byId("who-text"), open ? "no sign-in: everybody on this machine is administrator" : holder);
  show(byId("who"), true);
  show(byId("sign-out"), signedIn());
}

function event(id, kind, data) {
  if (kind === "missed") return touch(...ALL);
  const session = state.sessions.find((one) => one.session_id === data.session_id);
  if (kind === "removed" || !session) touch("sessions");
  if (session && (session.state !== data.state || session.percent_done !== data.percent_done || data.what === "ended")) {
    touch("sessions");
  }
  touch("hosts", "host");
  if (data.session_id !== state.chosen) return;
  if (kind === "line") state.lines.add([{ seq: id, at: data.at, what: data.what, why: data.why }]);
  touch("session");
}

async function start() {
  try {
    await who();
  } catch (error) {
    if (error.status === 401) return askForToken();
    if (error.status !== 0) complain(error);
  }
  route();
  touch(...ALL);
  pump();
  follow({
    open: () => {
      link("live", "live");
      touch(...ALL);
      who().catch(() => {}); // the server may be another one; who we are matters to what is offered only
    },
    lost: () => link("lost", "no connection, trying again"),
    refused: (status) => (status === 401 ? askForToken() : link("live", `looks every ${LOOK_ROUND / 1000} s`)),
    event,
  });
}

window.addEventListener("hashchange", route);
window.addEventListener("popstate", route);
document.addEventListener("visibilitychange", () => touch(...ALL));
document.addEventListener("keydown", ({ key }) => key === "Escape" && state.host && chooseHost(null));
byId("host-close").addEventListener("click", () => chooseHost(null));
byId("notice-close").addEventListener("click", () => show(byId("notice"), false));
byId("older").addEventListener("click", () => state.lines?.older().then(draw, complain));
byId("sign-in").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  signIn(byId("token").value);
  location.reload();
});
byId("attach").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (file) await plug.attach(file);
  target.value = "";
});
byId("sign-out").addEventListener("click", () => {
  signOut();
  location.reload();
});
setInterval(() => {
  tick();
  setText(byId("clock"), clock(now()).slice(-8));
}, 1000);
setInterval(() => touch(...ALL), LOOK_ROUND);
start();
