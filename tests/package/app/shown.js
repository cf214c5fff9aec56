/** Uses the client as an app does, and gives what came of it, as text to show. */
export async function shown(client, servers, name) {
  try {
    return JSON.stringify(await use(client, servers, name));
  } catch (error) {
    return `${error.name}: ${error.message} ${error.hint ?? ""}`;
  }
}

async function use({ BellwetherError, execute, outcome }, servers, name) {
  const document = { _id: name, long: 2n ** 53n + 1n, at: new Date(0), bytes: new Uint8Array([1, 2]) };
  const insert = { insert: "used", documents: [document] };
  let sent;
  const inserted = await execute(servers, insert, {
    onEvent(event) {
      if (event.type === "sent") sent = event.id;
    },
  });
  const found = await execute(servers, { find: "used", filter: { _id: name } });
  const [{ long, at, bytes }] = found.result.cursor.firstBatch;
  const fate = await outcome(servers, inserted.id);
  const refused = await execute(servers, insert).catch((error) => error);
  return {
    sent: sent === inserted.id,
    inserted: inserted.result.n,
    long: String(long),
    at: at.toISOString(),
    bytes: bytes.$binary.base64,
    fate: fate.outcome,
    refused: refused instanceof BellwetherError && refused.mongo.codeName,
  };
}
