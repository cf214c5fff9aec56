/** Uses the client as an app does, and gives the results as text to show. */
export async function shown(client, servers, name) {
  const done = {};
  try {
    for (const [part, use] of Object.entries({ commands, outcomes, aborts, listeners, mistakes, rules })) {
      done[part] = await use(client, servers, `${part} in a ${name}`);
    }
    return JSON.stringify(done);
  } catch (error) {
    return `${JSON.stringify(done)}, then ${error.name}: ${error.message} ${error.hint ?? ""} ${error.stack}`;
  }
}

/** Values go there and come back. */
async function commands({ execute, parseServers }, servers, _id) {
  const far = { $date: { $numberLong: "8640000000000001" } };
  const document = { _id, far, long: 2n ** 53n + 1n, at: new Date(0), bytes: new Uint8Array([1, 2]), like: /^a/mi, text: "École" };
  const inserted = await execute(servers, { insert: "used", documents: [document] });
  const found = await execute(parseServers(servers), `{"find": "used", "filter": {"_id": ${JSON.stringify(_id)}}}`);
  const [{ far: again, long, at, bytes, like, ...more }] = found.result.cursor.firstBatch;
  const distant = await execute(servers, { count: "used", query: { _id, far: again } });
  const liked = await execute(servers, { count: "used", query: { _id, text: /^école$/iu } });
  const removed = await execute(servers, { delete: "used", deletes: [{ q: { _id, $nor: [{ text: /^É/ }] }, limit: 0 }] });
  return {
    n: inserted.result.n,
    far: distant.result.n,
    long: String(long),
    at: at.toISOString(),
    bytes: bytes.$binary.base64,
    like: like.$regularExpression,
    liked: [liked.result.n, removed.result.n],
    more: Object.keys(more),
    text: found.resultText.includes('"long":{"$numberLong":"9007199254740993"}'),
    attempts: found.attempts.at(-1).url === found.server,
  };
}

/** A command is executed once under its id, and `outcome` knows the id. */
async function outcomes({ execute, outcome }, servers, _id) {
  const command = { insert: "used", documents: [{ _id }] };
  const { id, replayed, epoch } = await execute(servers, command);
  const again = await execute(servers, command, { id });
  const outcomeResult = await outcome(servers, id);
  const never = await outcome(servers, id.replace(/.{12}$/, "000000000000"));
  return {
    replayed: [replayed, again.replayed],
    outcomeResult: [outcomeResult.outcome, outcomeResult.result.n, outcomeResult.epoch === epoch],
    never: [never.outcome, never.result, never.resultText, never.epoch].map(String),
  };
}

/** An aborted attempt ends at once, and its outcome can be settled later. */
async function aborts({ execute }, servers, _id) {
  const command = { insert: "used", documents: [{ _id }] };
  const early = await refusal(execute(servers, command, { signal: AbortSignal.abort() }));

  const abort = new AbortController();
  const onEvent = ({ type }) => type === "sent" && abort.abort();
  const late = await refusal(execute(servers, command, { signal: abort.signal, onEvent }));
  const settled = await execute(servers, command, { id: late.id });
  const { result } = await execute(servers, { count: "used", query: { _id } });
  return {
    early: [early.code, early.outcome],
    late: [late.code, late.outcome],
    settled: settled.id === late.id,
    count: result.n,
  };
}

/** Listeners hear what happens, in order, and cannot disturb it. */
async function listeners({ execute }, servers) {
  const events = [];
  const reported = nextReported();
  const { id, server } = await execute(servers, { count: "used" }, {
    onEvent(event) {
      events.push(event);
      if (event.type === "sent") throw new Error("a listener's mistake");
    },
  });
  const { index } = events.find(({ type, url }) => type === "trying" && url === server);
  const sent = events.find(({ type }) => type === "sent");
  return {
    first: events[0],
    story: events.filter((event) => event.index === index).map(({ type, code }) => code ?? type),
    sent: sent.id === id && sent.index === index,
    reported: await reported,
  };
}

