//! The functions the package's JavaScript calls. What they take and return is plain text: reading objects of
//! JavaScript field by field takes more code on both sides than JSON does.

use core::time::Duration;

use bellwether_client::{CommandId, CommandText, Event, OneShot, ServerList};
use js_sys::{Array, Function, Promise};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

use crate::browser::Browser;
use crate::values;

/// Passes a command to each of the servers in turn until one executes it. Resolves to the answer as JSON and the
/// reply.
///
/// # Errors
/// An error's fields as JSON; they say what became of the command.
#[wasm_bindgen(skip_typescript)]
#[expect(
    clippy::too_many_arguments,
    reason = "options, without an object to read them from"
)]
pub async fn execute(
    command: String,
    servers: String,
    timeout_ms: f64,
    id: Option<String>,
    cluster: Option<String>,
    first: Option<String>,
    stopped: Option<Promise>,
    on_event: Option<Function>,
) -> Result<Array, JsValue> {
    let command: CommandText = command.parse().map_err(|error| values::command_error(&error))?;
    let mut shot = one_shot(&servers, timeout_ms, cluster, first)?;
    if let Some(id) = id {
        shot = shot.ask_again(read_id(&id)?);
    }
    match shot
        .execute_until(done(stopped), &command, listener(on_event))
        .await
    {
        Ok(executed) => Ok(answer(
            &values::executed(&executed),
            Some(executed.result.as_str()),
        )),
        Err(failure) => Err(values::failure(&failure).into()),
    }
}

/// Asks each of the servers in turn what became of the command with this id. Executes nothing. Resolves to the
/// answer as JSON and the reply, if there is one.
///
/// # Errors
/// An error's fields as JSON, with the outcome `unknown` if nobody could say.
#[wasm_bindgen(skip_typescript)]
pub async fn outcome(
    servers: String,
    timeout_ms: f64,
    id: String,
    cluster: Option<String>,
    first: Option<String>,
    stopped: Option<Promise>,
    on_event: Option<Function>,
) -> Result<Array, JsValue> {
    let id = read_id(&id)?;
    let shot = one_shot(&servers, timeout_ms, cluster, first)?;
    match shot.outcome_until(done(stopped), id, listener(on_event)).await {
        Ok(fate) => Ok(answer(
            &values::fate(&fate),
            fate.result.as_ref().map(|result| result.as_str()),
        )),
        Err(failure) => Err(values::failure(&failure).into()),
    }
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

fn read_id(id: &str) -> Result<CommandId, JsValue> {
    id.parse()
        .map_err(|error| values::usage_error("bad_option", &error).into())
}

/// Boxed, so that both functions share one copy of the client's logic in the module.
fn listener(on_event: Option<Function>) -> Box<dyn FnMut(Event<'_>)> {
    Box::new(move |event| {
        if let Some(on_event) = &on_event {
            // It throws nothing: the package's JavaScript sees to that.
            let _ = on_event.call1(&JsValue::NULL, &values::event(event).into());
        }
    })
}

/// Ready when the promise is; never, if there is none.
async fn done(promise: Option<Promise>) {
    match promise {
        Some(promise) => {
            let _ = JsFuture::from(promise).await;
        }
        None => core::future::pending().await,
    }
}

fn answer(json: &str, result: Option<&str>) -> Array {
    let answer = Array::of1(&json.into());
    if let Some(result) = result {
        answer.push(&result.into());
    }
    answer
}
