//! The clock over an action: a thread that interrupts the driver when its time is up.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use wasmtime::Engine;

/// How long after the deadline the action may still be inside the host. Executors end what they wait for
/// at the deadline themselves; this catches what cannot be ended, a hung network filesystem say.
const GRACE: Duration = Duration::from_secs(10);

enum Event {
    Started,
    Ended,
}

/// Interrupts, and at last abandons, the action unless told in time that it ended.
pub struct Watch {
    events: Sender<Event>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// `start` bounds instantiation, `deadline` everything. `abandon` is called when even the grace is
    /// over; it should report and end the process.
    pub fn new(
        engine: &Engine,
        start: Deadline,
        deadline: Deadline,
        abandon: Option<Box<dyn FnOnce() + Send>>,
    ) -> std::io::Result<Self> {
        let (events, received) = mpsc::channel();
        let engine = engine.clone();
        let thread = std::thread::Builder::new().name("watch".into()).stack_size(64 * 1024).spawn(move || {
            match received.recv_timeout(start.left()) {
                Ok(Event::Started) => {}
                Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => engine.increment_epoch(),
            }
            loop {
                match received.recv_timeout(deadline.left()) {
                    Ok(Event::Started) => {}
                    Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => break,
                }
            }
            engine.increment_epoch();
            if let Err(RecvTimeoutError::Timeout) = received.recv_timeout(GRACE)
                && let Some(abandon) = abandon
            {
                abandon();
            }
        })?;
        Ok(Self { events, thread: Some(thread) })
    }

    /// Instantiation is over.
    pub fn started(&self) {
        let _ = self.events.send(Event::Started);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.events.send(Event::Ended);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
