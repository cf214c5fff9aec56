//! Events of JavaScript as values for which a task can wait.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::rc::Rc;

use wasm_bindgen::prelude::{Closure, JsValue, wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// The argument of a handler. The argument is `undefined` if the caller passes nothing.
    pub(crate) type Event;

    #[wasm_bindgen(js_namespace = Reflect, js_name = set)]
    fn set_field(object: &JsValue, name: &str, value: &JsValue) -> bool;
}

/// A function that JavaScript can call with an event. All handlers have this one type, so that the
/// code that connects them exists only once.
pub(crate) type Handler = Closure<dyn FnMut(Event)>;

/// A handler in fields of an object, such as `onmessage`. Dropping this value removes the handler
/// from the fields and frees it: a later call would be an error in JavaScript.
pub(crate) struct Listener {
    object: JsValue,
    fields: &'static [&'static str],
    handler: Handler,
}

impl Listener {
    /// Puts the handler into these fields.
    pub(crate) fn new(object: JsValue, fields: &'static [&'static str], handler: Handler) -> Self {
        let listener = Self {
            object,
            fields,
            handler,
        };
        listener.set(listener.handler.as_ref());
        listener
    }

    fn set(&self, value: &JsValue) {
        for field in self.fields {
            set_field(&self.object, field, value);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.set(&JsValue::NULL);
    }
}

/// A value that handlers change. One task at a time waits for a change.
pub(crate) struct Watched<T>(Rc<RefCell<State<T>>>);

#[derive(Default)]
struct State<T> {
    value: T,
    waiting: Option<Waker>,
}

impl<T: Default + 'static> Watched<T> {
    /// Returns the default value, and a handler that changes it.
    pub(crate) fn with_handler(mut change: impl FnMut(&mut T, Event) + 'static) -> (Self, Handler) {
        let state = Rc::new(RefCell::new(State::<T>::default()));
        let watched = Self(state.clone());
        let handler = Closure::new(move |event: Event| {
            let mut state = state.borrow_mut();
            change(&mut state.value, event);
            let waiting = state.waiting.take();
            drop(state);
            if let Some(waiting) = waiting {
                waiting.wake();
            }
        });
        (watched, handler)
    }

    /// Waits until `look` returns a result for the value. Dropping the future loses nothing.
    pub(crate) async fn wait_for<R>(&self, mut look: impl FnMut(&mut T) -> Option<R>) -> R {
        poll_fn(|context| {
            let mut state = self.0.borrow_mut();
            if let Some(found) = look(&mut state.value) {
                return Poll::Ready(found);
            }
            state.waiting = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}
