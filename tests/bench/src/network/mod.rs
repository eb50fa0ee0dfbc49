//! Network actions through their stubs, against the same by hand, in a network namespace of their own.

mod crowd;
mod machine;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::measure::median;
use crate::measure::step::{Step, time};
use crate::scene::Scene;
use crate::{Options, Row};

use machine::Vm;

/// Groups of rules on the machine that is measured, and rules in each of them.
const GROUPS: u32 = 3;
const RULES: u32 = 20;

/// All rows; none where there are no namespaces to measure in.
pub fn rows(scene: &Scene, options: &Options) -> Result<Vec<Row>> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: network actions are measured in a network namespace, which needs root");
        return Ok(Vec::new());
    }
    std::thread::scope(|scope| {
        let measured = scope.spawn(|| {
            isolate()?;
            let host = Host::new(scene, options)?;
            let mut rows = vec![host.fw()?, host.vxlan()?];
            rows.extend(host.stock()?);
            rows.extend(crowd::rows(&host)?);
            Ok(rows)
        });
        measured.join().unwrap_or_else(|_| bail!("the measuring thread ended early"))
    })
}

/// Gives this thread a network of its own, which it also sees below `/sys`: the stock scripts look there.
fn isolate() -> Result<()> {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).context("a network namespace")?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).context("/")?;
    mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), None::<&str>).context("/sys")
}

/// The host, and how actions are called on it.
pub struct Host<'a> {
    scene: &'a Scene,
    folder: PathBuf,
    runs: usize,
}

impl<'a> Host<'a> {
    fn new(scene: &'a Scene, options: &Options) -> Result<Self> {
        let folder = scene.path("network");
        std::fs::create_dir_all(&folder)?;
        run("ip link add eth1 mtu 9000 type veth peer name eth1peer")?;
        run("ip link set eth1 up")?;
        Ok(Self { scene, folder, runs: (options.runs / 8).max(3) })
    }

    /// Has libvirt's test driver know this machine, and no other.
    fn knows(&self, vm: &Vm) -> Result<()> {
        let node = self.folder.join("node.xml");
        std::fs::write(&node, format!("<node>{}</node>", vm.domain()))?;
        let kvmrc = self.scene.path("etc/vmm/kvm/kvmrc");
        std::fs::write(kvmrc, format!("LIBVIRT_URI='test://{}'\n", node.display()))?;
        Ok(())
    }

