#![no_main]

use bellwether_fuzz::bounded;
use bellwether_protocol::fuzzing::server_frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    bounded(data, 40, || server_frame(data));
});
