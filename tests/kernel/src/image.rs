//! What the machine has in its memory: a remotes tree, the tools that the runtime calls, modules, cases.

use std::path::Path;

use remotes_test_support::linux::{Archive, Kernel, libraries, program};

/// Modules for links, for rules, and for Open vSwitch. The kernel asks for none by itself here.
const MODULES: [&str; 23] = [
    "tun",
    "veth",
    "dummy",
    "8021q",
    "bridge",
    "br_netfilter",
    "vxlan",
    "openvswitch",
    "nf_tables",
    "nft_compat",
    "nft_meta_bridge",
    "nft_chain_nat",
    "ip_tables",
    "ip6_tables",
    "ip_set_hash_ip",
    "ip_set_hash_net",
    "ip_set_hash_netport",
    "xt_set",
    "xt_physdev",
    "xt_multiport",
    "xt_mac",
    "xt_conntrack",
    "xt_nat",
];

/// More modules, which iptables knows by targets.
const TARGETS: [&str; 2] = ["xt_MASQUERADE", "xt_tcpudp"];

/// Programs that the runtime or a case calls, and those by which tests start daemons and other machines.
const PROGRAMS: [&str; 12] = [
    "/bin/sh",
    "/bin/cat",
    "/bin/sed",
    "/bin/sleep",
    "/sbin/ip",
    "/sbin/bridge",
    "/sbin/ipset",
    "/sbin/sysctl",
    "/usr/bin/setpriv",
    "/usr/bin/tee",
    "/usr/bin/unshare",
    "/usr/sbin/nft",
];

/// Those of Open vSwitch.
const SWITCH: [&str; 7] = [
    "/usr/bin/ovsdb-tool",
    "/usr/bin/ovs-vsctl",
    "/usr/bin/ovs-ofctl",
    "/usr/bin/ovs-appctl",
    "/usr/bin/ovs-dpctl",
    "/usr/sbin/ovsdb-server",
    "/usr/sbin/ovs-vswitchd",
];

/// What its database is made of.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// Names under which iptables is called.
const IPTABLES: [&str; 6] =
    ["iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"];

/// A file system with this program alone, as the first process.
pub fn bare(init: &Path) -> Vec<u8> {
    let mut image = Archive::default();
    for name in ["lib", "lib64"] {
        image.link(&Path::new("/").join(name), &format!("usr/{name}"));
    }
    libraries(&mut image, init);
    image.copy(init, Path::new("/init"));
    image.finish()
}

/// The file system with this program as the first process, and this tree at `/var/tmp/one`. Cases are in
/// `/golden`, modules in `/modules` by the order in which they are to be loaded.
pub fn image(kernel: &Kernel, init: &Path, tree: &Path, golden: &Path) -> Vec<u8> {
    let mut image = Archive::default();
    for folder in ["/proc", "/sys", "/dev", "/run", "/root", "/etc"] {
        image.directory(Path::new(folder));
    }
    image.file(Path::new("/tmp/.keep"), b"", 0o644);
    for name in ["bin", "sbin", "lib", "lib64"] {
        image.link(&Path::new("/").join(name), &format!("usr/{name}"));
    }
    image.link(Path::new("/var/run"), "/run");
    image.copy(Path::new("/etc/protocols"), Path::new("/etc/protocols"));
    // Without them, programs of Open vSwitch complain.
    for name in ["resolv.conf", "hosts"] {
        image.file(&Path::new("/etc").join(name), b"", 0o644);
    }
    libraries(&mut image, init);
    image.copy(init, Path::new("/init"));
    let names: Vec<&str> = MODULES.into_iter().chain(TARGETS).collect();
    for (number, path) in kernel.modules(&names).iter().enumerate() {
        image.copy(path, Path::new(&format!("/modules/{number:03}")));
    }
    PROGRAMS.iter().chain(&SWITCH).for_each(|path| program(&mut image, Path::new(path)));
    image.copy(Path::new(SCHEMA), Path::new(SCHEMA));
    iptables(&mut image);
    for name in ["remotes-action", "remotes-libvirt"] {
        libraries(&mut image, &tree.join("bin").join(name));
    }
    image.copy_all(tree, Path::new("/var/tmp/one"));
    image.copy_all(golden, Path::new("/golden"));
    image.finish()
}

/// iptables with its extensions, which it loads by name.
fn iptables(image: &mut Archive) {
    let path = Path::new("/usr/sbin/xtables-nft-multi");
    program(image, path);
    IPTABLES.iter().for_each(|name| image.link(&Path::new("/usr/sbin").join(name), "xtables-nft-multi"));
    for folder in std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path().join("xtables")) {
        if folder.is_dir() {
            image.copy_all(&folder, &folder);
        }
    }
}
