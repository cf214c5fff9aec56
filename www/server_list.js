// The list of servers: the user's own, or that of the cluster this page came from.

import { loading } from "./client.js";
import { knownServers } from "./cluster.js";
import { byId } from "./dom.js";
import { accept } from "./fields.js";

export class ServerList {
  #field = byId("servers");
  #reset = byId("usual-servers");
  #storage;
  #watch;
  #usual = "";
  /// Reads a list; until the client is there, nothing.
  #parse = () => [];

  constructor(storage, watch) {
    this.#storage = storage;
    this.#watch = watch;
    this.#field.value ||= storage.read().servers ?? "";
    this.#field.addEventListener("input", () => this.#changed());
    this.#reset.addEventListener("click", () => {
      this.#field.value = this.#usual;
      this.#changed();
      this.#field.focus();
    });
  }

  /// Fills in what the cluster says, if the user has no list of their own.
  async fill() {
    const [client, known] = await Promise.all([loading, knownServers()]);
    this.#parse = client.parseServers;
    this.#usual = this.#parse(known.filter((url) => this.#isAddress(url)).join("\n")).join("\n");
    this.#field.value ||= this.#usual;
    this.#changed();
  }

  /// Returns `true` if the text is an address. The text of a server about another one need not be
  /// an address.
  #isAddress(url) {
    try {
      return this.#parse(url).length === 1;
    } catch {
      return false;
    }
  }

  #changed() {
    accept(this.#field);
    const text = this.#field.value;
    const isUsual = text.trim() === this.#usual;
    this.#reset.hidden = isUsual || !this.#usual;
    this.#storage.update((state) => ({ ...state, servers: isUsual || !text.trim() ? undefined : text }));
    try {
      this.#watch.list(this.#parse(text));
    } catch {
      // Half typed: when it is sent, the field shows the mistake.
      this.#watch.list([]);
    }
  }
}
