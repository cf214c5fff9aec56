//! Text for pages.

use bellwether_client::{ServerList, ServerUrl, readable};
use serde_json::value::RawValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::values;

/// Reads a list of servers as people write it, and returns their full URLs, each place once.
///
/// # Errors
/// An `Error` that says which entry is wrong.
#[wasm_bindgen(js_name = parseServers)]
pub fn parse_servers(text: &str) -> Result<Vec<String>, js_sys::Error> {
    let list: ServerList = text
        .parse()
        .map_err(|error| values::usage_error("bad_server", &error))?;
    Ok(list.iter().map(ServerUrl::to_string).collect())
}

/// Lays JSON text out for people, without changing the order of fields or the digits of numbers. Text that
/// is not JSON comes back as it is.
#[wasm_bindgen]
pub fn pretty(json: &str) -> String {
    reformat(json, readable::pretty)
}

/// As `pretty`, but with the numbers and dates of canonical Extended JSON in their relaxed form.
#[wasm_bindgen(js_name = prettyRelaxed)]
pub fn pretty_relaxed(json: &str) -> String {
    reformat(json, readable::pretty_relaxed)
}

fn reformat(json: &str, lay_out: fn(&RawValue) -> String) -> String {
    match serde_json::from_str::<&RawValue>(json) {
        Ok(raw) => lay_out(raw),
        Err(_) => json.to_owned(),
    }
}
