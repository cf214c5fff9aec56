// Runs the tests in this worker.

import { run } from "./run.js";

const write = (text) => postMessage({ text });

// The function with which the crate wasm-bindgen-test writes in a worker.
globalThis.__wbg_test_output_writeln = (line) => write(`${line}\n`);

postMessage({ state: await run(write) });
