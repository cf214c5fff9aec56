// Runs the tests in this page, or in a worker of it, and shows what they print.

import { run } from "./run.js";

const output = document.querySelector("#output");
const write = (text) => {
  output.textContent += text;
};
const end = (state) => {
  document.body.dataset.state = state;
};

if (new URLSearchParams(location.search).get("place") === "worker") {
  const worker = new Worker(`worker.js${location.search}`, { type: "module" });
  worker.addEventListener("message", ({ data: { text, state } }) => (text === undefined ? end(state) : write(text)));
  worker.addEventListener("error", ({ message }) => {
    write(`\nthe worker failed: ${message}\n`);
    end("broken");
  });
} else {
  // In a page the tests themselves write to the output.
  end(await run(write));
}
