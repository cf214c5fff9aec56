//! A timer that a task waits for.

use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::events::{Handler, Watched};

#[wasm_bindgen]
extern "C" {
    // A number in browsers, an object in Node.js.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &JsValue, millis: u32) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);
}

/// A timer under way. Dropping it stops it.
pub(crate) struct Timer {
    is_over: Watched<bool>,
    _handler: Handler,
    timer: JsValue,
}

impl Timer {
    /// Starts a timer of at most 2^31 - 1 milliseconds, which is all that browsers count.
    pub(crate) fn start(millis: u32) -> Self {
        let (is_over, handler) = Watched::with_handler(|is_over: &mut bool, _| *is_over = true);
        let timer = set_timeout(handler.as_ref(), millis);
        Self {
            is_over,
            _handler: handler,
            timer,
        }
    }

    /// Waits until it is over.
    pub(crate) async fn over(&self) {
        self.is_over.wait_for(|is_over| is_over.then_some(())).await;
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(&self.timer);
    }
}
