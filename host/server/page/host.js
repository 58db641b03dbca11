// One host: how it stands, what is on it, and what was said about it.

import { button, byId, el, setText, show, syncList } from "./dom.js";
import { WORDS } from "./grid.js";
import { short } from "./model.js";
import { clock, parse } from "./time.js";

/**
 * Shows a host. `host` is what the server says about it, `drawn` what the grid shows. `clear(name)` is called when
 * somebody says that a host that was left out is right again; without it there is no button.
 */
export function showHost(host, drawn, lines, clear) {
  setText(byId("host-title"), host.hostname);
  const word = byId("host-word");
  setText(word, drawn ? WORDS[drawn.word][0] : "");
  word.dataset.word = drawn?.word ?? "";
  const why = host.quarantined?.why ?? (host.service === "disabled" ? host.service_reason : null);
  show(byId("host-why"), Boolean(why));
  setText(byId("host-why"), why ?? "");
  const leftOut = clear && host.quarantined ? [host.hostname] : [];
  const right = (name) => ({
    element: button({ label: "It is right again", sure: "Really give it back?", run: () => clear(name) }),
  });
  syncList(byId("host-buttons"), leftOut, (name) => name, right);
  const make = ([name]) => {
    const value = el("dd", {});
    return { element: el("div", {}, el("dt", {}, name), value), update: ([, text]) => setText(value, text) };
  };
  syncList(byId("host-facts"), facts(host), ([name]) => name, make);
  showInstances(host.instance_list ?? []);
  const any = lines?.drawAbout(host.hostname) ?? false;
  show(byId("host-said"), any);
}

function facts(host) {
  const pairs = [
    ["Type", host.type],
    ["Zone", host.zone || "none"],
    ["Answers", host.up ? "yes" : "no"],
    ["Service", host.service],
    ["Held by", host.session_id ? `session ${short(host.session_id)}` : "nobody"],
  ];
  const { maintained, quarantined } = host;
  if (maintained) {
    const actions = maintained.actions.map((pin) => `${pin.name} ${pin.version}`).join(", ") || "no action";
    pairs.push(["Last maintained", `${clock(parse(maintained.at))} by ${actions}, session ${short(maintained.session_id)}`]);
  } else pairs.push(["Last maintained", "never"]);
  if (quarantined) {
    const begun = quarantined.begun ? "work had begun" : "work had not begun";
    pairs.push(["Quarantined", `since ${clock(parse(quarantined.since))}, ${begun}, session ${short(quarantined.session_id)}`]);
  }
  return pairs;
}

function showInstances(instances) {
  show(byId("host-instances"), instances.length > 0);
  const make = (first) => {
    const cells = Array.from({ length: 4 }, () => el("td", {}));
    const name = first.instance_name || first.instance_id;
    const element = el("tr", {}, el("th", { scope: "row", title: first.instance_id }, name), ...cells);
    const update = (one) => {
      const state = one.other_host ? `${one.state}, ${one.other_host}` : one.state;
      const texts = [one.project_id, state, one.moves, one.moved_from ?? ""];
      texts.forEach((text, at) => setText(cells[at], text));
    };
    return { element, update };
  };
  syncList(byId("host-instances").tBodies[0], instances, (one) => one.instance_id, make);
}
