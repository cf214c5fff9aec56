// Uses the client as the page and the worker do.

import * as client from "./client.js";
import { shown } from "./shown.js";

const [servers, name] = process.argv.slice(2);
console.log(await shown(client, servers, name));
