//! Where effects go when a driver is compiled natively: to the executor that the thread was given.

use std::cell::RefCell;
use std::rc::Rc;

use remotes_effect::{Answer, Effect, Executor};

thread_local! {
    static EXECUTOR: RefCell<Option<Rc<RefCell<dyn Executor>>>> = const { RefCell::new(None) };
}

/// Puts back what the thread had before, also when the driver panics.
struct Restore(Option<Rc<RefCell<dyn Executor>>>);

impl Drop for Restore {
    fn drop(&mut self) {
        EXECUTOR.with(|slot| *slot.borrow_mut() = self.0.take());
    }
}

/// Calls a driver's function; its effects on this thread go to `executor`.
pub fn with<E: Executor + 'static, R>(executor: &Rc<RefCell<E>>, call: impl FnOnce() -> R) -> R {
    let executor: Rc<RefCell<dyn Executor>> = executor.clone();
    let before = EXECUTOR.with(|slot| slot.borrow_mut().replace(executor));
    let _restore = Restore(before);
    call()
}

/// # Panics
/// Outside of [`with`]: natively, a driver has no outside of its own.
pub(crate) fn perform(effect: Effect) -> Answer {
    let executor = EXECUTOR.with(|slot| slot.borrow().clone());
    match executor {
        Some(executor) => executor.borrow_mut().execute(&effect),
        None => panic!("{}: no executor; call the driver inside of remotes_sdk::native::with", effect.name()),
    }
}

/// # Panics
/// Always: an executor that answers something else than it was asked is broken.
pub(crate) fn mismatch(answer: &Answer) -> ! {
    panic!("the executor answered {answer:?}, which is no answer to what it was asked")
}
