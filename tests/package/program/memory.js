// Prints the memory in use before and after many commands, in bytes: that of the WebAssembly
// module, and the heap.

const instances = [];
const { instantiate } = WebAssembly;
WebAssembly.instantiate = async (...parts) => {
  const made = await instantiate(...parts);
  instances.push(made.instance ?? made);
  return made;
};

const { execute } = await import("./client.js");

const [servers, count] = process.argv.slice(2);
const SIDE_BY_SIDE = 8;
// One for all commands: nothing of a command stays with it, either.
const { signal } = new AbortController();

async function run(commands) {
  const lane = async () => {
    for (let left = commands / SIDE_BY_SIDE; left > 0; left -= 1) {
      const { result } = await execute(servers, { count: "notes" }, { signal, onEvent: () => {} });
      if (result.n !== 1) throw new Error(`a reply of another: ${JSON.stringify(result)}`);
    }
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, lane));
}

/** Once it has stopped to shrink: connections are closed some time after their commands. */
async function heap() {
  const { heapStats } = globalThis.Bun ? await import("bun:jsc") : {};
  for (let [smallest, rounds] = [Infinity, 0]; ; rounds += 1) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    if (globalThis.Bun) Bun.gc(true);
    else gc();
    const used = heapStats ? heapStats().heapSize : process.memoryUsage().heapUsed;
    if (used >= smallest && rounds > 10) return smallest;
    smallest = Math.min(used, smallest);
  }
}

async function used() {
  // Node.js parses HTTP in a module of its own.
  const own = instances.filter(({ exports }) => !exports.llhttp_init);
  const memories = own.flatMap(({ exports }) => Object.values(exports).filter((each) => each instanceof WebAssembly.Memory));
  if (memories.length !== 1) throw new Error(`${memories.length} memories`);
  return { module: memories[0].buffer.byteLength, heap: await heap() };
}

await run(2000);
const before = await used();
await run(Number(count));
console.log(JSON.stringify({ before, after: await used() }));
