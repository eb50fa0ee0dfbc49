//! What an interface's port does with VLANs.

use remotes_sdk::Failure;
use remotes_sdk::network::Nic;
use remotes_sdk::openvswitch::{Column, Ethertype, VlanMode};

use crate::settings::Settings;
use crate::vlans::list;

/// Values of a network that its ports' VLANs depend on.
pub const VLANS: [&str; 4] = ["VLAN_ID", "VLAN_TAGGED_ID", "CVLANS", "QINQ_TYPE"];

fn vlan(nic: &Nic) -> Result<Option<u16>, Failure> {
    let Some(given) = nic.vlan_id.as_deref() else { return Ok(None) };
    let id = given.trim().parse().ok().filter(|id| *id < 4096);
    id.map(Some)
        .ok_or_else(|| Failure::invalid(format!("NIC {}: VLAN_ID is {given:?}, expected a VLAN up to 4095", nic.id)))
}

fn ethertype(nic: &Nic) -> Result<Ethertype, Failure> {
    match nic.qinq_type.as_deref().map(str::trim) {
        None => Ok(Ethertype::Dot1q),
        Some(given) if given.eq_ignore_ascii_case("802.1q") => Ok(Ethertype::Dot1q),
        Some(given) if given.eq_ignore_ascii_case("802.1ad") => Ok(Ethertype::Dot1ad),
        Some(given) => {
            Err(Failure::invalid(format!("NIC {}: QINQ_TYPE is {given:?}, expected 802.1q or 802.1ad", nic.id)))
        }
    }
}

/// Whether packets leave with two tags: the network's around the customer's.
pub fn is_tunnelled(nic: &Nic) -> bool {
    nic.vlan_id.is_some() && nic.cvlans.is_some()
}

/// The columns of a port that is new.
pub fn columns(nic: &Nic, settings: &Settings) -> Result<Vec<Column>, Failure> {
    let mut columns: Vec<Column> = nic.mtu()?.map(|mtu| Column::Mtu(Some(mtu))).into_iter().collect();
    columns.extend(of_vlans(nic, settings)?);
    Ok(columns)
}

/// The columns of a new port that concern VLANs.
pub fn of_vlans(nic: &Nic, settings: &Settings) -> Result<Vec<Column>, Failure> {
    let (vlan, inner) = (vlan(nic)?, list(nic, "CVLANS", nic.cvlans.as_deref())?);
    let trunks = list(nic, "VLAN_TAGGED_ID", nic.vlan_tagged_id.as_deref())?;
    let mut columns = Vec::new();
    if vlan.is_some() {
        columns.push(Column::Tag(vlan));
    }
    if is_tunnelled(nic) {
        columns.extend([
            Column::VlanMode(Some(VlanMode::Dot1qTunnel)),
            Column::Cvlans(inner),
            Column::QinqEthertype(Some(ethertype(nic)?)),
        ]);
    }
    let mode = match vlan {
        _ if nic.cvlans.is_some() => None,
        None => Some(VlanMode::Trunk),
        // Without a list, a native VLAN lets all others pass as well.
        Some(_) if trunks.is_empty() && settings.is_asked_for(nic, "ovs_vlan_access")? => Some(VlanMode::Access),
        Some(_) => Some(VlanMode::NativeUntagged),
    };
    columns.push(Column::Trunks(trunks));
    columns.extend(mode.map(|mode| Column::VlanMode(Some(mode))));
    Ok(columns)
}

/// The columns of a port whose network had other VLANs before: also what is no longer there is said.
pub fn changed(nic: &Nic, settings: &Settings) -> Result<Vec<Column>, Failure> {
    let mut columns = of_vlans(nic, settings)?;
    if nic.vlan_id.is_none() {
        columns.push(Column::Tag(None));
    }
    if !is_tunnelled(nic) {
        columns.extend([Column::Cvlans(Vec::new()), Column::QinqEthertype(None)]);
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use remotes_sdk::testing::{Host, Simulation};

    use super::*;

    fn ask(nic: &Nic, of: fn(&Nic, &Settings) -> Result<Vec<Column>, Failure>) -> Result<Vec<Column>, Failure> {
        let host = Host::new(Simulation::new(), "schema = 1\nconfiguration = [\"vnm/OpenNebulaNetwork.conf\"]");
        host.call(|| of(nic, &Settings::default())).result.unwrap()
    }

    fn nic(vlan: &str, tagged: &str, inner: &str) -> Nic {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Nic { vlan_id: given(vlan), vlan_tagged_id: given(tagged), cvlans: given(inner), ..Nic::default() }
    }

    #[test]
    fn ports_by_what_the_network_says() {
        use Column as C;
        let mode = |mode| C::VlanMode(Some(mode));
        assert_eq!(ask(&nic("", "", ""), columns).unwrap(), [C::Trunks(vec![]), mode(VlanMode::Trunk)]);
        assert_eq!(
            ask(&nic("42", "", ""), columns).unwrap(),
            [C::Tag(Some(42)), C::Trunks(vec![]), mode(VlanMode::NativeUntagged)]
        );
        assert_eq!(
            ask(&nic("42", "10,20-22", ""), columns).unwrap(),
            [C::Tag(Some(42)), C::Trunks(vec![10, 20, 21, 22]), mode(VlanMode::NativeUntagged)]
        );
        assert!(ask(&nic("", "10,5-11,10", ""), columns).unwrap().contains(&C::Trunks(vec![10, 5, 6, 7, 8, 9, 11])));
        assert_eq!(
            ask(&nic("42", "", "5-6"), columns).unwrap(),
            [
                C::Tag(Some(42)),
                mode(VlanMode::Dot1qTunnel),
                C::Cvlans(vec![5, 6]),
                C::QinqEthertype(Some(Ethertype::Dot1q)),
                C::Trunks(vec![])
            ]
        );
        // Without a VLAN around them there is no tunnel.
        assert_eq!(ask(&nic("", "", "5-6"), columns).unwrap(), [C::Trunks(vec![])]);
        let changed = ask(&nic("", "", ""), changed).unwrap();
        assert!(changed.contains(&C::Tag(None)) && changed.contains(&C::Cvlans(vec![])), "{changed:?}");
        assert!(changed.contains(&C::QinqEthertype(None)));
    }

    #[test]
    fn access_ports_where_the_network_asks_for_them() {
        let strict = |nic: Nic| Nic { conf: Some("ovs_vlan_access=yes".into()), ..nic };
        let has = |nic: Nic, mode| ask(&strict(nic), columns).unwrap().contains(&Column::VlanMode(Some(mode)));
        assert!(has(nic("42", "", ""), VlanMode::Access));
        assert!(has(nic("42", "10", ""), VlanMode::NativeUntagged));
        assert!(has(nic("", "", ""), VlanMode::Trunk));
    }

    #[test]
    fn a_list_that_is_none_does_not_stand_for_all_vlans() {
        for bad in
            [nic("42", "none", ""), nic("42", "", "1-x"), nic("4096", "", ""), nic("x", "", ""), nic("", "5000", "")]
        {
            assert!(ask(&bad, columns).is_err(), "{bad:?}");
        }
        let odd = Nic { qinq_type: Some("802.1x".into()), ..nic("42", "", "5") };
        assert!(ask(&odd, columns).is_err());
    }
}
