//! Moving a running domain to another daemon.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use remotes_effect::libvirt::Migration;
use remotes_effect::types::Failure;
use virt::domain::{Domain, MigrateParameters};
use virt::error::ErrorNumber;
use virt::sys;

use crate::arguments::{plain, shown};
use crate::fault::{Fault, Said};
use crate::link::Link;
use crate::raw;
use crate::session::{Connection, View};

/// Left of the action's time for ending a migration that is not done by then: so much, or a quarter of it.
const RESERVE: Duration = Duration::from_secs(5);

/// How soon giving up is tried again: not every phase of a migration can be ended.
const AGAIN: Duration = Duration::from_millis(200);

/// What libvirt is told, made from the contract's record.
struct Order {
    flags: u32,
    parameters: MigrateParameters,
    /// it is hurried by going over to post-copy
    follows: bool,
}

/// What the supervision of a migration needs of libvirt.
trait Move: Sync {
    /// Moves it; returns when it has moved, or failed to.
    fn go(&self) -> Result<(), Said>;
    /// Has it end sooner, at the guest's expense; not where it has not begun: what is suspended before arrives so.
    /// Called from another thread.
    fn hurry(&self) -> Result<bool, Said>;
    /// Has `go` end early. Called from another thread.
    fn give_up(&self) -> Result<(), Said>;
    /// Whether the connections that it needs are as good as before.
    fn connected(&self) -> bool;
    /// Whether it runs here, or waits here as it did before.
    fn here(&self) -> Result<bool, Said>;
}

impl View<'_> {
    /// Moves the running domain.
    pub fn migrate(&self, domain: &Domain, how: &Migration) -> Result<(), Fault> {
        let order = Order::new(how)?;
        self.grant.check_migration(how)?;
        let (state, _) = domain.get_state()?;
        let destination = match how.peer_to_peer {
            true => None,
            false => Some(Connection::attentive(&how.uri, || self.grant.check_migration(how))?),
        };
        let what = format!("migration of {} to {}", shown(&domain.get_name()?), shown(&how.uri));
        let it = Real { view: self, domain, destination, uri: &how.uri, order, state };
        let left = self.deadline.left();
        let patience = left.saturating_sub(RESERVE.min(left / 4));
        let hurry = how.post_copy_after.or(how.suspend_after).map(|seconds| Duration::from_secs(seconds.into()));
        Ok(supervise(&it, hurry.filter(|hurry| *hurry < patience), patience, &what)?)
    }
}

/// Lets it go on for so long, hurries it where it has not ended before, then has it given up. `what` begins the
/// message of a failure.
fn supervise(it: &impl Move, mut hurry: Option<Duration>, patience: Duration, what: &str) -> Result<(), Failure> {
    thread::scope(|scope| {
        let (tell, told) = channel();
        let worker = scope.spawn(move || tell.send(it.go()));
        let (mut wait, mut late) = (hurry.unwrap_or(patience), false);
        loop {
            match told.recv_timeout(wait) {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(said)) => return Err(failure(it, &said, late, what)),
                Err(RecvTimeoutError::Timeout) if hurry.is_some() => {
                    let waited = hurry.take().unwrap_or_default();
                    // Where that cannot be, it goes on as it did.
                    (wait, hurry) = match it.hurry() {
                        Ok(false) if waited + AGAIN < patience => (AGAIN, Some(waited + AGAIN)),
                        _ => (patience.saturating_sub(waited), None),
                    };
                }
                Err(RecvTimeoutError::Timeout) => {
                    (wait, late) = (AGAIN, true);
                    // Fails where it is between two phases, or about to end.
                    let _ = it.give_up();
                }
                // A panic: the scope would hide what it said.
                Err(RecvTimeoutError::Disconnected) => match worker.join() {
                    Err(panic) => std::panic::resume_unwind(panic),
                    Ok(_) => return Err(unknown(what, "its end was not heard of")),
                },
            }
        }
    })
}

/// What a failed migration means. "It stayed here" is said only where that was seen.
fn failure(it: &impl Move, said: &Said, late: bool, what: &str) -> Failure {
    let words = said.words();
    if said.on_the_way() || !it.connected() {
        return unknown(what, &format!("a connection was lost: {words}"));
    }
    match it.here() {
        Ok(true) if late => Failure::timeout(format!(
            "{what}: not done when the action's time was up, so it was given up; it stayed: {words}"
        )),
        Ok(true) => {
            let hint = match said.code {
                ErrorNumber::MigrateUnsafe => "; `allow-unsafe` would permit it",
                _ => "",
            };
            Failure { kind: said.kind(), message: format!("{what}: {words}{hint}") }
        }
        Ok(false) => unknown(what, &format!("it does not run here any more: {words}")),
        Err(here) => unknown(what, &format!("{words}; nor can it be looked at here: {}", here.words())),
    }
}

