//! The functions that the package's JavaScript calls. Their arguments and results are plain text.
//! Reading JavaScript objects field by field takes more code on both sides than JSON, and promises
//! do, too.

use bellwether_client::{BadServer, CommandId, CommandText, Event, OneShot, Request, ServerList};
use bellwether_protocol::InvalidCommandId;
use js_sys::Function;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use wasm_bindgen_futures::spawn_local;

use crate::browser::{Browser, duration};
use crate::events::{Flag, Listener};
use crate::values;

/// Passes a command to each of the servers in turn until one executes it. Without a command, asks
/// for the outcome of the command with this id.
///
/// Calls `tell` with each event as JSON. The last call has the answer or the fields of an error as
/// JSON, `true` or `false`, and the reply, if there is one.
///
/// Until the answer or the error, `attempt` has a function `stop`, which ends the dispatch early.
/// After that `stop` is null.
///
/// # Errors
/// The fields of an error as JSON, if the request is invalid. `tell` is then not called.
#[expect(
    clippy::too_many_arguments,
    reason = "to read the fields of an object takes more code on both sides"
)]
#[wasm_bindgen(skip_typescript)]
pub fn start(
    servers: &str,
    command: Option<String>,
    timeout_ms: f64,
    id: Option<String>,
    cluster: Option<String>,
    first: Option<String>,
    tell: Function,
    attempt: JsValue,
) -> Result<(), JsValue> {
    let command = command.as_deref().map(str::parse).transpose();
    let command: Option<CommandText> = command.map_err(|error| values::command_error(&error))?;
    let id = id.as_deref().map(str::parse).transpose();
    let id: Option<CommandId> =
        id.map_err(|error: InvalidCommandId| values::usage_error("bad_option", &error.text()))?;
    let mut shot = one_shot(servers, timeout_ms, cluster, first)?;
    match id {
        Some(id) => shot = shot.ask_again(id),
        None if command.is_none() => {
            return Err(values::usage_error("bad_option", "there is no id to ask about").into());
        }
        None => {}
    }
    let (stopped, stop) = Flag::with_handler();
    let listener = Listener::new(attempt, stop);
    spawn_local(async move {
        let _listener = listener;
        let request = match (&command, id) {
            (Some(command), _) => Request::Execute(command),
            (None, Some(id)) => Request::Outcome(id),
            (None, None) => return,
        };
        let on_event = |event: Event<'_>| say(&tell, &values::event(event), JsValue::UNDEFINED, None);
        match shot.pass_along(request, stopped.set(), on_event).await {
            Ok(answered) => say(
                &tell,
                &values::answered(&answered),
                true.into(),
                values::result(&answered),
            ),
            Err(failure) => say(&tell, &values::failure(&failure), false.into(), None),
        }
    });
    Ok(())
}

fn say(tell: &Function, json: &str, decided: JsValue, result: Option<&str>) {
    // The function throws nothing: the package's JavaScript ensures that.
    let _ = tell.call3(&JsValue::NULL, &json.into(), &decided, &result.into());
}

/// Reads a list of servers as people write it. Returns their full URLs in lines, each server once.
///
/// # Errors
/// The fields of an error as JSON, which name the invalid entry.
#[wasm_bindgen(js_name = parseServers, skip_typescript)]
pub fn parse_servers(text: &str) -> Result<String, JsValue> {
    let mut lines = String::new();
    for server in &list(text)? {
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(server.as_str());
    }
    Ok(lines)
}

fn one_shot(
    servers: &str,
    timeout_ms: f64,
    cluster: Option<String>,
    first: Option<String>,
) -> Result<OneShot<Browser>, JsValue> {
    if !(timeout_ms.is_finite() && timeout_ms >= 0.0) {
        return Err(values::usage_error("bad_option", "timeoutMs is not a length of time").into());
    }
    let mut shot = OneShot::new(Browser, list(servers)?)
        .client(concat!("bellwether-web-client/", env!("CARGO_PKG_VERSION")))
        .shuffled()
        .deadline(duration(timeout_ms))
        .deadline_option("timeoutMs");
    if let Some(cluster) = cluster {
        shot = shot.cluster(cluster);
    }
    // An invalid address, or an address that is not on the list, is ignored.
    if let Some(first) = first.and_then(|first| first.parse().ok()) {
        shot = shot.first(first);
    }
    Ok(shot)
}

fn list(servers: &str) -> Result<ServerList, JsValue> {
    servers
        .parse()
        .map_err(|error: BadServer| values::usage_error("bad_server", &error.text()).into())
}
