//! The supervision of a migration, on one that is made up.
#![allow(clippy::unwrap_used)]
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Condvar, Mutex};

use remotes_effect::types::FailureKind;
use virt::error::ErrorDomain;

use super::*;

/// A migration that ends as the test says: at once, or when it has been given up so often.
struct Fake {
    result: Result<(), Said>,
    ends_after: u32,
    given_up: AtomicU32,
    hurried: AtomicU32,
    /// times that it is hurried in vain
    begins_after: u32,
    changed: (Mutex<()>, Condvar),
    connected: bool,
    here: Result<bool, Said>,
}

fn said(code: ErrorNumber, domain: ErrorDomain, message: &str) -> Said {
    Said { code, domain, message: message.to_owned() }
}

fn fake(result: Result<(), Said>) -> Fake {
    let changed = (Mutex::new(()), Condvar::new());
    Fake {
        result,
        ends_after: 0,
        given_up: AtomicU32::new(0),
        hurried: AtomicU32::new(0),
        begins_after: 0,
        changed,
        connected: true,
        here: Ok(true),
    }
}

impl Move for Fake {
    fn go(&self) -> Result<(), Said> {
        let guard = self.changed.0.lock().unwrap();
        let waits = |_: &mut ()| self.given_up.load(SeqCst) + self.hurried.load(SeqCst) < self.ends_after;
        drop(self.changed.1.wait_while(guard, waits).unwrap());
        self.result.clone()
    }

    fn hurry(&self) -> Result<bool, Said> {
        let guard = self.changed.0.lock().unwrap();
        let asked = self.hurried.fetch_add(1, SeqCst);
        drop(guard);
        self.changed.1.notify_all();
        Ok(asked >= self.begins_after)
    }

    fn give_up(&self) -> Result<(), Said> {
        let guard = self.changed.0.lock().unwrap();
        self.given_up.fetch_add(1, SeqCst);
        drop(guard);
        self.changed.1.notify_all();
        Err(said(ErrorNumber::OperationInvalid, ErrorDomain::Qemu, "no job is active on the domain"))
    }

    fn connected(&self) -> bool {
        self.connected
    }

    fn here(&self) -> Result<bool, Said> {
        self.here.clone()
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn kind(it: &Fake, patience: Duration) -> (FailureKind, String) {
    let failure = supervise(it, None, patience, "migration of one-7 to x").unwrap_err();
    assert!(failure.message.starts_with("migration of one-7 to x: "), "{failure}");
    (failure.kind, failure.message)
}

#[test]
fn what_ends_in_time_is_not_given_up() {
    let it = fake(Ok(()));
    supervise(&it, None, HOUR, "x").unwrap();
    assert_eq!(it.given_up.load(SeqCst), 0);
    let it = fake(Err(said(ErrorNumber::OperationFailed, ErrorDomain::Qemu, "no such disk")));
    assert_eq!(kind(&it, HOUR).0, FailureKind::Failed);
    let unsafe_ = "Unsafe migration: Migration without shared storage is unsafe";
    let (kind, message) = kind(&fake(Err(said(ErrorNumber::MigrateUnsafe, ErrorDomain::Qemu, unsafe_))), HOUR);
    assert_eq!(kind, FailureKind::Denied);
    assert!(message.contains(unsafe_) && message.contains("allow-unsafe"), "{message}");
}

#[test]
fn what_does_not_is_given_up_until_it_ends() {
    let aborted = said(ErrorNumber::OperationAborted, ErrorDomain::Qemu, "canceled by client");
    let it = Fake { ends_after: 3, ..fake(Err(aborted)) };
    let (kind, message) = kind(&it, Duration::ZERO);
    assert_eq!(kind, FailureKind::Timeout);
    assert!(message.contains("it stayed") && message.contains("canceled by client"), "{message}");
    assert_eq!(it.given_up.load(SeqCst), 3);
    supervise(&Fake { ends_after: 1, ..fake(Ok(())) }, None, Duration::ZERO, "it moved all the same").unwrap();
}

#[test]
fn what_is_slow_is_hurried_once_before_it_is_given_up() {
    let it = Fake { ends_after: 1, ..fake(Ok(())) };
    supervise(&it, Some(Duration::ZERO), HOUR, "x").unwrap();
    assert_eq!((it.hurried.load(SeqCst), it.given_up.load(SeqCst)), (1, 0));
    let it = Fake { ends_after: 3, ..fake(Ok(())) };
    supervise(&it, Some(Duration::ZERO), Duration::ZERO, "x").unwrap();
    assert_eq!((it.hurried.load(SeqCst), it.given_up.load(SeqCst)), (1, 2));
    let it = Fake { ends_after: 3, begins_after: 2, ..fake(Ok(())) };
    supervise(&it, Some(Duration::ZERO), HOUR, "x").unwrap();
    assert_eq!((it.hurried.load(SeqCst), it.given_up.load(SeqCst)), (3, 0));
}

#[test]
fn where_it_is_is_said_only_if_it_was_seen() {
    let ordinary = || Err(said(ErrorNumber::OperationFailed, ErrorDomain::Qemu, "failed"));
    let broken = || said(ErrorNumber::SystemError, ErrorDomain::Rpc, "Broken pipe");
    for it in [
        fake(Err(broken())),
        Fake { connected: false, ..fake(ordinary()) },
        Fake { here: Ok(false), ..fake(ordinary()) },
        Fake { here: Err(broken()), ..fake(ordinary()) },
    ] {
        let (kind, message) = kind(&it, HOUR);
        assert_eq!(kind, FailureKind::Unknown);
        assert!(message.contains("look on both hosts"), "{message}");
    }
}

#[test]
fn a_panic_is_not_waited_for() {
    struct Panics;
    impl Move for Panics {
        fn go(&self) -> Result<(), Said> {
            panic!("inside")
        }
        fn hurry(&self) -> Result<bool, Said> {
            Ok(true)
        }
        fn give_up(&self) -> Result<(), Said> {
            Ok(())
        }
        fn connected(&self) -> bool {
            true
        }
        fn here(&self) -> Result<bool, Said> {
            Ok(true)
        }
    }
    let panic = std::panic::catch_unwind(|| supervise(&Panics, None, HOUR, "x")).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"inside"));
}

