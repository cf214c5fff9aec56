//! Clock, timers and randomness.

use core::pin::pin;
use core::time::Duration;

use bellwether_client::Platform;
use bellwether_web_client::Browser;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use wasm_bindgen_test::wasm_bindgen_test;

#[wasm_bindgen_test]
async fn the_clock_never_goes_back() {
    let mut last = Browser.now();
    for _ in 0..100 {
        let now = Browser.now();
        assert!(now >= last, "{now:?} after {last:?}");
        last = now;
        Browser.sleep(Duration::ZERO).await;
    }
    assert!(last > Duration::ZERO);
}

#[wasm_bindgen_test]
async fn sleep_is_never_too_short() {
    for micros in [0, 1, 999, 1000, 1001, 20_500] {
        let asked = Duration::from_micros(micros);
        let before = Browser.now();
        Browser.sleep(asked).await;
        let slept = Browser.now() - before;
        assert!(slept >= asked, "{slept:?} of {asked:?}");
    }
}

/// A browser takes the time of a timer modulo 2^32 ms, and fires at once if that comes out
/// negative.
#[wasm_bindgen_test]
async fn a_long_sleep_does_not_end_at_once() {
    for days in [25, 50, 1_000_000_000_000] {
        let long = pin!(Browser.sleep(Duration::from_secs(days * 24 * 3600)));
        let short = pin!(Browser.sleep(Duration::from_millis(20)));
        assert!(
            matches!(select(long, short).await, Either::Right(_)),
            "{days} days"
        );
    }
}

#[wasm_bindgen_test]
async fn sleeps_end_in_the_order_of_their_times() {
    let longer = pin!(Browser.sleep(Duration::from_millis(60)));
    let shorter = pin!(Browser.sleep(Duration::from_millis(10)));
    let Either::Right(((), longer)) = select(longer, shorter).await else {
        panic!("the longer one has ended first");
    };
    assert!(longer.now_or_never().is_none());
}

#[wasm_bindgen_test]
fn random_bytes_are_drawn_anew_each_time() {
    let draws: Vec<[u8; 10]> = (0..100).map(|_| Browser.random()).collect();
    for (index, draw) in draws.iter().enumerate() {
        assert!(!draws[..index].contains(draw), "{draw:?} came twice");
    }
    // Every byte is random, not only some of them.
    for place in 0..10 {
        assert!(
            draws.iter().any(|draw| draw[place] != draws[0][place]),
            "byte {place}"
        );
    }
}
