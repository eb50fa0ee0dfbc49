//! The first process of the machine: brings the kernel up, replays recorded cases, and switches off.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod frames;
mod host;
mod recorded;
mod switch;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use remotes_kernel_tests::{BEGUN, END, FAILED, PASSED};
use remotes_network_tests::sh;

fn main() {
    if std::env::var_os("hang").is_some() {
        println!("{BEGUN}nothing that ends");
        loop {
            std::thread::park();
        }
    }
    surroundings();
    // Panics are told once, with their case.
    std::panic::set_hook(Box::new(|_| {}));
    for (name, case) in recorded::cases() {
        println!("{BEGUN}{name}");
        match catch_unwind(AssertUnwindSafe(case)) {
            Ok(()) => println!("{PASSED}{name}"),
            Err(panic) => println!("{FAILED}{name}: {}", message(&*panic)),
        }
    }
    println!("{END}");
    let Err(error) = reboot(RebootMode::RB_POWER_OFF);
    panic!("the machine does not switch off: {error}");
}

/// What a booted system has.
fn surroundings() {
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run")] {
        mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>).expect(place);
    }
    let mut modules: Vec<_> = std::fs::read_dir("/modules").unwrap().map(|entry| entry.unwrap().path()).collect();
    modules.sort();
    for path in modules {
        finit_module(File::open(&path).unwrap(), c"", ModuleInitFlags::empty())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    sh("ip link set lo up");
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a text").replace('\n', "\n    ")
}
