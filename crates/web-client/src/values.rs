//! The client's values as JSON, which the package's JavaScript reads; `npm/index.d.ts` describes
//! them.

use core::time::Duration;

use bellwether_client::{Answered, Attempt, Event, Failure, NotACommand, Outcome, RawJson, Reply};
use bellwether_protocol::MongoErrorDetails;
use bellwether_protocol::json::Object;

use crate::browser::whole_millis;

pub(crate) fn event(event: Event<'_>) -> String {
    let mut json = Object::new();
    match event {
        Event::Pass { pass } => json.text("type", "pass").plain("pass", pass),
        Event::Trying { server, url } => at(&mut json, "trying", server).text("url", url.as_str()),
        Event::Connected { server } => at(&mut json, "connected", server),
        Event::Greeted { server, hello } => {
            at(&mut json, "greeted", server)
                .text("server", &hello.server)
                .text("cluster", &hello.cluster)
                .text("role", hello.role.as_str());
            some_number(&mut json, "epoch", hello.epoch)
        }
        Event::Sent { server, id } => at(&mut json, "sent", server).text("id", &id.text()),
        Event::Ended { server, tried } => describe(at(&mut json, "ended", server), tried),
        Event::Pausing { pause } => json.text("type", "pausing").plain("ms", millis(pause)),
        _ => json.text("type", "other"),
    };
    json.finish()
}

pub(crate) fn answered(answered: &Answered) -> String {
    let mut json = Object::new();
    match &answered.reply {
        Reply::Result(result) => json
            .text("id", &result.id.text())
            .plain("epoch", result.epoch)
            .plain("replayed", result.replayed),
        Reply::OutcomeResult(outcome_result) => {
            json.text("id", &outcome_result.id.text())
                .text("outcome", outcome_result.outcome.as_str());
            some_number(&mut json, "epoch", outcome_result.epoch)
        }
    }
    .text("server", answered.url.as_str())
    .raw("attempts", &attempts(&answered.attempts))
    .finish()
}

/// Returns the reply to the command, if there is one.
pub(crate) fn result(answered: &Answered) -> Option<&str> {
    match &answered.reply {
        Reply::Result(result) => Some(result.result.as_str()),
        Reply::OutcomeResult(outcome_result) => outcome_result.result.as_ref().map(RawJson::as_str),
    }
}

pub(crate) fn failure(failure: &Failure) -> String {
    let mut json = error(&failure.summary(), failure.code(), failure.outcome);
    if let Some(id) = failure.id {
        json.text("id", &id.text());
    }
    if let Some(mongo) = failure.mongo() {
        let mut said = Object::new();
        said.plain("code", mongo.code)
            .text("codeName", &mongo.code_name)
            .text("message", &mongo.message);
        some_number(&mut said, "index", mongo.index);
        some_number(&mut said, "command", mongo.command);
        if let Some(details) = &mongo.details {
            said.text("detailsText", &details_text(details));
        }
        json.raw("mongo", &said.finish());
    }
    json.text("reason", &failure.reason())
        .text("hint", &failure.hint())
        .raw("attempts", &attempts(&failure.attempts))
        .finish()
}

/// Returns the details of MongoDB's error as one document, as received.
fn details_text(details: &MongoErrorDetails) -> String {
    let mut json = Object::new();
    for (name, detail) in details.parts() {
        json.raw(name, detail.as_str());
    }
    json.finish()
}

/// Returns an error of the caller that was found before anything was sent.
pub(crate) fn usage_error(code: &str, problem: &str) -> String {
    usage(code, problem).finish()
}

pub(crate) fn command_error(problem: &NotACommand) -> String {
    usage("bad_command", &problem.text())
        .plain("line", problem.line)
        .plain("column", problem.column)
        .finish()
}

fn usage(code: &str, problem: &str) -> Object {
    let mut json = error(problem, code, Outcome::NotExecuted);
    json.text("reason", problem)
        .text("hint", "Nothing was sent. Correct it and try again.")
        .raw("attempts", "[]");
    json
}

fn error(message: &str, code: &str, outcome: Outcome) -> Object {
    let mut json = Object::new();
    json.text("message", message)
        .text("code", code)
        .text("outcome", outcome.as_str());
    json
}

fn attempts(attempts: &[Attempt]) -> String {
    let mut json = String::from("[");
    for tried in attempts {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&describe(&mut Object::new(), tried).finish());
    }
    json.push(']');
    json
}

fn describe<'a>(json: &'a mut Object, tried: &Attempt) -> &'a mut Object {
    json.text("url", tried.url.as_str());
    if let Some(server) = &tried.server {
        json.text("server", server);
    }
    json.plain("pass", tried.pass)
        .plain("hinted", tried.hinted)
        .plain("sent", tried.sent)
        .plain("ms", millis(tried.took))
        .text("code", tried.end.code())
        .text("outcome", tried.outcome().as_str())
        .text("text", &tried.end.text())
}

fn at<'a>(json: &'a mut Object, kind: &str, server: usize) -> &'a mut Object {
    json.text("type", kind).plain("index", server)
}

fn some_number<'a>(
    json: &'a mut Object,
    name: &str,
    number: Option<impl Into<bellwether_protocol::json::Plain>>,
) -> &'a mut Object {
    match number {
        Some(number) => json.plain(name, number),
        None => json,
    }
}

/// Returns whole milliseconds, rounded to the nearest.
fn millis(duration: Duration) -> u64 {
    whole_millis(duration.saturating_add(Duration::from_micros(500)))
}
