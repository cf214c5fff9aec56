#![no_main]

use bellwether_fuzz::bounded;
use bellwether_server::fuzzing::peer_frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    bounded(data, 100, || peer_frame(data));
});
