//! A host for drivers.

use std::cell::RefCell;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use remotes_effect::deadline::Deadline;
use remotes_effect::libvirt::State;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_effect::vnm::{Call, Reply};
use remotes_effect::{Answer, Effect, Executor, links};
use remotes_host::{Machine, Surroundings};
use remotes_simulation::{Network, Simulation};
use remotes_test_support::dist;
use tempfile::TempDir;

use crate::{By, Sudo, daemon_calls, install_stand_ins};

/// A remotes tree, this machine's network as the thread sees it, and a hypervisor: a simulated one, or
/// libvirt's test driver.
pub struct Grounds {
    tree: TempDir,
    locks: Arc<TempDir>,
    shared_locks: Option<PathBuf>,
    sudo: Option<Sudo>,
    hypervisor: Simulation,
    test_driver: bool,
    stop_before: Option<u64>,
    simulated_links: bool,
}

/// What came of a call.
#[derive(Debug)]
pub struct Outcome {
    /// none where it was stopped
    pub result: Option<Result<String, Failure>>,
    /// lines that the driver logged
    pub log: Vec<String>,
    /// how many effects it asked for
    pub effects: u64,
    /// changes of links that happened, in their order
    pub links: Vec<links::Effect>,
}

impl Default for Grounds {
    fn default() -> Self {
        let grounds = Self {
            tree: tempfile::tempdir().unwrap(),
            locks: Arc::new(tempfile::tempdir().unwrap()),
            shared_locks: None,
            sudo: None,
            hypervisor: Simulation::new(),
            test_driver: false,
            stop_before: None,
            simulated_links: false,
        };
        std::fs::create_dir_all(grounds.tree.path().join("etc/vnm")).unwrap();
        grounds
    }
}

impl Grounds {
    /// A host whose network is changed by this way.
    pub fn by(by: By) -> Self {
        let sudo = match by {
            By::Own => None,
            By::Server => Some(Sudo::default().with_server()),
            By::Stock => Some(Sudo::default()),
        };
        Self { sudo, ..Self::default() }
    }

    /// The network is changed by this sudo.
    pub fn set_sudo(&mut self, sudo: Sudo) {
        sudo.serve_tree(self.tree.path());
        self.sudo = Some(sudo);
    }

    /// The host's sudo, where it has one.
    pub fn sudo(&self) -> Option<&Sudo> {
        self.sudo.as_ref()
    }

    /// Another tree on the same host: its drivers wait for the locks of this one's.
    pub fn beside(&self) -> Self {
        Self { locks: self.locks.clone(), sudo: self.sudo.clone(), ..Self::default() }
    }

    /// Locks are those of other processes in this folder.
    pub fn share(&mut self, locks: &Path) {
        self.shared_locks = Some(locks.to_owned());
    }

    fn locks(&self) -> PathBuf {
        self.shared_locks.clone().unwrap_or_else(|| self.locks.path().to_owned())
    }

    /// Writes OpenNebulaNetwork.conf.
    pub fn configuration(&self, text: &str) {
        std::fs::write(self.tree.path().join("etc/vnm/OpenNebulaNetwork.conf"), text).unwrap();
    }

