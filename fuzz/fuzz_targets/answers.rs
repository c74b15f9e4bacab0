#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| minio_manager::fuzzing::run("answers", data));
