//! Events of devices. libvirt delivers them to a loop that the process has to run, and only on connections
//! that were opened after it was registered: whoever waits for one opens a connection of its own.

use std::ffi::CStr;
use std::io;
use std::mem::transmute;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use virt::connect::Connect;
use virt::domain::Domain;
use virt::error::Error;
use virt::event::{event_register_default_impl, event_run_default_impl};
use virt::sys;

/// How the request to let go of a device ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED
    Removed,
    /// VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED
    Refused,
}

/// Registers libvirt's event loop and runs it in a thread, once in this process's life. The thread also
/// answers the daemons' keep-alive messages and notices when a daemon answers ours no more.
pub(crate) fn listen() -> io::Result<()> {
    static LOOP: OnceLock<Result<(), String>> = OnceLock::new();
    let running = LOOP.get_or_init(|| {
        event_register_default_impl().map_err(|error| error.message().to_owned())?;
        let run = || while event_run_default_impl().is_ok() {};
        thread::Builder::new().name("events".to_owned()).spawn(run).map_err(|error| error.to_string())?;
        Ok(())
    });
    running.clone().map_err(io::Error::other)
}

type Callback = unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *const libc::c_char, *mut libc::c_void);

/// What a callback is given along.
type Hearer = Sender<(String, Outcome)>;

/// Hears what becomes of the devices of a domain, until it is dropped.
pub(crate) struct Watch<'a> {
    connection: &'a Connect,
    callbacks: Vec<libc::c_int>,
    events: Receiver<(String, Outcome)>,
}

impl<'a> Watch<'a> {
    /// Begins to listen. The connection must have been opened after [`listen`], and the domain come from it.
    pub fn new(connection: &'a Connect, domain: &Domain) -> Result<Self, Error> {
        let (hearer, events) = channel();
        let mut watch = Self { connection, callbacks: Vec::new(), events };
        watch.register(domain, sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, removed, hearer.clone())?;
        watch.register(domain, sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED, refused, hearer)?;
        Ok(watch)
    }

    fn register(
        &mut self,
        domain: &Domain,
        event: sys::virDomainEventID,
        callback: Callback,
        hearer: Hearer,
    ) -> Result<(), Error> {
        let opaque = Box::into_raw(Box::new(hearer));
        // SAFETY: both events have this callback's signature; virConnectDomainEventGenericCallback stands for
        // whichever the event has.
        let generic: unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *mut libc::c_void) =
            unsafe { transmute(callback) };
        // SAFETY: connection and domain are valid while they are borrowed. `opaque` lives until libvirt calls
        // `forget` with it, which it does after the last call of the callback.
        let id = unsafe {
            sys::virConnectDomainEventRegisterAny(
                self.connection.as_ptr(),
                domain.as_ptr(),
                event as libc::c_int,
                Some(generic),
                opaque.cast(),
                Some(forget),
            )
        };
        if id < 0 {
            let error = Error::last_error();
            // SAFETY: what was not registered libvirt does not free.
            unsafe { forget(opaque.cast()) };
            return Err(error);
        }
        self.callbacks.push(id);
        Ok(())
    }

    /// What became of this device, if it is heard within that time.
    pub fn next(&self, alias: &str, wait: Duration) -> Option<Outcome> {
        let end = Instant::now() + wait;
        loop {
            match self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok((device, outcome)) if device == alias => return Some(outcome),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        for id in &self.callbacks {
            // SAFETY: the connection is valid while it is borrowed. On one that is lost this fails, and
            // libvirt forgets the callback with the connection.
            unsafe { sys::virConnectDomainEventDeregisterAny(self.connection.as_ptr(), *id) };
        }
    }
}

// These run in the event loop's thread. Nothing in them panics; a panic would end the process at their
// boundary rather than unwind through C.

unsafe extern "C" fn removed(
    _: sys::virConnectPtr,
    _: sys::virDomainPtr,
    alias: *const libc::c_char,
    opaque: *mut libc::c_void,
) {
    // SAFETY: what libvirt hands to a callback of this event.
    unsafe { tell(alias, opaque, Outcome::Removed) }
}

unsafe extern "C" fn refused(
    _: sys::virConnectPtr,
    _: sys::virDomainPtr,
    alias: *const libc::c_char,
    opaque: *mut libc::c_void,
) {
    // SAFETY: what libvirt hands to a callback of this event.
    unsafe { tell(alias, opaque, Outcome::Refused) }
}

/// # Safety
///
/// `alias` is a C string or null, `opaque` came from [`Watch::register`] and is not yet forgotten.
unsafe fn tell(alias: *const libc::c_char, opaque: *mut libc::c_void, outcome: Outcome) {
    if alias.is_null() || opaque.is_null() {
        return;
    }
    // SAFETY: a C string that is valid during the callback.
    let alias = unsafe { CStr::from_ptr(alias) }.to_string_lossy().into_owned();
    // SAFETY: a `Hearer` that libvirt keeps for us until it forgets it; senders may be shared by threads.
    let hearer = unsafe { &*opaque.cast::<Hearer>() };
    // Fails where nobody listens any more.
    let _ = hearer.send((alias, outcome));
}

/// # Safety
///
/// `opaque` came from [`Watch::register`], and nobody uses it any more.
unsafe extern "C" fn forget(opaque: *mut libc::c_void) {
    // SAFETY: it was made by `Box::into_raw` of this type, and libvirt frees it once.
    drop(unsafe { Box::from_raw(opaque.cast::<Hearer>()) });
}
