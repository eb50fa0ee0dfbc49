//! The targets under libFuzzer.

pub use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
pub use remotes_fuzz::{mutation, target};

/// Runs one target; of two changes to an input, one is libFuzzer's own and one keeps to the input's syntax.
#[macro_export]
macro_rules! guided {
    ($name:literal) => {
        use $crate::{fuzz_mutator, fuzz_target, fuzzer_mutate, mutation, target};

        fuzz_target!(|data: &[u8]| (target($name).run)(data));

        fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
            if seed % 2 == 0 {
                return fuzzer_mutate(data, size, max_size);
            }
            let changed = mutation::changed(&data[..size], target($name).words, seed);
            let length = changed.len().min(max_size);
            data[..length].copy_from_slice(&changed[..length]);
            length
        });
    };
}
