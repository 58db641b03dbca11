// The plug-ins: what each asks for, what it may use, and attaching, granting, revoking and detaching.

import { button, byId, el, setAttribute, setText, show, syncList } from "./dom.js";

/** A right as one line: `cloud`, `remote apt-get update`. */
const words = (right) => (typeof right === "string" ? right : Object.entries(right).map((pair) => pair.join(" ")).join(", "));

const kindOf = (right) => words(right).split(" ")[0];

/** What was asked for and has nothing granted of its kind. */
const missing = ({ asks, granted }) => {
  const kinds = new Set(granted.map(kindOf));
  return asks.filter((right) => !kinds.has(kindOf(right)));
};

const list = (rights) => rights.map(words).join(", ") || "nothing";

/** The list. `act` has `grant(digest)`, `revoke(digest)` and `detach(name)`; without it there are no buttons. */
export function showPlugins(plugins, act) {
  show(byId("attach-row"), Boolean(act));
  const make = (first) => {
    const lacks = el("span", { class: "quiet lacks" }, "to be granted");
    const summary = el("summary", {}, el("strong", {}, first.name), " ", el("span", { class: "quiet" }, `${first.version} ${first.kind}`), " ", lacks);
    const [asks, granted, used] = [el("p", { class: "quiet" }), el("p", { class: "quiet" }), el("p", { class: "quiet" })];
    const buttons = el("p", { class: "buttons" });
    const details = el("details", {}, summary, asks, granted, used, buttons);
    const update = (plugin) => {
      const wanting = missing(plugin);
      show(lacks, wanting.length > 0);
      setAttribute(lacks, "title", wanting.length ? `Nobody has granted ${list(wanting)}` : null);
      setText(asks, `Asks for ${list(plugin.asks)}`);
      setText(granted, `May use ${list(plugin.granted)}`);
      const origin = plugin.origin ?? "kept for its sessions";
      setText(used, `${origin} · sessions: ${plugin.sessions.length} · ${plugin.digest.slice(0, 12)}`);
      const wanted = act ? offers(plugin, wanting, act) : [];
      syncList(buttons, wanted, ({ label }) => label, (one) => ({ element: button(one) }));
    };
    return { element: el("li", {}, details), update };
  };
  syncList(byId("plugins"), plugins, (plugin) => `${plugin.digest} ${Boolean(act)}`, make);
}

/** What can be done with one. Whom it may call is better said in full, on the command line: here it gets all that it asks for. */
function offers({ name, digest, origin, granted }, wanting, act) {
  const all = [];
  if (wanting.length) {
    all.push({ label: "Grant", spoken: `Grant ${name} what it asks for`, kind: "go", sure: "Really all of it?", run: () => act.grant(digest) });
  }
  // What comes with Fenix has what is no rule for itself.
  if (granted.some((right) => origin !== "shipped" || typeof right !== "string")) {
    all.push({ label: "Revoke", spoken: `Revoke what ${name} may use`, sure: "Really all of it?", run: () => act.revoke(digest) });
  }
  if (origin === "attached") {
    all.push({ label: "Detach", spoken: `Detach ${name}`, sure: "Really detach it?", run: () => act.detach(name) });
  }
  return all;
}
