//! What the hostile drivers of this folder share: each is a driver whose `reboot` is its attack.

use remotes_sdk::iptables::{self, Change, Condition, Family, Rule, Table, TableChange, Target, Transaction};

/// Makes a driver of one function. It gets the deploy id, the host and the action's document: what the
/// attack is to be tried on.
#[macro_export]
macro_rules! reboot {
    ($attack:path) => {
        /// The driver.
        pub struct Guest;

        impl remotes_sdk::Vmm for Guest {
            const ACTIONS: &'static [&'static str] = &["reboot"];

            fn reboot(id: String, host: String, action: String) -> Result<(), remotes_sdk::Failure> {
                $attack(&id, &host, &action)
            }
        }

        remotes_sdk::export_vmm!(Guest);
    };
}

/// Makes a network driver of one function, which gets the document of its `pre`.
#[macro_export]
macro_rules! pre {
    ($attack:path) => {
        /// The driver.
        pub struct Guest;

        impl remotes_sdk::Vnm for Guest {
            const ACTIONS: &'static [&'static str] = &["pre"];

            fn pre(vm: String) -> Result<String, remotes_sdk::Failure> {
                $attack(&vm).map(|()| String::new())
            }
        }

        remotes_sdk::export_vnm!(Guest);
    };
}

/// A rule.
pub fn rule(conditions: Vec<Condition>, target: Target) -> Rule {
    Rule { conditions, target }
}

/// Makes one change of the packet filter.
pub fn transact(change: Change) -> Result<(), remotes_sdk::Failure> {
    let tables = vec![TableChange { family: Family::Ipv4, table: Table::Filter, changes: vec![change] }];
    iptables::apply(&Transaction { sets: Vec::new(), tables, obsolete_sets: Vec::new() })
}

/// Logs what came of one attempt. A test reads the journal instead; this shows that a driver may go on
/// after a refusal.
pub fn tell<T>(attempt: &str, result: Result<T, remotes_sdk::Failure>) {
    let outcome = match result {
        Ok(_) => "done".to_owned(),
        Err(failure) => failure.message,
    };
    remotes_sdk::log::write(remotes_sdk::log::Level::Info, &format!("{attempt}: {outcome}"));
}

/// A plain move to another daemon.
pub fn migration(uri: &str) -> remotes_sdk::libvirt::Migration {
    remotes_sdk::libvirt::Migration {
        uri: uri.to_owned(),
        paused: false,
        disks: Vec::new(),
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
        abort_on_error: true,
        migrate_uri: None,
        listen_address: None,
        disks_port: None,
        compression: None,
        post_copy_bandwidth: None,
        suspend_after: None,
        post_copy_after: None,
    }
}
