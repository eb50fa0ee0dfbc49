//! Every recorded call of a real front-end's, from its arguments and standard input on: the same exit code
//! and output, and on the host what the recorded log says was done.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;

use remotes_action::convention::call as convention;
use remotes_effect::{Call, vnm};
use remotes_network_tests::{Grounds, State, isolated, sh};
use remotes_sdk::network::{Attached, Nic, Vm};
use serde_json::Value;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../golden/frontend/vnm"))
}

/// One recorded call.
struct Recorded {
    name: String,
    record: Value,
    driver: String,
    action: String,
    call: vnm::Call,
}

impl Recorded {
    fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(folder().join(name)).unwrap();
        let record: Value = serde_json::from_str(&text).unwrap();
        let path: Vec<&str> = record["path"].as_str().unwrap().split('/').collect();
        let ["vnm", driver, action] = path[..] else { panic!("{path:?}") };
        let arguments = record["argv"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned());
        let stdin = record["stdin"].as_str().unwrap().as_bytes();
        let call = convention("vnm", action, &arguments.collect::<Vec<_>>(), stdin).unwrap();
        let Call::Vnm(call) = call else { panic!("{call:?}") };
        Self { name: name.to_owned(), driver: driver.to_owned(), action: action.to_owned(), call, record }
    }

    /// The machine that it is about; none where it is about a network.
    fn machine(&self) -> Option<(String, Vm)> {
        let (vnm::Call::Pre { vm }
        | vnm::Call::Post { vm, .. }
        | vnm::Call::Clean { vm, .. }
        | vnm::Call::UpdateSg { vm, .. }
        | vnm::Call::UpdateNic { vm, .. }) = &self.call
        else {
            return None;
        };
        Some((vm.clone(), Vm::parse(vm).unwrap()))
    }

    /// Whether the stock driver's log says that it gave a command of these words.
    fn did(&self, words: &str) -> bool {
        self.record["stderr"].as_str().unwrap().lines().any(|line| line.contains("Executed") && line.contains(words))
    }

    fn exit(&self) -> i64 {
        self.record["exit"].as_i64().unwrap()
    }
}

fn done(grounds: &mut Grounds, driver: &str, call: vnm::Call) {
    let outcome = grounds.call(driver, call);
    assert!(matches!(outcome.result, Some(Ok(_))), "before the call: {outcome:?}");
}

fn tap(name: &str, bridge: &str) {
    sh(&format!("ip tuntap add dev {name} mode tap; ip link set {name} master {bridge} up"));
}

/// Takes the place of the hypervisor: the machine's interfaces are there.
fn start(grounds: &mut Grounds, vm: &Vm, driver: &str) {
    let nics: Vec<&Nic> = vm.nics_of(driver).collect();
    nics.iter().for_each(|nic| tap(nic.target.as_ref().unwrap(), nic.bridge.as_ref().unwrap()));
    let interface = |nic: &&Nic| {
        let (mac, target) = (&nic.mac, nic.target.as_ref().unwrap());
        format!("<interface type='bridge'><mac address='{mac}'/><target dev='{target}'/></interface>")
    };
    let interfaces: String = nics.iter().map(interface).collect();
    let id = vm.id;
    grounds.domain(&format!("<domain type='kvm'><name>one-{id}</name><devices>{interfaces}</devices></domain>"));
}

/// Its id on the recorded host stands in no document: here machines are known by their names.
fn renamed(call: vnm::Call, id: u32) -> vnm::Call {
    let name = format!("one-{id}");
    match call {
        vnm::Call::Post { vm, host, .. } => vnm::Call::Post { vm, deploy_id: name, host },
        vnm::Call::UpdateSg { vm, .. } => vnm::Call::UpdateSg { vm, deploy_id: name },
        vnm::Call::UpdateNic { vm, network_id, .. } => vnm::Call::UpdateNic { vm, deploy_id: name, network_id },
        other => other,
    }
}

