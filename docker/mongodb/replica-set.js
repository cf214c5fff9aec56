// Makes the replica set and its users. Every step looks first whether it is done already, so that a
// start that was broken off is continued by the next one.
const { readSecret } = require("/scripts/secret.js");

const NAME = "rs0";
const MEMBERS = process.env.MEMBERS.split(",");
const DATABASE = process.env.DATABASE;
const ELECTION_TIMEOUT_MS = Number(process.env.ELECTION_TIMEOUT_MS);
// The first member by the address from which it takes its first user without a password.
const LOCAL = "mongodb://127.0.0.1:27017/?directConnection=true&serverSelectionTimeoutMS=2000";

// For everything together; then the reason is said, and `up` can be tried again.
const DEADLINE_MS = Date.now() + 180_000;

const UNAUTHORIZED = 13;
const AUTHENTICATION_FAILED = 18;
const ALREADY_INITIALIZED = 23;

const secret = (name) => readSecret(`/secrets/${name}`);

// Tries until it succeeds, and says what it waits for when that changes.
function eventually(attempt) {
  let said;
  for (;;) {
    try {
      // mongosh waits for a promise where it is used; returned as it is, it would fail outside of
      // this `try`.
      const result = attempt();
      return result;
    } catch (error) {
      const reason = error.message;
      if (error.final || Date.now() > DEADLINE_MS) throw error;
      if (reason !== said) print(`waiting: ${reason}`);
      said = reason;
      sleep(500);
    }
  }
}

let connected;

function local() {
  connected ??= new Mongo(LOCAL);
  return connected.getDB("admin");
}

function hello(address) {
  const mongo = new Mongo(`mongodb://${address}/?directConnection=true&serverSelectionTimeoutMS=2000`);
  try {
    const answer = mongo.getDB("admin").hello();
    return answer;
  } finally {
    mongo.close();
  }
}

// The set begins with one member, which is primary at once. No other member can be primary, so the
// users are made on this one in any case. A member that has lost its data never gets here alone:
// the others have a set, and take it in.
function initiate() {
  eventually(() => {
    if (local().hello().setName) return;
    for (const member of MEMBERS) {
      if (hello(member).setName) throw new Error(`${MEMBERS[0]} is to be taken into the set by ${member}`);
    }
    const config = {
      _id: NAME,
      members: [{ _id: 0, host: MEMBERS[0] }],
      settings: { electionTimeoutMillis: ELECTION_TIMEOUT_MS, heartbeatIntervalMillis: Math.min(500, ELECTION_TIMEOUT_MS) },
    };
    try {
      local().adminCommand({ replSetInitiate: config });
      print("replica set: made");
    } catch (error) {
      if (error.code !== ALREADY_INITIALIZED) throw error;
    }
  });
}

function connectAs(user, password) {
  const hosts = MEMBERS.join(",");
  return new Mongo(`mongodb://${user}:${encodeURIComponent(password)}@${hosts}/?replicaSet=${NAME}&authSource=admin&serverSelectionTimeoutMS=2000`);
}

function connectAsAdmin() {
  const password = secret("admin-password");
  return eventually(() => {
    try {
      const admin = connectAs("admin", password).getDB("admin");
      return admin;
    } catch (error) {
      if (error.code !== AUTHENTICATION_FAILED) throw error;
      makeAdmin(password);
      const admin = connectAs("admin", password).getDB("admin");
      return admin;
    }
  });
}

// MongoDB lets a program on its own host make the first user, and nothing more.
function makeAdmin(password) {
  const { isWritablePrimary, hosts } = local().hello();
  // There is an admin before there are other members.
  if (hosts.length > 1) throw otherPassword();
  if (!isWritablePrimary) throw new Error(`${MEMBERS[0]} is to become primary`);
  try {
    local().createUser({ user: "admin", pwd: password, roles: ["root"] });
    print("user admin: made");
  } catch (error) {
    throw error.code === UNAUTHORIZED ? otherPassword() : error;
  }
}

function otherPassword() {
  const error = new Error("MongoDB's user admin has another password than the secret replica-set/admin-password: put the old one back");
  return Object.assign(error, { final: true });
}

// The privileges that a server needs, and no more; docs/operating.md gives the reasons.
function makeServersUser(admin) {
  const assist = [{ resource: { cluster: true }, actions: ["replSetStateChange", "replSetGetStatus"] }];
  if (!admin.getRole("bellwetherAssist")) {
    admin.createRole({ role: "bellwetherAssist", privileges: assist, roles: [] });
  }
  const roles = [
    { role: "readWrite", db: DATABASE },
    { role: "readWrite", db: `${DATABASE}_bellwether` },
    { role: "bellwetherAssist", db: "admin" },
  ];
  const password = secret("bellwether-password");
  const found = admin.getUser("bellwether");
  if (!found) {
    admin.createUser({ user: "bellwether", pwd: password, roles });
    print("user bellwether: made");
    return;
  }
  const named = (list) => list.map(({ role, db }) => `${db}.${role}`).sort().join();
  if (named(found.roles) !== named(roles)) {
    admin.updateUser("bellwether", { roles });
    print("user bellwether: has other roles now");
  }
  if (!logsIn("bellwether", password)) {
    admin.updateUser("bellwether", { pwd: password });
    print("user bellwether: has another password now");
  }
}

function logsIn(user, password) {
  try {
    const mongo = connectAs(user, password);
    mongo.close();
    return true;
  } catch (error) {
    if (error.code === AUTHENTICATION_FAILED) return false;
    throw error;
  }
}

// One at a time, as MongoDB wants it. It counts a new member's vote only when that has copied the
// data.
function addMembers(admin) {
  let added = false;
  for (const host of MEMBERS) {
    eventually(() => {
      const { config } = admin.adminCommand({ replSetGetConfig: 1 });
      if (config.members.some((member) => member.host === host)) return;
      const _id = 1 + Math.max(...config.members.map((member) => member._id));
      config.members.push({ _id, host });
      config.version += 1;
      admin.adminCommand({ replSetReconfig: config });
      print(`member ${host}: added`);
      added = true;
    });
  }
  return added;
}

function expectAllMembers(admin) {
  const [PRIMARY, SECONDARY] = [1, 2];
  eventually(() => {
    for (const { name, state, stateStr } of admin.adminCommand({ replSetGetStatus: 1 }).members) {
      if (state !== PRIMARY && state !== SECONDARY) throw new Error(`${name} is ${stateStr}`);
    }
  });
}

initiate();
const admin = connectAsAdmin();
eventually(() => makeServersUser(admin));
// A set that was complete before may lack a member now, and works without it.
if (addMembers(admin)) expectAllMembers(admin);
print("replica set: ready");