    /// Puts a program beside an action: `post.d/10-a`.
    pub fn hook(&self, driver: &str, path: &str, text: &str) {
        let path = self.tree.path().join("vnm").join(driver).join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The folder of the tree's programs for networks.
    pub fn scripts(&self) -> PathBuf {
        self.tree.path().join("vnm")
    }

    /// Puts stand-ins for OpenNebula's programs where they belong.
    pub fn with_proxies(self) -> Self {
        install_stand_ins(&self.scripts());
        if let Some(sudo) = &self.sudo {
            sudo.serve_tree(self.tree.path());
            sudo.with_proxy_daemon();
        }
        self
    }

    /// How the daemon of transparent proxies was called, by whichever way.
    pub fn daemon_calls(&self) -> Vec<String> {
        let beside = self.sudo.iter().flat_map(|sudo| daemon_calls(sudo.folder()));
        daemon_calls(&self.scripts()).into_iter().chain(beside).collect()
    }

    /// Adds a running domain.
    pub fn domain(&mut self, xml: &str) {
        self.hypervisor = std::mem::take(&mut self.hypervisor).domain(xml, State::Running);
    }

    /// Has libvirt's test driver, with this file ([`crate::node`]), be the hypervisor, behind the server that
    /// comes with the runtime.
    pub fn node(&mut self, text: &str) {
        let (file, kvmrc) = (self.tree.path().join("node.xml"), self.tree.path().join("etc/vmm/kvm/kvmrc"));
        std::fs::write(&file, text).unwrap();
        std::fs::create_dir_all(kvmrc.parent().unwrap()).unwrap();
        std::fs::write(kvmrc, format!("export LIBVIRT_URI=test://{}\n", file.display())).unwrap();
        self.test_driver = true;
    }

    /// Has links simulated, for kinds of them that this kernel does not have.
    pub fn simulate_links(&mut self, network: Network) {
        self.hypervisor.here.network = network;
        self.simulated_links = true;
    }

    /// The simulated links.
    pub fn simulated(&mut self) -> &mut Network {
        &mut self.hypervisor.here.network
    }

    /// That nobody holds a lock.
    ///
    /// # Panics
    /// When somebody does.
    pub fn assert_unlocked(&self) {
        let folders = [Some(self.locks()), self.sudo.as_ref().map(|sudo| sudo.folder().to_owned())];
        for entry in folders.iter().flatten().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
            let path = entry.unwrap().path();
            if path.to_string_lossy().ends_with("-lock") {
                sh(&format!("flock --nonblock {:?} true", path.to_str().unwrap()));
            }
        }
    }

    /// Ends the next call, as `kill -9` would, before this effect, counted from 0.
    pub fn stop_before(&mut self, effect: u64) {
        self.stop_before = Some(effect);
    }

    /// Calls a driver.
    pub fn call(&mut self, driver: &str, call: Call) -> Outcome {
        let policy = Arc::new(Policy::parse(policy(driver), Path::new("policy.toml")).unwrap());
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = log.clone();
        let machine = Machine::new(Surroundings {
            policy: policy.clone(),
            tree: self.tree.path().to_owned(),
            deadline: Deadline::after(Duration::from_secs(120)),
            libvirt_server: match self.test_driver {
                true => dist().join("bin/remotes-libvirt"),
                false => "/nonexistent".into(),
            },
            log: Box::new(move |level, text| lines.lock().unwrap().push(format!("{level:?}: {text}"))),
        })
        .with_actions(self.tree.path().join("vnm").join(driver))
        .with_lock_directory(self.locks());
        let machine = match &self.sudo {
            Some(sudo) => machine.with_ways(sudo.ways()),
            None => machine,
        };
        let hypervisor = std::mem::take(&mut self.hypervisor);
        let host = Host {
            policy,
            machine,
            hypervisor,
            test_driver: self.test_driver,
            effects: 0,
            stop_before: self.stop_before.take(),
            simulated_links: self.simulated_links,
            links: Vec::new(),
        };
        let host = Rc::new(RefCell::new(host));
        let driver = driver.to_owned();
        let called = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            remotes_sdk::native::with(&host, || dispatch(&driver, call))
        }));
        let result = match called {
            Ok(reply) => Some(text(reply)),
            Err(panic) if panic.is::<Stopped>() => None,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        let mut host = host.borrow_mut();
        self.hypervisor = std::mem::take(&mut host.hypervisor);
        let log = log.lock().unwrap().clone();
        let refused = self.sudo.as_ref().map(Sudo::refused).unwrap_or_default();
        assert_eq!(refused, "", "sudo was asked what the stock rules do not allow");
        Outcome { result, log, effects: host.effects, links: std::mem::take(&mut host.links) }
    }
}

/// What unwinds a driver that is stopped in mid-action.
struct Stopped;