/// Brings the host to where the call was made.
fn prepare(recorded: &Recorded, grounds: &mut Grounds, text: &str, vm: &Vm) {
    let driver = recorded.driver.as_str();
    let bridges = || vm.nics_of(driver).filter_map(|nic| nic.bridge.clone());
    if driver == "dummy" || (recorded.action == "pre" && recorded.did("type bridge")) {
        return;
    }
    done(grounds, driver, vnm::Call::Pre { vm: text.to_owned() });
    if recorded.action == "pre" {
        return;
    }
    start(grounds, vm, driver);
    if recorded.action == "post" && vm.attached().is_none() {
        return;
    }
    // All interfaces were plugged in before one of them was unplugged, and the others before one of them was plugged in.
    let all = text.replace("<ATTACH><![CDATA[YES]]></ATTACH>", "");
    done(grounds, driver, vnm::Call::Post { vm: all, deploy_id: format!("one-{}", vm.id), host: "h".into() });
    if recorded.action == "post" {
        done(grounds, driver, vnm::Call::Clean { vm: text.to_owned(), host: "h".into() });
    }
    if recorded.action == "clean" {
        let gone = |nic: &&Nic| vm.attached().is_none_or(|attached| attached == Attached::Nic(nic.id));
        for nic in vm.nics_of(driver).filter(gone) {
            sh(&format!("ip link delete {}", nic.target.as_ref().unwrap()));
        }
        // Where a bridge stayed there was somebody else on it.
        for (number, bridge) in bridges().enumerate().filter(|(_, bridge)| !recorded.did(&format!("delete {bridge}"))) {
            tap(&format!("one-999-{number}"), &bridge);
        }
    }
}

/// What the host must look like afterwards.
fn check(recorded: &Recorded, vm: &Vm, before: &State) {
    let (driver, now) = (recorded.driver.as_str(), State::now());
    let concerned = |nic: &Nic| vm.attached().is_none_or(|attached| attached == Attached::Nic(nic.id));
    let ruled = |nic: &Nic| {
        let chain = format!(":one-{}-{}-i ", vm.id, nic.id);
        (now.iptables.contains(&chain), now.ip6tables.contains(&chain))
    };
    for nic in vm.nics_of(driver).filter(|_| driver != "dummy") {
        let bridge = nic.bridge.as_deref().unwrap();
        let is_there = now.links.get(bridge).is_some_and(|link| link["kind"] == "bridge" && link["state"] == "up");
        assert_eq!(is_there, !recorded.did(&format!("delete {bridge}")), "{}: bridge {bridge}", recorded.name);
        let has_rules = driver == "fw"
            && match recorded.action.as_str() {
                "pre" => false,
                "clean" => !concerned(nic),
                _ => true,
            };
        assert_eq!(ruled(nic), (has_rules, has_rules), "{}: NIC {}", recorded.name, nic.id);
    }
    if driver == "dummy" {
        assert_eq!(now, *before, "{}", recorded.name);
    }
}

fn replay(recorded: Recorded) {
    let mut grounds = Grounds::default();
    let machine = recorded.machine();
    if let Some((text, vm)) = &machine {
        prepare(&recorded, &mut grounds, text, vm);
    }
    let before = State::now();
    let call = match &machine {
        Some((_, vm)) => renamed(recorded.call.clone(), vm.id),
        None => recorded.call.clone(),
    };
    let outcome = grounds.call(&recorded.driver, call);
    let result = outcome.result.clone().unwrap();
    // The recording machine's kernel could not limit bandwidth; bandwidth.rs has what is asked of libvirt.
    if recorded.action != "update_nic" {
        assert_eq!(result.is_err(), recorded.exit() != 0, "{}: {outcome:?}", recorded.name);
        assert_eq!(result.unwrap_or_default(), recorded.record["stdout"].as_str().unwrap(), "{}", recorded.name);
    }
    if let Some((_, vm)) = &machine {
        check(&recorded, vm, &before);
    }
}

/// Replays the calls of one driver's action.
fn all(driver: &str, action: &str) {
    let beginning = format!("{driver}-{action}-");
    let names = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names.filter(|name| name.starts_with(&beginning)).collect();
    assert!(!names.is_empty(), "no call of {driver}/{action} was recorded");
    for name in names {
        isolated(move || replay(Recorded::read(&name)));
    }
}

macro_rules! recorded {
    ($($test:ident $driver:literal $action:literal,)*) => {
        $(#[test] fn $test() { all($driver, $action); })*

        #[test]
        fn every_call_is_replayed() {
            let known = [$(concat!($driver, "-", $action, "-"),)*];
            for entry in std::fs::read_dir(folder()).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(known.iter().any(|beginning| name.starts_with(beginning)), "{name}");
            }
        }
    };
}

recorded! {
    bridge_pre "bridge" "pre",
    bridge_post "bridge" "post",
    bridge_clean "bridge" "clean",
    bridge_vnet_create "bridge" "vnet_create",
    dummy_pre "dummy" "pre",
    dummy_post "dummy" "post",
    dummy_clean "dummy" "clean",
    dummy_vnet_create "dummy" "vnet_create",
    dummy_vnet_delete "dummy" "vnet_delete",
    fw_pre "fw" "pre",
    fw_post "fw" "post",
    fw_clean "fw" "clean",
    fw_update_sg "fw" "update_sg",
    fw_update_nic "fw" "update_nic",
    fw_vnet_create "fw" "vnet_create",
}
