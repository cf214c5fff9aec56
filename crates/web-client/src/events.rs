//! Calls from JavaScript as flags for which a task can wait.

use core::cell::Cell;
use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::rc::Rc;

use wasm_bindgen::prelude::{Closure, JsValue, wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = Reflect, js_name = set)]
    fn set_field(object: &JsValue, name: &str, value: &JsValue) -> bool;
}

/// A function that JavaScript can call. All handlers have this one type, so that the code that
/// connects them exists only once.
pub(crate) type Handler = Closure<dyn FnMut()>;

/// The field `stop` of an object, which holds a handler. Dropping this value sets the field to null
/// and frees the handler: a later call would be an error in JavaScript.
pub(crate) struct Listener {
    object: JsValue,
    _handler: Handler,
}

impl Listener {
    /// Puts the handler into the field `stop` of this object.
    pub(crate) fn new(object: JsValue, handler: Handler) -> Self {
        set_stop(&object, handler.as_ref());
        Self {
            object,
            _handler: handler,
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        set_stop(&self.object, &JsValue::NULL);
    }
}

fn set_stop(object: &JsValue, value: &JsValue) {
    set_field(object, "stop", value);
}

/// A flag that a handler sets. One task at a time waits for it.
pub(crate) struct Flag(Rc<State>);

#[derive(Default)]
struct State {
    is_set: Cell<bool>,
    waiting: Cell<Option<Waker>>,
}

impl Flag {
    /// Returns a flag that is not set, and a handler that sets it.
    pub(crate) fn with_handler() -> (Self, Handler) {
        let state = Rc::new(State::default());
        let flag = Self(state.clone());
        let handler = Closure::new(move || {
            state.is_set.set(true);
            if let Some(waiting) = state.waiting.take() {
                waiting.wake();
            }
        });
        (flag, handler)
    }

    /// Waits until the flag is set. Dropping the future loses nothing.
    pub(crate) async fn set(&self) {
        poll_fn(|context| {
            if self.0.is_set.get() {
                return Poll::Ready(());
            }
            self.0.waiting.set(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}
