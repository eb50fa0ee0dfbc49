//! What ports of Open vSwitch do with VLANs.

use remotes_effect::network::switch;
use remotes_effect::openvswitch;
use serde::Serialize;

/// What a port does with VLANs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vlans {
    pub tag: Option<u16>,
    /// none: all
    pub trunks: Vec<u16>,
    /// in the database's words
    pub mode: Option<&'static str>,
    /// inside of a tunnel; none: all
    pub cvlans: Vec<u16>,
}

impl Vlans {
    /// What this port does.
    pub fn of(port: &openvswitch::Port) -> Self {
        Self {
            tag: port.tag,
            trunks: port.trunks.clone(),
            mode: port.vlan_mode.map(switch::mode),
            cvlans: port.cvlans.clone(),
        }
    }

    /// Whether packets of all VLANs pass as they are.
    pub fn are_all(&self) -> bool {
        self.tag.is_none()
            && self.trunks.is_empty()
            && self.cvlans.is_empty()
            && matches!(self.mode, None | Some("trunk"))
    }

    /// `tag 42, trunks 10,20-22, native-untagged`
    pub fn shown(&self) -> String {
        let list = |what: &str, ids: &[u16]| (!ids.is_empty()).then(|| format!("{what} {}", ranges(ids)));
        let says = [
            self.tag.map(|tag| format!("tag {tag}")),
            list("trunks", &self.trunks),
            self.mode.map(str::to_owned),
            list("cvlans", &self.cvlans),
        ];
        match self.are_all() {
            true => "all".to_owned(),
            false => says.into_iter().flatten().collect::<Vec<_>>().join(", "),
        }
    }
}

/// `10,20-22`
fn ranges(ids: &[u16]) -> String {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let runs = ids.chunk_by(|a, b| a.checked_add(1) == Some(*b));
    let shown = runs.filter_map(|run| match (run.first()?, run.last()?) {
        (first, last) if first == last => Some(first.to_string()),
        (first, last) => Some(format!("{first}-{last}")),
    });
    shown.collect::<Vec<_>>().join(",")
}
