#![no_main]

use bellwether_fuzz::bounded;
use bellwether_protocol::fuzzing::client_frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    bounded(data, 40, || client_frame(data));
});
