//! The functions JavaScript calls.

use core::time::Duration;

use bellwether_client::{CommandId, CommandText, OneShot, ServerList};
use js_sys::{Function, Promise};
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, AddEventListenerOptions};

use crate::browser::Browser;
use crate::values;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("types.d.ts");

#[wasm_bindgen]
extern "C" {
    /// What a caller may choose; every field is optional.
    #[wasm_bindgen(typescript_type = "ExecuteOptions")]
    pub type Options;

    #[wasm_bindgen(method, getter, js_name = timeoutMs)]
    fn timeout_ms(this: &Options) -> Option<f64>;
    #[wasm_bindgen(method, getter)]
    fn id(this: &Options) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn cluster(this: &Options) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn signal(this: &Options) -> Option<AbortSignal>;
}

#[wasm_bindgen]
extern "C" {
    /// Called with each event.
    #[wasm_bindgen(typescript_type = "((event: ExecuteEvent) => void)")]
    pub type OnEvent;

    /// What the promise of `execute` is fulfilled with.
    #[wasm_bindgen(typescript_type = "Executed")]
    pub type ExecutedObject;

    /// What the promise of `outcome` is fulfilled with.
    #[wasm_bindgen(typescript_type = "Fate")]
    pub type FateObject;
}

/// Passes a command to each of the servers in turn until one executes it.
///
/// # Errors
/// The promise is rejected with a `BellwetherError`, an `Error` that says what became of the command.
#[wasm_bindgen]
pub async fn execute(
    servers: Vec<String>,
    command: &str,
    options: Option<Options>,
    #[wasm_bindgen(js_name = onEvent)] on_event: Option<OnEvent>,
) -> Result<ExecutedObject, js_sys::Error> {
    let command: CommandText = command.parse().map_err(|error| values::command_error(&error))?;
    let shot = one_shot(&servers, options.as_ref())?;
    let cancelled = aborted(options.and_then(|options| options.signal()));
    match shot.execute_until(cancelled, &command, listener(on_event)).await {
        Ok(executed) => Ok(JsValue::from(values::executed(&executed)).into()),
        Err(failure) => Err(values::failure(&failure)),
    }
}

/// Asks each of the servers in turn what became of the command with this id. Executes nothing.
///
/// # Errors
/// The promise is rejected with a `BellwetherError` with the outcome `unknown` if nobody could say.
#[wasm_bindgen]
pub async fn outcome(
    servers: Vec<String>,
    id: &str,
    options: Option<Options>,
    #[wasm_bindgen(js_name = onEvent)] on_event: Option<OnEvent>,
) -> Result<FateObject, js_sys::Error> {
    let id: CommandId = id
        .parse()
        .map_err(|error| values::usage_error("bad_option", &error))?;
    let shot = one_shot(&servers, options.as_ref())?;
    let cancelled = aborted(options.and_then(|options| options.signal()));
    match shot.outcome_until(cancelled, id, listener(on_event)).await {
        Ok(fate) => Ok(JsValue::from(values::fate(&fate)).into()),
        Err(failure) => Err(values::failure(&failure)),
    }
}

/// Boxed, so that both functions share one copy of the client's logic in the module.
fn listener(on_event: Option<OnEvent>) -> Box<dyn FnMut(bellwether_client::Event<'_>)> {
    let listener = on_event.map(|on_event| Function::from(JsValue::from(on_event)));
    Box::new(move |event| {
        if let Some(listener) = &listener {
            // An observer that throws is its own problem: the command goes on.
            let _ = listener.call1(&JsValue::NULL, &values::event(event));
        }
    })
}

fn one_shot(servers: &[String], options: Option<&Options>) -> Result<OneShot<Browser>, js_sys::Error> {
    let servers: ServerList = servers
        .join(",")
        .parse()
        .map_err(|error| values::usage_error("bad_server", &error))?;
    let mut shot =
        OneShot::new(Browser, servers).client(concat!("bellwether-web-client/", env!("CARGO_PKG_VERSION")));
    let Some(options) = options else { return Ok(shot) };
    if let Some(millis) = options.timeout_ms() {
        let Ok(limit) = Duration::try_from_secs_f64(millis / 1000.0) else {
            return Err(values::usage_error(
                "bad_option",
                &"timeoutMs is not a length of time",
            ));
        };
        shot = shot.deadline(limit);
    }
    if let Some(id) = options.id() {
        let id: CommandId = id
            .parse()
            .map_err(|error| values::usage_error("bad_option", &error))?;
        shot = shot.ask_again(id);
    }
    if let Some(cluster) = options.cluster() {
        shot = shot.cluster(cluster);
    }
    Ok(shot)
}

/// Ready when the signal fires; never, if there is none.
async fn aborted(signal: Option<AbortSignal>) {
    let Some(signal) = signal else {
        return core::future::pending().await;
    };
    if signal.aborted() {
        return;
    }
    let fired = Promise::new(&mut |resolve, _| {
        let once = AddEventListenerOptions::new();
        once.set_once(true);
        // Fails only if the callback were no function.
        let _ =
            signal.add_event_listener_with_callback_and_add_event_listener_options("abort", &resolve, &once);
    });
    let _ = JsFuture::from(fired).await;
}
