//! A target on stable Rust: its corpus, and for some seconds what is made of it.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};
use sha2::{Digest as _, Sha256};

use crate::{Target, mutation};

/// Seconds of generated inputs, where `FUZZ_SECONDS` says nothing else.
const SECONDS: u64 = 10;

/// How long one input may take. The slowest take some tenths of a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// The folder of a target's inputs.
pub fn corpus_folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name)
}

/// A target's inputs by name.
pub fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = corpus_folder(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{}: there are no inputs", folder.display());
    inputs
}

/// Runs a target on its corpus and on generated inputs. Returns how many these were.
///
/// # Panics
/// Where the target does; the input, made as small as it gets, is written into a file.
pub fn run(target: Target) -> u64 {
    let corpus = corpus(target.name);
    for (name, data) in &corpus {
        assert!(data.len() <= mutation::LONGEST, "{}/{name} has {} bytes", target.name, data.len());
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(data))) {
            panic!("corpus/{}/{name}: {}", target.name, message(&*panic));
        }
    }
    let seconds = std::env::var("FUZZ_SECONDS").map_or(SECONDS, |text| text.parse().expect("FUZZ_SECONDS"));
    let end = Instant::now() + Duration::from_secs(seconds);
    // Each try at a smaller input would print what it panicked with.
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let (count, failure) = generate(target, corpus.into_iter().map(|(_, data)| data).collect(), end);
    set_hook(hook);
    match failure {
        None => println!("{}: {count} generated inputs", target.name),
        Some((reason, data)) => {
            let file = keep(target.name, &data);
            panic!(
                "{}: {reason}\ninput: {}\nkept as {}; once this is mended, put it into tests/fuzz/corpus/{}",
                target.name,
                data.escape_ascii(),
                file.display(),
                target.name
            );
        }
    }
    count
}

fn generate(target: Target, corpus: Vec<Vec<u8>>, end: Instant) -> (u64, Option<(String, Vec<u8>)>) {
    let inputs = mutation::inputs(corpus, target.words);
    let current = watched(target.name);
    let config = Config { cases: 100, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let mut count = 0;
    while Instant::now() < end {
        // Where a seed is given (`PROPTEST_RNG_SEED`), a run makes the inputs of the one before, and others in
        // each of its rounds.
        let rng_seed = match config.rng_seed {
            RngSeed::Fixed(seed) => RngSeed::Fixed(seed.wrapping_add(count)),
            RngSeed::Random => RngSeed::Random,
        };
        let outcome = TestRunner::new(Config { rng_seed, ..config.clone() }).run(&inputs, |input| {
            *current.lock().unwrap() = Some((Instant::now(), input.0.clone()));
            let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(&input.0)));
            *current.lock().unwrap() = None;
            outcome.map_err(|panic| TestCaseError::fail(message(&*panic)))
        });
        match outcome {
            Ok(()) => count += 100,
            Err(TestError::Fail(reason, input)) => return (count, Some((reason.message().to_owned(), input.0))),
            Err(TestError::Abort(reason)) => return (count, Some((reason.message().to_owned(), Vec::new()))),
        }
    }
    (count, None)
}

/// The input that is being tried, and since when.
type Current = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// Ends the process where one input takes too long: nothing else can, and nobody would know which it was.
fn watched(name: &'static str) -> Current {
    let current = Current::default();
    let watching = Arc::downgrade(&current);
    std::thread::spawn(move || {
        while let Some(current) = watching.upgrade() {
            if let Some((_, data)) = current.lock().unwrap().as_ref().filter(|(since, _)| since.elapsed() > PATIENCE) {
                let file = keep(name, data);
                eprintln!("{name}: an input takes more than {PATIENCE:?}; kept as {}", file.display());
                std::process::exit(101);
            }
            drop(current);
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    current
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

fn keep(name: &str, data: &[u8]) -> PathBuf {
    let digest: String = Sha256::digest(data).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let file = std::env::temp_dir().join(format!("fuzz-{name}-{digest}"));
    fs::write(&file, data).unwrap();
    file
}