    /// A file with what an action reads.
    fn file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, text)?;
        Ok(path)
    }

    fn action(&self, driver: &str, action: &str, vm: &Path, arguments: &[&str]) -> Step {
        Step::new(self.scene.path("vnm").join(driver).join(action), arguments).reading(vm)
    }

    /// A row for both ways in turn.
    fn compare(&self, what: &'static str, ours: &[Step], theirs: &[Step], most: f64) -> Result<Row> {
        let (mut first, mut second, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..=self.runs {
            let (a, b) = (time(ours)?, time(theirs)?);
            if turn > 0 {
                first.push(a);
                second.push(b);
                ratios.push(a / b);
            }
        }
        let ratio = median(ratios);
        Ok(Row {
            what: what.into(),
            ours: format!("{:.1} ms", median(first)),
            theirs: format!("{:.1} ms", median(second)),
            figure: ratio,
            target: format!("≤ {most} ×"),
            kept: ratio <= most,
        })
    }

    fn fw(&self) -> Result<Row> {
        let vm = Vm::new(7, 1, "fw");
        self.knows(&vm)?;
        run("ip tuntap add dev one-7-0 mode tap")?;
        let document = self.file("fw", &vm.message(GROUPS, RULES))?;
        let ours = [
            self.action("fw", "pre", &document, &[]),
            self.action("fw", "post", &document, &["one-7", "node1"]),
            self.action("fw", "clean", &document, &["node1"]),
        ];
        // By hand it is what the driver leaves, told to the kernel in as few steps as there can be.
        let before = self.saved("before")?;
        time(&ours[..2])?;
        let after = self.saved("after")?;
        time(&ours[2..])?;
        let restore = |states: &[PathBuf; 2]| {
            let [ipv4, ipv6] = states;
            [Step::new("iptables-restore", &[]).reading(ipv4), Step::new("ip6tables-restore", &[]).reading(ipv6)]
        };
        let [set, set6] = restore(&after);
        let [unset, unset6] = restore(&before);
        let theirs = [
            Step::new("ip", &["link", "add", "name", "br7", "up", "type", "bridge"]),
            set,
            set6,
            Step::new("ip", &["link", "delete", "dev", "br7"]),
            unset,
            unset6,
        ];
        self.compare("fw pre, post and clean (3 groups of 20 rules), against the same by hand", &ours, &theirs, 2.0)
    }

    /// The rules of both families as scripts that lead back to them.
    fn saved(&self, name: &str) -> Result<[PathBuf; 2]> {
        let save = |program: &str| -> Result<PathBuf> {
            let output = Command::new(program).args(["-t", "filter"]).output().context(program.to_owned())?;
            self.file(&format!("{name}-{program}"), &String::from_utf8(output.stdout)?)
        };
        // Asking for a table makes it, so that there is something to go back to.
        run("iptables -S")?;
        run("ip6tables -S")?;
        Ok([save("iptables-save")?, save("ip6tables-save")?])
    }

    fn vxlan(&self) -> Result<Row> {
        let vm = Vm::new(8, 1, "vxlan");
        let document = self.file("vxlan", &vm.message(0, 0))?;
        let ours = [self.action("vxlan", "pre", &document, &[]), self.action("vxlan", "clean", &document, &["node1"])];
        let device = "link add name eth1.8 mtu 1500 up type vxlan id 8 group 239.0.0.8 ttl 16 dev eth1";
        let ip = |words: &str| Step::new("ip", &words.split(' ').collect::<Vec<_>>());
        let theirs = [
            ip("link add name br8 up type bridge"),
            ip(device),
            ip("link set dev eth1.8 master br8"),
            ip("link delete dev br8"),
            ip("link delete dev eth1.8"),
        ];
        self.compare("vxlan pre and clean, against the same by hand", &ours, &theirs, 2.0)
    }

    /// Against the stock scripts of the tree that `STOCK_REMOTES` names.
    fn stock(&self) -> Result<Vec<Row>> {
        let Some(stock) = std::env::var_os("STOCK_REMOTES").map(PathBuf::from) else { return Ok(Vec::new()) };
        let vm = Vm::new(7, 1, "fw");
        self.knows(&vm)?;
        let document = self.file("stock", &vm.message(GROUPS, RULES))?;
        // Both find the machine's interface; the stock driver asks virsh for it.
        let programs = self.virsh(&vm)?;
        let theirs = |action: &str, arguments: &[&str]| {
            Step::new(stock.join("vnm/fw").join(action), arguments).reading(&document).finding(&programs)
        };
        let ours = |action: &str, arguments: &[&str]| self.action("fw", action, &document, arguments);
        let clean = [ours("clean", &["node1"])];
        let deployed: &[&str] = &["one-7", "node1"];
        let mut rows = Vec::new();
        for (what, action, arguments, least) in [
            ("fw pre, against the stock script (STOCK_REMOTES)", "pre", &[][..], 20.0),
            ("fw post (3 groups of 20 rules), against the stock script (STOCK_REMOTES)", "post", deployed, 10.0),
        ] {
            let (mut first, mut second, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
            for _ in 0..3 {
                let a = time(&[ours(action, arguments)])?;
                time(&clean)?;
                let b = time(&[theirs(action, arguments)])?;
                time(&clean)?;
                first.push(a);
                second.push(b);
                ratios.push(b / a);
            }
            let figure = median(ratios);
            rows.push(Row {
                what: what.into(),
                ours: format!("{:.1} ms", median(first)),
                theirs: format!("{:.1} ms", median(second)),
                figure,
                target: format!("≥ {least} ×"),
                kept: figure >= least,
            });
        }
        Ok(rows)
    }

    /// A folder with a virsh that knows this machine.
    fn virsh(&self, vm: &Vm) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = self.folder.join("programs");
        std::fs::create_dir_all(&folder)?;
        let domain = self.file("domain.xml", &vm.domain())?;
        let program = folder.join("virsh");
        std::fs::write(&program, format!("#!/bin/sh\nexec cat '{}'\n", domain.display()))?;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
        Ok(folder)
    }
}

/// Runs a command that only prepares.
fn run(line: &str) -> Result<()> {
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default();
    let status = Command::new(program).args(words).stdout(Stdio::null()).status().context(line.to_owned())?;
    if status.success() { Ok(()) } else { bail!("{line}: {status}") }
}
