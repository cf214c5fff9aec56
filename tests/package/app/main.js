import * as client from "./client.js";
import { shown } from "./shown.js";

const servers = decodeURIComponent(location.hash.slice(1));
const show = (place) => (text) => {
  document.getElementById(place).textContent = text;
};

shown(client, servers, `page of ${location.origin}`).then(show("page"));

const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.addEventListener("message", ({ data }) => show("worker")(data));
worker.addEventListener("error", ({ message }) => show("worker")(`the worker failed: ${message}`));
worker.postMessage({ servers, name: `worker of ${location.origin}` });
