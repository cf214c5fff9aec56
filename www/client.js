// The client, loaded once. Until then nothing can be sent, and everything else works.

export const loading = load();
// The code that awaits it reports the error. Until then no code needs the module.
loading.catch(() => {});

async function load() {
  try {
    const client = await import("./pkg/index.js");
    await client.init();
    return client;
  } catch (error) {
    throw Object.assign(new Error("the client cannot be loaded"), {
      outcome: "not_executed",
      reason: error.reason ?? `the client cannot be loaded: ${error.message}`,
      hint: "Reload the page. If you serve it yourself, build the client with: cargo xtask web",
    });
  }
}
