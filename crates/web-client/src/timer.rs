//! A timer for which a task can wait.

use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::events::{Flag, Handler};

#[wasm_bindgen]
extern "C" {
    // The result is a number in browsers, and an object in Node.js.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &JsValue, millis: u32) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// A running timer. Dropping it stops it.
pub(crate) struct Timer {
    is_over: Flag,
    _handler: Handler,
    timer: JsValue,
}

impl Timer {
    /// Starts a timer of at most 2^31 - 1 milliseconds, the longest delay in browsers.
    pub(crate) fn start(millis: u32) -> Self {
        let (is_over, handler) = Flag::with_handler();
        let timer = set_timeout(handler.as_ref(), millis);
        Self {
            is_over,
            _handler: handler,
            timer,
        }
    }

    /// Waits until the timer ends.
    pub(crate) async fn over(&self) {
        self.is_over.set().await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(&self.timer);
    }
}
