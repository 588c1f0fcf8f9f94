#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| copriv_fuzz::run("ot_bits_sender", bytes));
