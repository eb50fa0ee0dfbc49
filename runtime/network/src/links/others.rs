//! Links that are somebody else's by what they are now: a name may be granted, and the link a port of a bridge that
//! is not.

use remotes_effect::Effect;
use remotes_effect::links::Effect as OnLinks;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;

use super::look;

/// What the kernel's switch of Open vSwitch holds its ports by. Which bridge they are on it does not say, and a bridge of
/// the kernel's cannot take them.
const SWITCH: &str = "openvswitch";

/// Refuses an effect that changes a port of a bridge, bond or the like that the policy does not grant.
pub fn check(effect: &Effect, policy: &Policy) -> Result<(), Failure> {
    let Effect::Links(on_links) = effect else { return Ok(()) };
    match on_links {
        OnLinks::SetMaster { name, .. } | OnLinks::Remove { name } | OnLinks::SetMtu { name, .. } => one(name, policy),
        OnLinks::RemoveVlans { port, .. } => one(port, policy),
        OnLinks::AddVlans { vlans } => vlans.iter().try_for_each(|vlan| one(&vlan.port, policy)),
        _ => Ok(()),
    }
}

fn one(name: &str, policy: &Policy) -> Result<(), Failure> {
    let Some(master) = look::link(name)?.and_then(|link| link.master) else { return Ok(()) };
    let granted = policy.links.as_ref().map(|grant| grant.bridges.as_slice()).unwrap_or_default();
    if granted.iter().any(|pattern| pattern.matches(&master)) {
        return Ok(());
    }
    if look::link(&master)?.is_some_and(|link| link.kind == SWITCH) {
        return Ok(());
    }
    Err(Failure::denied(format!(
        "link {name}: belongs to {master}, which is no bridge of the driver's: release it from there first, or have \
         `bridges` under [links] in the driver's policy allow {master}"
    )))
}
