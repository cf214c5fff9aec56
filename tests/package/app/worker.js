import * as client from "./client.js";
import { shown } from "./shown.js";

self.addEventListener("message", async ({ data: { servers, name } }) => {
  self.postMessage(await shown(client, servers, name));
});
