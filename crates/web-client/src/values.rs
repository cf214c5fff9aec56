//! The client's values as plain JavaScript objects; `types.d.ts` describes them.

use core::fmt::Display;

use bellwether_client::{Event, Executed, Failure, Fate, NotACommand, Outcome, Try};
use js_sys::{Array, Error, Object, Reflect};
use wasm_bindgen::JsValue;

pub(crate) fn event(event: Event<'_>) -> JsValue {
    let object = match event {
        Event::Pass { pass } => of_type("pass").with("pass", pass),
        Event::Trying { server, url } => of_type("trying").with("index", server).with("url", url.as_str()),
        Event::Connected { server } => of_type("connected").with("index", server),
        Event::Greeted { server, hello } => of_type("greeted")
            .with("index", server)
            .with("server", hello.server.as_str())
            .with("cluster", hello.cluster.as_str())
            .with("role", hello.role.as_str())
            .with_some("epoch", hello.epoch.map(number)),
        Event::Sent { server, id } => of_type("sent").with("index", server).with("id", id.to_string()),
        Event::Ended { server, tried } => describe(tried, of_type("ended").with("index", server)),
        Event::Pausing { pause } => of_type("pausing").with("ms", millis(pause)),
        _ => of_type("other"),
    };
    object.0.into()
}

pub(crate) fn executed(executed: &Executed) -> Object {
    Fields::new()
        .with("id", executed.id.to_string())
        .with("epoch", number(executed.epoch))
        .with("replayed", executed.replayed)
        .with("server", executed.url.as_str())
        .with("result", executed.result.get())
        .with("tries", tries(&executed.tries))
        .0
}

pub(crate) fn fate(fate: &Fate) -> Object {
    Fields::new()
        .with("id", fate.id.to_string())
        .with("outcome", fate.outcome.as_str())
        .with_some("epoch", fate.epoch.map(number))
        .with("server", fate.url.as_str())
        .with_some("result", fate.result.as_ref().map(|result| result.get()))
        .with("tries", tries(&fate.tries))
        .0
}

pub(crate) fn failure(failure: &Failure) -> Error {
    let mongo = failure.mongo().map(|mongo| {
        Fields::new()
            .with("code", mongo.code)
            .with("codeName", mongo.code_name.as_str())
            .with("message", mongo.message.as_str())
            .with_some("index", mongo.index)
            .with_some("command", mongo.command)
            .0
    });
    let fields = error(&failure.summary(), failure.code(), failure.outcome)
        .with_some("id", failure.id.map(|id| id.to_string()))
        .with("reason", failure.reason())
        .with("hint", failure.hint())
        .with("tries", tries(&failure.tries))
        .with_some("mongo", mongo);
    Error::from(JsValue::from(fields.0))
}

/// An error of the caller, found before anything was sent.
pub(crate) fn usage_error(code: &str, problem: &impl Display) -> Error {
    Error::from(JsValue::from(usage(code, problem).0))
}

pub(crate) fn command_error(problem: &NotACommand) -> Error {
    let fields = usage("bad_command", problem)
        .with("line", problem.line)
        .with("column", problem.column);
    Error::from(JsValue::from(fields.0))
}

fn usage(code: &str, problem: &impl Display) -> Fields {
    error(&problem.to_string(), code, Outcome::NotExecuted)
        .with("reason", problem.to_string())
        .with("hint", "Nothing was sent. Correct it and try again.")
        .with("tries", Array::new())
}

fn error(message: &str, code: &str, outcome: Outcome) -> Fields {
    let error = Error::new(message);
    error.set_name("BellwetherError");
    Fields(error.into())
        .with("code", code)
        .with("outcome", outcome.as_str())
}

fn tries(tries: &[Try]) -> Array {
    tries
        .iter()
        .map(|tried| describe(tried, Fields::new()).0)
        .collect()
}

fn describe(tried: &Try, fields: Fields) -> Fields {
    fields
        .with("url", tried.url.as_str())
        .with_some("server", tried.server.as_deref())
        .with("pass", tried.pass)
        .with("hinted", tried.hinted)
        .with("sent", tried.sent)
        .with("ms", millis(tried.took))
        .with("code", tried.end.code())
        .with("outcome", tried.outcome().as_str())
        .with("text", tried.end.to_string())
}

fn millis(duration: core::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round()
}

/// Exact up to 2^53: epochs count coordinators.
fn number(value: u64) -> f64 {
    value as f64
}

fn of_type(name: &str) -> Fields {
    Fields::new().with("type", name)
}

/// An object under construction.
struct Fields(Object);

impl Fields {
    fn new() -> Self {
        Self(Object::new())
    }

    fn with(self, name: &str, value: impl Into<JsValue>) -> Self {
        // Fails only on frozen objects and proxies, and this one is new.
        let _ = Reflect::set(&self.0, &name.into(), &value.into());
        self
    }

    fn with_some(self, name: &str, value: Option<impl Into<JsValue>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}