/** The message of the next error that no code catches, as the runtime reports it. */
async function nextReported() {
  return new Promise((resolve) => {
    if (globalThis.process?.once) {
      process.once("uncaughtException", ({ message }) => resolve(message));
      return;
    }
    addEventListener("error", (event) => {
      event.preventDefault();
      resolve(event.error.message);
    }, { once: true });
  });
}

/** Each kind of mistake has an error of its own. */
async function mistakes({ BellwetherError, execute, outcome, parseServers }, servers, _id) {
  const insert = { insert: "used", documents: [{ _id }, { _id }] };
  const errors = {
    duplicate: await refusal(execute(servers, insert)),
    unbalanced: await refusal(execute(servers, '{"count":\n "used"')),
    unwritable: await refusal(execute(servers, { count: "used", query: { n: 2n ** 63n } })),
    meaningless: await refusal(execute(servers, { delete: "used", deletes: [{ q: { owner: undefined }, limit: 0 }] })),
    forbidden: await refusal(execute(servers, { shutdown: 1 })),
    nowhere: await refusal(execute("http://example.org", insert)),
    elsewhere: await refusal(execute(servers, insert, { cluster: "another" })),
    unnamed: await refusal(outcome(servers, "no id")),
    unlisted: await refusal(new Promise(() => parseServers(""))),
  };
  const told = Object.entries(errors).map(([name, error]) => {
    const complete = error instanceof BellwetherError && error instanceof Error && error.name === "BellwetherError"
      && [error.message, error.reason, error.hint].every((text) => text.length > 0) && Array.isArray(error.attempts);
    return [name, complete ? `${error.code} ${error.outcome}` : `incomplete: ${JSON.stringify(error)}`];
  });
  return {
    ...Object.fromEntries(told),
    mongo: [errors.duplicate.mongo.codeName, errors.duplicate.mongo.index],
    details: detailsOf(errors.duplicate.mongo, _id),
    place: [errors.unbalanced.line, errors.unbalanced.column],
    path: errors.meaningless.path,
  };
}

/** Shows the details of MongoDB's errors about a validator and a unique index. */
async function rules({ execute }, servers, kind) {
  const insert = (_id, n) => execute(servers, { insert: "checked", documents: [{ _id: `${kind} ${_id}`, n, kind }] });
  await insert("first", 1);
  const invalid = await refusal(insert("invalid", "one"));
  const { failingDocumentId, details } = invalid.mongo.errInfo;
  const [{ propertiesNotSatisfied: [property] }] = details.schemaRulesNotSatisfied;
  const taken = await refusal(insert("second", 1));
  return {
    invalid: [invalid.code, invalid.outcome, invalid.mongo.code, invalid.mongo.codeName],
    failing: failingDocumentId === `${kind} invalid`,
    rule: [details.operatorName, property.propertyName, property.details[0].reason, property.details[0].consideredValue],
    text: invalid.mongo.detailsText.startsWith('{"errInfo":{"failingDocumentId":'),
    taken: [taken.code, taken.outcome, taken.mongo.code, taken.mongo.keyPattern, taken.mongo.keyValue.n],
    value: taken.mongo.keyValue.kind === kind,
  };
}

/** Returns `true` for each detail of a duplicate key that is as MongoDB has sent it. */
function detailsOf({ keyPattern, keyValue, writeErrors, detailsText }, _id) {
  const [{ index, code, keyValue: inner }, ...more] = writeErrors;
  return [
    JSON.stringify(keyPattern) === '{"_id":1}',
    keyValue._id === _id,
    index === 1 && code === 11_000 && inner._id === _id && more.length === 0,
    detailsText.startsWith('{"keyPattern":{"_id":{"$numberInt":"1"}},"keyValue":'),
  ];
}

/** Gives the error with which a promise is rejected. */
async function refusal(promise) {
  return promise.then((value) => ({ name: `fulfilled with ${JSON.stringify(value)}` }), (error) => error);
}
