#![no_main]

use bellwether_client::fuzzing::server_list;
use bellwether_fuzz::bounded;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    bounded(data, 400, || server_list(data));
});
