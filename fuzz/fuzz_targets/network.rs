#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| copriv_fuzz::run("network", bytes));
