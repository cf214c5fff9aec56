#![no_main]

use bellwether_client::fuzzing::reply;
use bellwether_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    bounded(data, 1000, || reply(data));
});
