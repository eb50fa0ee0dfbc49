//! Names of interfaces' ports on the host, and whose they are. A machine's owner may want any name for one (`TARGET`):
//! that somebody asks for it makes a port nobody's.

use remotes_sdk::network::{Nic, Vm};

/// `one-VM-NIC`, as oned calls the port of an interface that has no other name.
pub fn own(vm: &Vm, nic: &Nic) -> String {
    format!("one-{}-{}", vm.id, nic.id)
}

/// Whether oned calls a port of another interface so, or would.
pub fn is_of_another(name: &str, vm: &Vm, nic: &Nic) -> bool {
    is_given(name) && name != own(vm, nic)
}

/// Whether a name is one that oned gives: `one-VM-NIC`.
pub fn is_given(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let ids = name.strip_prefix("one-").and_then(|rest| rest.split_once('-'));
    ids.is_some_and(|(vm, nic)| is_number(vm) && is_number(nic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whose_ports_are() {
        let (vm, nic) = (Vm { id: 7, ..Vm::default() }, Nic { id: 1, ..Nic::default() });
        assert_eq!(own(&vm, &nic), "one-7-1");
        for name in ["one-7-0", "one-8-1", "one-77-1", "one-7-11", "one-07-1"] {
            assert!(is_of_another(name, &vm, &nic), "{name}");
        }
        for name in ["one-7-1", "one-web", "one-7", "one-7-", "one--1", "one-7-1-x", "eth1", ""] {
            assert!(!is_of_another(name, &vm, &nic), "{name}");
        }
    }
}
