// What the server said, put into the form that is drawn.

import { natural } from "./dom.js";

/** What is with a host that the shown session does not hold. */
function freeWord(host) {
  if (host.session_id) return host.stage;
  if (host.quarantined) return "quarantined";
  if (!host.up) return "down";
  return host.service === "disabled" ? "disabled" : "free";
}

/** How an instance stands to a host: it is there, leaves it, or arrives. */
function way(instance, target) {
  if (instance.state === "error") return "error";
  if (instance.state === "stopped") return "stopped";
  return target ? "leaves" : "stays";
}

/** The moves under way of a session: `{ id, name, project, from, to, effect }`. */
export function moves(detail) {
  if (!detail) return [];
  const known = new Map(detail.instances.map((one) => [one.instance_id, one]));
  return detail.effects
    .filter((effect) => effect.what === "move")
    .map((effect) => {
      const one = known.get(effect.on);
      const from = one && one.host === effect.to ? (one.other_host ?? one.host) : one?.host;
      const name = one?.instance_name || effect.on;
      return { id: effect.id, name, project: one?.project_id, from: from ?? "?", to: effect.to, effect, instance: effect.on };
    });
}

/** Hosts in groups by failure domain: `{ key, label, hosts }`. `inside` lists the instances that are known. */
export function groups(hosts, detail, underWay) {
  const work = new Map(detail?.hosts.map((one) => [one.hostname, one]));
  const target = new Map(underWay.map((move) => [move.instance, move.to]));
  const inside = new Map();
  const add = (host, one) => inside.get(host)?.push(one) ?? inside.set(host, [one]);
  for (const one of detail?.instances ?? []) {
    const to = target.get(one.instance_id);
    const name = one.instance_name || one.instance_id;
    add(one.host, { id: one.instance_id, name, way: way(one, to && to !== one.host) });
    if (to && to !== one.host) add(to, { id: one.instance_id, name: `${name}, arrives`, way: "arrives" });
  }
  const all = new Map();
  for (const host of hosts) {
    const mine = work.get(host.hostname);
    const shown = {
      name: host.hostname,
      word: mine ? mine.stage : freeWord(host),
      mine: !detail || Boolean(mine),
      up: host.up,
      count: host.instances,
      action: mine?.stage === "working" && mine.plugin ? `${mine.plugin} ${mine.plugin_state ?? ""}`.trim() : null,
      inside: inside.get(host.hostname) ?? [],
    };
    const label = host.zone || host.type;
    const group = all.get(label) ?? { key: label, label, hosts: [] };
    group.hosts.push(shown);
    all.set(label, group);
  }
  const sorted = [...all.values()].sort((a, b) => natural(a.label, b.label));
  for (const group of sorted) group.hosts.sort((a, b) => natural(a.name, b.name));
  return sorted;
}

/** The newest first. */
export const newest = (sessions) =>
  [...sessions].sort((a, b) => b.created_at.localeCompare(a.created_at) || a.session_id.localeCompare(b.session_id));

/** The first characters of an id, enough to tell sessions apart. */
export const short = (id) => id.slice(0, 8);
