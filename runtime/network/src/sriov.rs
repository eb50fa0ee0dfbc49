//! Virtual functions of network cards: found below `/sys`, set up by `ip` and `ethtool`.

use std::path::{Path, PathBuf};

use remotes_effect::network::{functions, names};
use remotes_effect::sriov::{Executor, Function, Settings};
use remotes_effect::types::Failure;
use remotes_process::report::io_failure;

use super::privileged::Privileged;

/// Where the kernel shows its devices.
const ROOT: &str = "/sys";

/// The executor of `sriov`.
#[derive(Debug, Clone)]
pub struct Sriov {
    privileged: Privileged,
    root: PathBuf,
}

impl Sriov {
    /// By these rights.
    pub fn new(privileged: Privileged) -> Self {
        Self::below(ROOT, privileged)
    }

    /// Devices are looked for below another folder than `/sys`.
    pub fn below(root: impl Into<PathBuf>, privileged: Privileged) -> Self {
        Self { privileged, root: root.into() }
    }

    /// The device with this address. One without a domain must be the only one of its kind.
    fn device(&self, address: &str) -> Result<Option<PathBuf>, Failure> {
        let folder = self.root.join("bus/pci/devices");
        if address.matches(':').count() == 2 {
            return Ok(Some(folder.join(address)).filter(|path| path.exists()));
        }
        let end = format!(":{address}");
        let found: Vec<String> = entries(&folder)?.into_iter().filter(|name| name.ends_with(&end)).collect();
        match &found[..] {
            [] => Ok(None),
            [one] => Ok(Some(folder.join(one))),
            many => Err(Failure::invalid(format!(
                "PCI address {address}: stands for {}; the address has to say which domain",
                many.join(" and ")
            ))),
        }
    }

    fn up(&self, link: &str) -> Result<(), Failure> {
        self.privileged.must("ip", &["link", "set", "dev", link, "up"], &format!("bring {link} up"))?;
        let what = format!("have the card of {link} switch packets");
        self.privileged.must("ethtool", &["-K", link, "hw-tc-offload", "on"], &what).map(drop)
    }
}

/// Names in a folder, sorted; none where there is no folder.
fn entries(folder: &Path) -> Result<Vec<String>, Failure> {
    let listed = match std::fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(io_failure(folder, "look at devices", &error)),
    };
    let mut names: Vec<String> = listed.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// The number of a function: that of the card's link `virtfnN` that leads to it.
fn index(card: &Path, device: &Path) -> Option<u32> {
    let device = std::fs::canonicalize(device).ok()?;
    let links = entries(card).ok()?;
    links
        .iter()
        .filter_map(|name| Some((name, name.strip_prefix("virtfn")?.parse().ok()?)))
        .find_map(|(name, index)| (std::fs::canonicalize(card.join(name)).ok()? == device).then_some(index))
}

/// What the card calls one of its ports: `p0`, `pf0vf3`.
fn port_name(card: &Path, link: &str) -> String {
    let text = std::fs::read_to_string(card.join("net").join(link).join("phys_port_name")).unwrap_or_default();
    text.trim().to_owned()
}

/// The text behind a prefix, and digits.
fn behind<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(prefix)?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    (end > 0).then_some(&rest[end..])
}

fn is_physical(name: &str) -> bool {
    behind(name, "p") == Some("")
}

/// Whether a port is called after a function: `vf3`, or with `pf0vf3` at its end. A card that serves several
/// hosts says in front of that which one: `c1pf0vf3`.
fn is_representor(name: &str, index: u32) -> bool {
    let Some(card) = name.strip_suffix(&format!("vf{index}")) else { return false };
    card.is_empty() || card.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with("pf") && !card.ends_with("pf")
}

impl Executor for Sriov {
    fn find(&mut self, address: &str) -> Result<Option<Function>, Failure> {
        let Some(device) = self.device(functions::address(address)?)? else { return Ok(None) };
        let card = device.join("physfn");
        let (Some(index), links) = (index(&card, &device), entries(&card.join("net"))?) else { return Ok(None) };
        let named: Vec<(&String, String)> = links.iter().map(|link| (link, port_name(&card, link))).collect();
        let physical = match &named[..] {
            [] => return Ok(None),
            [(only, _)] => *only,
            several => match several.iter().find(|(_, name)| is_physical(name)) {
                Some((link, _)) => *link,
                None => {
                    return Err(Failure::unsupported(format!(
                        "virtual function {address}: which of {} is its card's own link cannot be told: none is called p0 or the like",
                        links.join(", ")
                    )));
                }
            },
        };
        let is_its = |(link, name): &&(&String, String)| *link != physical && is_representor(name, index);
        // Of several, the one that is this host's: it has nothing in front.
        let representor = named.iter().filter(is_its).min_by_key(|(_, name)| name.len());
        for link in std::iter::once(physical).chain(representor.map(|(link, _)| *link)) {
            names::link(link)?;
        }
        Ok(Some(Function {
            physical: physical.clone(),
            index,
            representor: representor.map(|(link, _)| (*link).clone()),
        }))
    }