struct Host {
    policy: Arc<Policy>,
    machine: Machine,
    hypervisor: Simulation,
    test_driver: bool,
    effects: u64,
    stop_before: Option<u64>,
    simulated_links: bool,
    links: Vec<links::Effect>,
}

impl Executor for Host {
    fn execute(&mut self, effect: &Effect) -> Answer {
        if self.stop_before == Some(self.effects) {
            std::panic::resume_unwind(Box::new(Stopped));
        }
        self.effects += 1;
        if let Err(failure) = self.policy.check(effect) {
            return effect.refuse(failure).expect("an effect that can be refused");
        }
        let answer = match effect {
            Effect::Libvirt(_) if !self.test_driver => self.hypervisor.execute(effect),
            Effect::Links(_) if self.simulated_links => self.hypervisor.execute(effect),
            effect => self.machine.execute(effect),
        };
        let in_vain = matches!(
            &answer,
            Answer::Links(
                links::Answer::RemoveUnusedBridge(Ok(false))
                    | links::Answer::MakeBridge(Ok(false))
                    | links::Answer::MakeVlan(Ok(false))
            )
        );
        if let Effect::Links(change) = effect
            && effect.changes()
            && answer.failure().is_none()
            && !in_vain
        {
            self.links.push(change.clone());
        }
        answer
    }
}

fn policy(driver: &str) -> &'static str {
    match driver {
        "dummy" => include_str!("../../../guests/vnm-dummy/policy.toml"),
        "bridge" => include_str!("../../../guests/vnm-bridge/policy.toml"),
        "fw" => include_str!("../../../guests/vnm-fw/policy.toml"),
        "vxlan" => include_str!("../../../guests/vnm-vxlan/policy.toml"),
        "802.1Q" => include_str!("../../../guests/vnm-802-1q/policy.toml"),
        "nodeport" => include_str!("../../../guests/vnm-nodeport/policy.toml"),
        "ovswitch" => include_str!("../../../guests/vnm-ovswitch/policy.toml"),
        "ovswitch_vxlan" => include_str!("../../../guests/vnm-ovswitch-vxlan/policy.toml"),
        "elastic" => include_str!("../../../guests/vnm-elastic/policy.toml"),
        other => panic!("no driver {other}"),
    }
}

fn dispatch(driver: &str, call: Call) -> Reply {
    match driver {
        "dummy" => remotes_sdk::call_vnm::<vnm_dummy::Dummy>(call),
        "bridge" => remotes_sdk::call_vnm::<vnm_bridge::Bridge>(call),
        "fw" => remotes_sdk::call_vnm::<vnm_fw::Fw>(call),
        "vxlan" => remotes_sdk::call_vnm::<vnm_vxlan::Vxlan>(call),
        "802.1Q" => remotes_sdk::call_vnm::<vnm_802_1q::Vlan>(call),
        "nodeport" => remotes_sdk::call_vnm::<vnm_nodeport::Nodeport>(call),
        "ovswitch" => remotes_sdk::call_vnm::<vnm_ovswitch::Ovswitch>(call),
        "ovswitch_vxlan" => remotes_sdk::call_vnm::<vnm_ovswitch_vxlan::OvswitchVxlan>(call),
        "elastic" => remotes_sdk::call_vnm::<vnm_elastic::Elastic>(call),
        other => panic!("no driver {other}"),
    }
}

fn text(reply: Reply) -> Result<String, Failure> {
    match reply {
        Reply::Pre(result)
        | Reply::Post(result)
        | Reply::Clean(result)
        | Reply::UpdateSg(result)
        | Reply::UpdateNic(result)
        | Reply::VnetCreate(result)
        | Reply::VnetDelete(result)
        | Reply::RemotePost(result)
        | Reply::RemoteClean(result) => result,
        Reply::Actions(actions) => Ok(actions.join("\n")),
    }
}

/// Runs a command line of a test, in the thread's namespace, and returns what it prints.
///
/// # Panics
/// When it fails.
pub fn sh(line: &str) -> String {
    let output = Command::new("sh").arg("-c").arg(line).output().expect("sh");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
