#![no_main]

use bellwether_fuzz::bounded;
use bellwether_server::fuzzing::mongodb_reply;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    bounded(data, 400, || mongodb_reply(data));
});
