// The cluster at a glance: a tile for each server, and one sentence about who is coordinator.

import { drawn, element, icon, setIcon, setText } from "./dom.js";
import { lasted } from "./time.js";

const ROLES = {
  coordinator: ["crown", "Coordinator"],
  follower: ["dot", "Follower"],
  electing: ["waiting", "Electing"],
  draining: ["idle", "Shutting down"],
  silent: ["failed", "No answer"],
  asking: ["waiting", "Asking"],
};

const LARGEST_NUMBER = 2n ** 64n - 1n;

export class ClusterView {
  #list;
  #note;
  #tiles = new Map();

  constructor(list, note) {
    this.#list = list;
    this.#note = note;
  }

  show(views) {
    const tiles = views.map(({ url }) => this.#tiles.get(url) ?? new Tile(url));
    const items = tiles.map((tile) => tile.item);
    if (items.length !== this.#list.children.length || items.some((item, at) => item !== this.#list.children[at])) {
      this.#list.replaceChildren(...items);
    }
    this.#tiles = new Map(views.map(({ url }, at) => [url, tiles[at]]));
    const largest = largestNumber(views);
    views.forEach((view, at) => tiles[at].show(view, largest));
    setText(this.#note, summarized(views));
  }
}

/// One sentence; it changes when the coordinator does, so that it can be read out.
export function summarized(views) {
  const heard = views.filter(isHeard).map(({ status }) => status);
  const coordinator = coordinatorAmong(heard);
  if (coordinator) return `${coordinator.server} is coordinator${inEpoch(" in epoch ", coordinator)}`;
  if (views.length === 0) return "No servers listed";
  if (heard.length > 0) return "No coordinator at the moment";
  return views.every(({ silentSince }) => silentSince) ? "No server answers" : "Asking the servers";
}

/// Of two that think so, the one in the higher epoch is right.
function coordinatorAmong(statuses) {
  return statuses.filter(({ role }) => role === "coordinator").sort((a, b) => (b.epoch ?? 0) - (a.epoch ?? 0))[0];
}

function inEpoch(words, { epoch }) {
  return epoch === undefined ? "" : `${words}${epoch}`;
}

function largestNumber(views) {
  const numbers = views.filter(isHeard).map(({ status }) => big(status.number));
  return numbers.reduce((most, number) => (number > most ? number : most), 0n);
}

function isHeard({ status, silentSince }) {
  return status && !silentSince;
}

function big(number) {
  return /^\d{1,20}$/.test(number) ? BigInt(number) : 0n;
}

class Tile {
  constructor(url) {
    this.item = element("li");
    this.item.dataset.server = url;
    this.icon = icon("waiting");
    this.name = element("strong", "name");
    this.role = element("span", "role");
    this.since = element("span", "since");
    this.host = element("span", "url", new URL(url).host);
    this.number = element("span", "number");
    this.mark = element("span", "mark", "largest");
    this.bar = new Bar();
    this.knows = element("span", "knows");
    this.mongodb = element("span", "mongodb");
    this.mongodb.append(icon("done"), element("span"));
    const head = element("span", "line");
    head.append(this.icon, this.name, this.role, this.since);
    const number = element("span", "line");
    number.append(this.number, this.mark);
    this.item.append(head, this.host, number, this.bar.svg, this.knows, this.mongodb);
  }

  show({ status, silentSince }, largest) {
    const role = roleOf(status, silentSince);
    const [shape, word] = Object.hasOwn(ROLES, role) ? ROLES[role] : ["dot", role];
    this.item.dataset.role = role;
    setIcon(this.icon, shape);
    setText(this.name, status?.server ?? "");
    setText(this.role, role === "coordinator" ? `${word}${inEpoch(", epoch ", status)}` : word);
    const since = silentSince ?? status?.since_ms;
    setText(this.since, since ? `for ${lasted(Date.now() - since)}` : "");
    this.#showNumber(silentSince ? null : status?.number, largest);
    setText(this.knows, silentSince || !status ? "" : hears(status.peers));
    this.#showMongodb(silentSince ? null : status?.mongodb);
  }

  #showMongodb(mongodb) {
    this.mongodb.hidden = !mongodb;
    if (!mongodb) return;
    const { available, error } = mongodb;
    this.mongodb.dataset.kind = available ? "done" : "failed";
    setIcon(this.mongodb.firstElementChild, available ? "done" : "failed");
    const text = available ? "MongoDB available" : `MongoDB not available: ${error ?? "no primary is known"}`;
    setText(this.mongodb.lastElementChild, text);
    this.mongodb.title = available ? "" : text;
  }

  #showNumber(number, largest) {
    const value = number ? big(number) : 0n;
    setText(this.number, number ? `Number ${number}` : "");
    this.mark.hidden = !number || value !== largest;
    this.bar.show(value);
  }
}

/// The size of the number, compared with the largest possible one. It is drawn, since the policy
/// allows no style in attributes.
class Bar {
  #fill = drawn("rect", { height: 3, rx: 0, class: "fill" });

  constructor() {
    this.svg = drawn("svg", { class: "bar", viewBox: "0 0 1000 3", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.svg.append(drawn("rect", { width: 1000, height: 3, class: "whole" }), this.#fill);
  }

  show(number) {
    this.#fill.setAttribute("width", Number((number * 1000n) / LARGEST_NUMBER));
  }
}

function roleOf(status, silentSince) {
  if (silentSince) return "silent";
  return status ? status.role : "asking";
}

function hears(peers) {
  const names = (connected) => peers.filter((peer) => peer.connected === connected).map(({ server }) => server).join(", ");
  const [yes, no] = [names(true), names(false)];
  if (!yes && !no) return "Alone";
  return [yes && `Hears ${yes}`, no && `does not hear ${no}`].filter(Boolean).join("; ").replace(/^d/, "D");
}