fn plainly() -> Migration {
    Migration {
        uri: "qemu+ssh://node7/system".to_owned(),
        paused: false,
        disks: vec![],
        allow_unsafe: false,
        compressed: false,
        auto_converge: false,
        auto_converge_initial: None,
        auto_converge_increment: None,
        bandwidth: None,
        parallel_connections: None,
        peer_to_peer: false,
        tunnelled: false,
        tls: false,
        post_copy: false,
        abort_on_error: false,
        migrate_uri: None,
        listen_address: None,
        disks_port: None,
        compression: None,
        post_copy_bandwidth: None,
        suspend_after: None,
        post_copy_after: None,
    }
}

#[test]
fn every_field_is_a_flag_or_a_parameter() {
    assert_eq!(Order::new(&plainly()).unwrap().flags, sys::VIR_MIGRATE_LIVE);
    for (how, flag) in [
        (Migration { paused: true, ..plainly() }, sys::VIR_MIGRATE_PAUSED),
        (Migration { disks: vec!["vda".to_owned()], ..plainly() }, sys::VIR_MIGRATE_NON_SHARED_DISK),
        (Migration { allow_unsafe: true, ..plainly() }, sys::VIR_MIGRATE_UNSAFE),
        (Migration { compressed: true, ..plainly() }, sys::VIR_MIGRATE_COMPRESSED),
        (Migration { auto_converge: true, ..plainly() }, sys::VIR_MIGRATE_AUTO_CONVERGE),
        (Migration { parallel_connections: Some(4), ..plainly() }, sys::VIR_MIGRATE_PARALLEL),
        (Migration { peer_to_peer: true, ..plainly() }, sys::VIR_MIGRATE_PEER2PEER),
        (Migration { tunnelled: true, ..plainly() }, sys::VIR_MIGRATE_TUNNELLED),
        (Migration { tls: true, ..plainly() }, sys::VIR_MIGRATE_TLS),
        (Migration { post_copy: true, ..plainly() }, sys::VIR_MIGRATE_POSTCOPY),
        (Migration { abort_on_error: true, ..plainly() }, sys::VIR_MIGRATE_ABORT_ON_ERROR),
    ] {
        assert_eq!(Order::new(&how).unwrap().flags, sys::VIR_MIGRATE_LIVE | flag, "{how:?}");
    }
    let how = Migration {
        disks: vec!["vda".to_owned(), "vdb".to_owned()],
        auto_converge_initial: Some(20),
        auto_converge_increment: Some(10),
        bandwidth: Some(64),
        parallel_connections: Some(4),
        migrate_uri: Some("tcp://10.0.0.7".to_owned()),
        listen_address: Some("0.0.0.0".to_owned()),
        disks_port: Some(49000),
        compression: Some("xbzrle".to_owned()),
        post_copy_bandwidth: Some(32),
        ..plainly()
    };
    let parameters = Order::new(&how).unwrap().parameters;
    assert_eq!(parameters.migrate_disks, how.disks);
    assert_eq!((parameters.auto_converge_initial, parameters.auto_converge_increment), (Some(20), Some(10)));
    assert_eq!((parameters.bandwidth, parameters.parallel_connections), (Some(64), Some(4)));
    assert_eq!((parameters.disks_port, parameters.bandwidth_postcopy), (Some(49000), Some(32)));
    assert_eq!((parameters.uri, parameters.listen_address), (how.migrate_uri, how.listen_address));
    assert_eq!(parameters.compression, how.compression);
}

#[test]
fn what_libvirt_cannot_take_is_invalid() {
    let nul = || "x\0".to_owned();
    for how in [
        Migration { uri: nul(), ..plainly() },
        Migration { disks: vec![nul()], ..plainly() },
        Migration { migrate_uri: Some(nul()), ..plainly() },
        Migration { listen_address: Some(nul()), ..plainly() },
        Migration { compression: Some(nul()), ..plainly() },
        Migration { auto_converge_initial: Some(u32::MAX), ..plainly() },
        Migration { parallel_connections: Some(1 << 31), ..plainly() },
    ] {
        let failure = Order::new(&how).map(drop).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
    }
}