    fn configure(&mut self, function: &Function, settings: &Settings) -> Result<(), Failure> {
        let words = functions::words(function, settings)?;
        if words.is_empty() {
            return Ok(());
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let what = format!("set virtual function {} of {} up", function.index, function.physical);
        self.privileged.must("ip", &words, &what).map(drop)
    }

    fn offload(&mut self, function: &Function) -> Result<(), Failure> {
        for link in std::iter::once(&function.physical).chain(&function.representor) {
            names::link(link)?;
            self.up(link)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use remotes_effect::deadline::Deadline;
    use remotes_effect::types::FailureKind;

    use super::*;

    /// A tree as the kernel's: a card with two functions, its links, and what it calls its ports.
    fn tree(domain: &str, links: &[(&str, Option<&str>)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        add_card(root.path(), domain, links);
        root
    }

    fn add_card(root: &Path, domain: &str, links: &[(&str, Option<&str>)]) {
        let bus = root.join(format!("devices/pci{domain}"));
        let card = bus.join(format!("{domain}:03:00.0"));
        std::fs::create_dir_all(card.join("net")).unwrap();
        std::fs::create_dir_all(root.join("bus/pci/devices")).unwrap();
        for (link, port) in links {
            std::fs::create_dir(card.join("net").join(link)).unwrap();
            if let Some(port) = port {
                std::fs::write(card.join("net").join(link).join("phys_port_name"), format!("{port}\n")).unwrap();
            }
        }
        for name in ["00.0", "10.0", "10.2"] {
            let name = format!("{domain}:03:{name}");
            std::fs::create_dir_all(bus.join(&name)).unwrap();
            symlink(bus.join(&name), root.join("bus/pci/devices").join(&name)).unwrap();
        }
        for (index, name) in [(0, "10.0"), (11, "10.2")] {
            let name = format!("{domain}:03:{name}");
            symlink(format!("../{name}"), card.join(format!("virtfn{index}"))).unwrap();
            symlink(&card, bus.join(&name).join("physfn")).unwrap();
        }
    }

    fn find(root: &Path, address: &str) -> Result<Option<Function>, Failure> {
        Sriov::below(root, Privileged::own(Deadline::after(Duration::from_secs(5)))).find(address)
    }

    #[test]
    fn a_function_is_found_by_its_address() {
        let root = tree("0000", &[("enp3s0", None)]);
        let function = Function { physical: "enp3s0".into(), index: 11, representor: None };
        for address in ["03:10.2", "0000:03:10.2"] {
            assert_eq!(find(root.path(), address).unwrap(), Some(function.clone()), "{address}");
        }
        // The card itself, another address, another domain, no such tree.
        for address in ["03:00.0", "03:10.1", "0001:03:10.2"] {
            assert_eq!(find(root.path(), address).unwrap(), None, "{address}");
        }
        assert_eq!(find(Path::new("/nonexistent"), "03:10.2").unwrap(), None);
        assert!(find(root.path(), "../../devices").is_err());
    }

    #[test]
    fn a_card_that_switches_has_links_for_its_functions() {
        for (card, representor) in [("p0", "pf0vf11"), ("p1", "vf11"), ("p0", "c1pf0vf11")] {
            let root = tree(
                "0000",
                &[
                    ("eth0", Some("pf0vf1")),
                    ("eth1", Some(representor)),
                    ("eth2", Some(card)),
                    ("eth3", Some("pf0vf111")),
                    ("eth4", Some("c10pf0vf11")),
                    ("eth5", Some("pfvf11")),
                ],
            );
            let found = find(root.path(), "03:10.2").unwrap().unwrap();
            assert_eq!((found.physical.as_str(), found.representor.as_deref()), ("eth2", Some("eth1")));
            assert_eq!(find(root.path(), "03:10.0").unwrap().unwrap().representor, None);
        }
        let unnamed = tree("0000", &[("eth0", None), ("eth1", None)]);
        assert_eq!(find(unnamed.path(), "03:10.2").unwrap_err().kind, FailureKind::Unsupported);
    }

    #[test]
    fn two_domains_are_told_apart() {
        let root = tree("0000", &[("enp3s0", None)]);
        add_card(root.path(), "0001", &[("enP1p3s0", None)]);
        assert_eq!(find(root.path(), "03:10.2").unwrap_err().kind, FailureKind::Invalid);
        assert_eq!(find(root.path(), "0001:03:10.2").unwrap().unwrap().physical, "enP1p3s0");
    }
}