fn unknown(what: &str, why: &str) -> Failure {
    Failure::unknown(format!("{what}: it may or may not have moved; look on both hosts before it is repeated: {why}"))
}

impl Order {
    /// Nothing is checked here that libvirt checks: which of these go together depends on its version.
    fn new(how: &Migration) -> Result<Self, Failure> {
        let strings = [Some(&how.uri), how.migrate_uri.as_ref(), how.listen_address.as_ref(), how.compression.as_ref()];
        for text in strings.into_iter().flatten().chain(&how.disks) {
            plain("the migration's description", text)?;
        }
        let flags = [
            (true, sys::VIR_MIGRATE_LIVE),
            (how.paused, sys::VIR_MIGRATE_PAUSED),
            (!how.disks.is_empty(), sys::VIR_MIGRATE_NON_SHARED_DISK),
            (how.allow_unsafe, sys::VIR_MIGRATE_UNSAFE),
            (how.compressed, sys::VIR_MIGRATE_COMPRESSED),
            (how.auto_converge, sys::VIR_MIGRATE_AUTO_CONVERGE),
            (how.parallel_connections.is_some(), sys::VIR_MIGRATE_PARALLEL),
            (how.peer_to_peer, sys::VIR_MIGRATE_PEER2PEER),
            (how.tunnelled, sys::VIR_MIGRATE_TUNNELLED),
            (how.tls, sys::VIR_MIGRATE_TLS),
            (how.post_copy, sys::VIR_MIGRATE_POSTCOPY),
            (how.abort_on_error, sys::VIR_MIGRATE_ABORT_ON_ERROR),
        ];
        let flags = flags.into_iter().filter(|(wanted, _)| *wanted).fold(0, |all, (_, flag)| all | flag);
        let parameters = MigrateParameters {
            auto_converge_initial: number("auto-converge-initial", how.auto_converge_initial)?,
            auto_converge_increment: number("auto-converge-increment", how.auto_converge_increment)?,
            bandwidth: how.bandwidth,
            bandwidth_postcopy: how.post_copy_bandwidth,
            compression: how.compression.clone(),
            disks_port: number("disks-port", how.disks_port)?,
            parallel_connections: number("parallel-connections", how.parallel_connections)?,
            uri: how.migrate_uri.clone(),
            listen_address: how.listen_address.clone(),
            migrate_disks: how.disks.clone(),
            ..MigrateParameters::default()
        };
        Ok(Self { flags, parameters, follows: how.post_copy_after.is_some() })
    }
}

fn number(what: &str, value: Option<u32>) -> Result<Option<i32>, Failure> {
    let too_large = |_| Failure::invalid(format!("{what} = {}: too large", value.unwrap_or_default()));
    value.map(i32::try_from).transpose().map_err(too_large)
}

struct Real<'a> {
    view: &'a View<'a>,
    domain: &'a Domain,
    /// none where the daemons talk to each other
    destination: Option<Connection>,
    uri: &'a str,
    order: Order,
    /// what it was in before
    state: sys::virDomainState,
}

impl Move for Real<'_> {
    fn go(&self) -> Result<(), Said> {
        let Order { flags, parameters, .. } = &self.order;
        match &self.destination {
            Some(destination) => drop(self.domain.migrate3(destination, parameters.clone(), *flags)?),
            None => self.domain.migrate_to_uri3(Some(self.uri), parameters.clone(), *flags)?,
        }
        Ok(())
    }

    fn hurry(&self) -> Result<bool, Said> {
        if self.domain.get_job_info()?.mem_total.unwrap_or_default() == 0 {
            return Ok(false);
        }
        match self.order.follows {
            true => raw::start_post_copy(self.domain)?,
            false => drop(self.domain.suspend()?),
        }
        Ok(true)
    }

    fn give_up(&self) -> Result<(), Said> {
        Ok(raw::abort_job(self.domain)?)
    }

    fn connected(&self) -> bool {
        self.view.connection.alive() && self.destination.as_ref().is_none_or(Link::alive)
    }

    fn here(&self) -> Result<bool, Said> {
        let (state, _) = match self.domain.get_state() {
            Err(error) if error.code() == ErrorNumber::NoDomain => return Ok(false),
            state => state?,
        };
        // One that ran and is paused now may have begun to run there (post-copy).
        Ok(self.domain.is_active()? && (state == self.state || state == sys::VIR_DOMAIN_RUNNING))
    }
}

#[cfg(test)]
mod tests;
