//! The functions the package's JavaScript calls. What they take and return is plain text: reading objects of
//! JavaScript field by field takes more code on both sides than JSON does, and so do promises.

use core::time::Duration;

use bellwether_client::{CommandId, CommandText, Event, OneShot, RawJson, ServerList};
use futures_channel::oneshot;
use js_sys::Function;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use wasm_bindgen_futures::spawn_local;

use crate::browser::Browser;
use crate::values;

/// Passes a command to each of the servers in turn until one executes it; or without a command, asks what became of
/// the one with this id.
///
/// `tell` is called with each event as JSON, and at last with the answer, or the fields of an error, as JSON,
/// with `true` or `false`, and with the reply, if there is one. Returns a function that stops the attempt.
///
/// # Errors
/// An error's fields as JSON, if what is asked for makes no sense. `tell` is not called then.
#[wasm_bindgen(skip_typescript)]
pub fn start(
    servers: &str,
    command: Option<String>,
    timeout_ms: f64,
    id: Option<String>,
    cluster: Option<String>,
    first: Option<String>,
    tell: Function,
) -> Result<JsValue, JsValue> {
    let command = command.as_deref().map(str::parse).transpose();
    let command: Option<CommandText> = command.map_err(|error| values::command_error(&error))?;
    let id = id.as_deref().map(str::parse).transpose();
    let id: Option<CommandId> = id.map_err(|error| values::usage_error("bad_option", &error))?;
    let shot = one_shot(servers, timeout_ms, cluster, first)?;
    let (stop, stopped) = oneshot::channel::<()>();
    spawn_local(async move {
        let (decided, answer, result) = run(shot, command, id, stopped, &tell).await;
        say(
            &tell,
            &answer,
            decided.into(),
            result.as_ref().map(RawJson::as_str).into(),
        );
    });
    Ok(Closure::once_into_js(move || stop.send(()).unwrap_or_default()))
}

/// Whether there is an answer, the answer or the error as JSON, and the reply.
async fn run(
    mut shot: OneShot<Browser>,
    command: Option<CommandText>,
    id: Option<CommandId>,
    stopped: oneshot::Receiver<()>,
    tell: &Function,
) -> (bool, String, Option<RawJson>) {
    // Boxed, so that both ways share one copy of the client's logic in the module.
    let listener: Box<dyn FnMut(Event<'_>)> = Box::new(|event| {
        say(
            tell,
            &values::event(event),
            JsValue::UNDEFINED,
            JsValue::UNDEFINED,
        );
    });
    let stopped = async {
        if stopped.await.is_err() {
            // Whoever could stop it is gone.
            core::future::pending::<()>().await;
        }
    };
    let failure = match (command, id) {
        (Some(command), id) => {
            if let Some(id) = id {
                shot = shot.ask_again(id);
            }
            match shot.execute_until(stopped, &command, listener).await {
                Ok(executed) => return (true, values::executed(&executed), Some(executed.result)),
                Err(failure) => failure,
            }
        }
        (None, Some(id)) => match shot.outcome_until(stopped, id, listener).await {
            Ok(fate) => return (true, values::fate(&fate), fate.result),
            Err(failure) => failure,
        },
        (None, None) => {
            return (
                false,
                values::usage_error("bad_option", &"there is no id to ask about"),
                None,
            );
        }
    };
    (false, values::failure(&failure), None)
}

fn say(tell: &Function, json: &str, decided: JsValue, result: JsValue) {
    // It throws nothing: the package's JavaScript sees to that.
    let _ = tell.call3(&JsValue::NULL, &json.into(), &decided, &result);
}

/// Reads a list of servers as people write it, and returns their full URLs, each place once, in lines.
///
/// # Errors
/// An error's fields as JSON; they say which entry is wrong.
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
    let Ok(limit) = Duration::try_from_secs_f64(timeout_ms / 1000.0) else {
        return Err(values::usage_error("bad_option", &"timeoutMs is not a length of time").into());
    };
    let mut shot = OneShot::new(Browser, list(servers)?)
        .client(concat!("bellwether-web-client/", env!("CARGO_PKG_VERSION")))
        .shuffled()
        .deadline(limit);
    if let Some(cluster) = cluster {
        shot = shot.cluster(cluster);
    }
    // What is no address, or not on the list, is nothing to begin with.
    if let Some(first) = first.and_then(|first| first.parse().ok()) {
        shot = shot.first(first);
    }
    Ok(shot)
}

fn list(servers: &str) -> Result<ServerList, JsValue> {
    servers
        .parse()
        .map_err(|error| values::usage_error("bad_server", &error).into())
}
