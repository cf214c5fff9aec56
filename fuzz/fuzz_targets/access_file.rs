#![no_main]

use bellwether_fuzz::bounded;
use bellwether_server::fuzzing::access_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    bounded(data, 400, || access_file(data));
});
