import load, * as tests from "./tests.js";

// The function with which the crate wasm-bindgen-test calls a test, and catches its error.
globalThis.__wbg_test_invoke = (test) => test();

const parameters = new URLSearchParams(location.search);

// The addresses to which the tests connect.
globalThis.TEST_SERVERS = Object.fromEntries(parameters);

// Less than the time limit of the program that started this.
const LONGEST_MS = 50_000;

// The test that runs.
let test = "the tests to begin";

/** Runs the tests whose names contain the filter, and says whether all of them have passed. */
export async function run(write) {
  try {
    const module = await load();
    capture();
    const all = Object.keys(module).filter((name) => name.startsWith("__wbgt_"));
    const chosen = all.filter((name) => name.includes(parameters.get("filter") ?? ""));
    const context = new tests.WasmBindgenTestContext(false);
    context.filtered_count(all.length - chosen.length);
    const ended = context.run(chosen.map((name) => module[name]));
    const tooLong = new Promise((_, reject) => {
      setTimeout(() => reject(`waited ${LONGEST_MS / 1000} s for ${test}`), LONGEST_MS);
    });
    return (await Promise.race([ended, tooLong])) ? "passed" : "failed";
  } catch (error) {
    write(`\nthe tests broke off: ${error.stack ?? error}\n`);
    return "broken";
  }
}

/** Passes the output of a test to the crate, which shows it if the test fails. */
function capture() {
  for (const method of ["debug", "log", "info", "warn", "error"]) {
    console[method] = (...values) => {
      test = /^Invoking test: (.*)/.exec(values[0])?.[1] ?? test;
      tests[`__wbgtest_console_${method}`](values);
    };
  }
}
