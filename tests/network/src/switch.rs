//! A private Open vSwitch: daemons of a test's own, where its programs look for them. Frames are switched in
//! userspace or in the kernel, as a bridge's `datapath_type` says.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::mount::MsFlags;
use serde_json::{Map, Value, json};

use crate::{isolated, sh, skipped, wait_for};

/// Where the programs of Open vSwitch look for its daemons.
const RUN: &str = "/run/openvswitch";
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// Runs a test in a network namespace of its own, with a switch of its own.
pub fn switched(test: impl FnOnce() + Send + 'static) {
    if !Path::new(SCHEMA).is_file() {
        return skipped("Open vSwitch is not installed; `make setup` does it");
    }
    isolated(|| {
        let _switch = Switch::start();
        test();
    });
}

/// The daemons; they end with it.
pub struct Switch {
    daemons: Vec<Child>,
}

impl Switch {
    /// Puts folders of its own in the place of the system's, as this thread sees them, and starts.
    fn start() -> Self {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).expect("a mount namespace");
        let none: Option<&str> = None;
        nix::mount::mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
        for folder in [RUN, "/run/one"] {
            std::fs::create_dir_all(folder).unwrap();
            nix::mount::mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), none)
                .expect("a folder of its own");
        }
        sh(&format!("ip link set lo up; ovsdb-tool create {RUN}/conf.db {SCHEMA}"));
        let mut switch = Self { daemons: Vec::new() };
        switch.daemon("ovsdb-server", &[&format!("{RUN}/conf.db"), &format!("--remote=punix:{RUN}/db.sock")]);
        wait_for("ovsdb-server listens", || {
            switch.assert_alive();
            Path::new(RUN).join("db.sock").exists()
        });
        sh("ovs-vsctl --no-wait --timeout=20 init");
        switch.daemon("ovs-vswitchd", &[]);
        sh("ovs-vsctl --timeout=20 set Open_vSwitch . external_ids:test=yes");
        switch
    }

    fn daemon(&mut self, program: &str, arguments: &[&str]) {
        // It must not outlive the test, whatever ends that.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", program, "--no-chdir", "--pidfile", "--verbose=off"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // Why it did not start.
            .stderr(Stdio::inherit())
            .spawn();
        self.daemons.push(child.expect("setpriv"));
    }

    /// One that did not start has said why; there is no use in waiting for it.
    fn assert_alive(&mut self) {
        for daemon in &mut self.daemons {
            let ended = daemon.try_wait().unwrap();
            assert!(ended.is_none(), "a daemon of Open vSwitch ended: {ended:?}");
        }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// The database and the flows, in the form of the recorded cases.
#[derive(Debug, Clone, PartialEq)]
pub struct SwitchState {
    /// bridges and ports
    pub database: Value,
    /// sorted, by bridge
    pub flows: BTreeMap<String, Vec<String>>,
}

impl SwitchState {
    /// The state of the thread's switch.
    pub fn now() -> Self {
        // One process for all: where they are emulated, each is slow.
        let said = sh("ovs-vsctl --timeout=20 --format=json \
             -- --columns=name,ports,datapath_type,stp_enable,rstp_enable,other_config list Bridge \
             -- --columns=_uuid,name,tag,trunks,vlan_mode,cvlans,other_config list Port \
             -- --columns=name,type,ofport,mtu_request,options list Interface \
             -- get Open_vSwitch . other_config");
        let [bridges, ports, interfaces, global] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
        let [bridges, ports, interfaces] = [bridges, ports, interfaces].map(rows);
        let flows = bridges.iter().map(|bridge| bridge["name"].as_str().unwrap().to_owned());
        let flows = flows.map(|name| (name.clone(), listing(&name))).collect();
        let mut bridges: Vec<Value> =
            bridges.into_iter().map(|bridge| with_ports(bridge, &ports, &interfaces)).collect();
        sort(&mut bridges);
        Self { database: json!({ "open_vswitch_other_config": global, "bridges": bridges }), flows }
    }

    /// The recorded state of a case.
    pub fn recorded(folder: &Path) -> Self {
        let database = std::fs::read_to_string(folder.join("ovs.json")).expect("ovs.json");
        let mut flows: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut bridge = String::new();
        for line in std::fs::read_to_string(folder.join("ovs-flows.txt")).expect("ovs-flows.txt").lines() {
            match line.strip_prefix("# ") {
                Some(name) => {
                    bridge = name.to_owned();
                    flows.insert(bridge.clone(), Vec::new());
                }
                None => flows.get_mut(&bridge).expect("a bridge").push(line.trim().to_owned()),
            }
        }
        flows.values_mut().for_each(|flows| flows.sort());
        Self { database: serde_json::from_str(&database).unwrap(), flows }
    }

    /// One port of a bridge.
    pub fn port(&self, name: &str) -> &Value {
        let bridges = self.database["bridges"].as_array().unwrap().iter();
        let mut ports = bridges.flat_map(|bridge| bridge["ports"].as_array().unwrap());
        ports.find(|port| port["name"] == name).unwrap_or_else(|| panic!("no port {name}: {self:#?}"))
    }
}

fn listing(bridge: &str) -> Vec<String> {
    let listing = sh(&format!("ovs-ofctl --timeout=20 --no-names --no-stats dump-flows {bridge}"));
    let mut flows: Vec<String> = listing.lines().map(|line| line.trim().to_owned()).collect();
    flows.sort();
    flows
}

/// Rows of a table, their values as plain JSON.
fn rows(listing: &str) -> Vec<Map<String, Value>> {
    let table: Value = serde_json::from_str(listing).unwrap();
    let headings: Vec<String> = serde_json::from_value(table["headings"].clone()).unwrap();
    let row = |row: &Value| headings.iter().cloned().zip(row.as_array().unwrap().iter().map(plain)).collect();
    table["data"].as_array().unwrap().iter().map(row).collect()
}

fn plain(value: &Value) -> Value {
    match value.as_array().map(Vec::as_slice) {
        Some([kind, values]) if kind == "set" => values.as_array().unwrap().iter().map(plain).collect(),
        Some([kind, id]) if kind == "uuid" => id.clone(),
        Some([kind, pairs]) if kind == "map" => {
            let pairs = pairs.as_array().unwrap().iter();
            pairs.map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].clone())).collect::<Map<_, _>>().into()
        }
        _ => value.clone(),
    }
}

fn sort(values: &mut [Value]) {
    values.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
}

fn with_ports(
    mut bridge: Map<String, Value>,
    ports: &[Map<String, Value>],
    interfaces: &[Map<String, Value>],
) -> Value {
    let ids = match &bridge["ports"] {
        Value::Array(ids) => ids.clone(),
        one => vec![one.clone()],
    };
    let mut own: Vec<Value> = Vec::new();
    for port in ports.iter().filter(|port| ids.contains(&port["_uuid"])) {
        let mut port = port.clone();
        port.remove("_uuid");
        let interface = interfaces.iter().find(|it| it["name"] == port["name"]).cloned().unwrap_or_default();
        port.insert("interface".into(), interface.into());
        own.push(port.into());
    }
    sort(&mut own);
    bridge.insert("ports".into(), own.into());
    bridge.into()
}
