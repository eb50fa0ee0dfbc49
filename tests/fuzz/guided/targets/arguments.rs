#![no_main]

remotes_fuzz_guided::guided!("arguments");
