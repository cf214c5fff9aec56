//! Events of JavaScript as something that a task waits for.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::{Poll, Waker};
use std::rc::Rc;

use wasm_bindgen::prelude::{Closure, JsValue, wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// The argument of a handler. It is `undefined` where nothing is told.
    pub(crate) type Event;

    #[wasm_bindgen(js_namespace = Reflect, js_name = set)]
    fn set_field(object: &JsValue, name: &str, value: &JsValue) -> bool;
}

/// A function that JavaScript can call with an event. There is one type for all, so that the code
/// which connects them is there once.
pub(crate) type Handler = Closure<dyn FnMut(Event)>;

/// A handler in fields of an object, such as `onmessage`. When this is dropped, the handler is
/// taken out and freed: a call after that would be an error in JavaScript.
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
    /// The value to begin with, and a handler that changes it.
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

    /// Waits until `look` finds something in the value. Loses nothing when the future is dropped.
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
