//! A network interface that is to be plugged in.

use remotes_sdk::vm::Action;
use remotes_sdk::xml::{Element, Tag};
use remotes_sdk::{Failure, settings};

use super::live;

/// Where Open vSwitch with DPDK has its sockets.
const SOCKETS: &str = "/var/run/one/vhost-socks";

/// `<interface>`
pub fn tag(nic: Element<'_, '_>, action: &Action<'_>) -> Result<Tag, Failure> {
    let or_default = |key: &str, default| match nic.text(key) {
        Some(value) => Ok(Some(value.to_owned())),
        None => settings::text(default),
    };
    let element = |key, name, attribute| nic.text(key).map(|value| Tag::new(name).with(attribute, value));
    let model = or_default("MODEL", "DEFAULT_ATTACH_NIC_MODEL")?;
    let queues = nic.text("VIRTIO_QUEUES").filter(|_| model.as_deref() == Some("virtio")).map(|queues| match queues {
        "auto" => action.template("VCPU").unwrap_or("1"),
        _ => queues,
    });
    let filter = or_default("FILTER", "DEFAULT_ATTACH_NIC_FILTER")?;
    Ok(link(nic)
        .children(element("MAC", "mac", "address"))
        .children(element("SCRIPT", "script", "path"))
        .children(element("TARGET", "target", "dev"))
        .children(element("ORDER", "boot", "order"))
        .children(model.map(|model| Tag::new("model").with("type", model)))
        .children(queues.map(|queues| Tag::new("driver").with("name", "vhost").with("queues", queues)))
        .children(filter.and_then(|filter| filterref(nic, &filter)))
        .children(bandwidth(nic)))
}

/// Whether an interface of the running domain is the one that this description makes: its address alone says
/// nothing of where it is connected.
pub fn is_same(wanted: Element<'_, '_>, device: Element<'_, '_>) -> bool {
    let of = |element: Element<'_, '_>, child: &str, name: &str| {
        element.first(child).and_then(|child| child.attribute(name)).map(str::to_owned)
    };
    let same = |child: &str, name: &str| {
        let value = of(wanted, child, name);
        value.is_none() || value == of(device, child, name)
    };
    // That of a socket is named by the switch.
    let named = wanted.attribute("type") == Some("vhostuser") || same("target", "dev");
    wanted.attribute("type") == device.attribute("type")
        && of(wanted, "mac", "address").is_some_and(|mac| live::has_mac(device, &mac))
        && ["bridge", "path"].into_iter().all(|name| same("source", name))
        && named
}

/// What the interface is connected to.
fn link(nic: Element<'_, '_>) -> Tag {
    let dummy = nic.text("NETWORK_MODE").is_some_and(|mode| mode.eq_ignore_ascii_case("dummy"));
    let interface = |kind| Tag::new("interface").with("type", kind);
    let Some(bridge) = nic.text("BRIDGE").filter(|_| !dummy) else { return interface("ethernet") };
    let source = Tag::new("source").with("bridge", bridge);
    match nic.text("BRIDGE_TYPE") {
        Some("openvswitch") => {
            interface("bridge").child(Tag::new("virtualport").with("type", "openvswitch")).child(source)
        }
        Some("openvswitch_dpdk") => {
            let socket = format!("{SOCKETS}/{}", nic.text("TARGET").unwrap_or_default());
            interface("vhostuser")
                .child(Tag::new("source").with("type", "unix").with("mode", "server").with("path", socket))
        }
        _ => interface("bridge").child(source),
    }
}

/// A filter is of use only where there is an address to hold the guest to. One that is there and empty is none that
/// the guest may use.
fn filterref(nic: Element<'_, '_>, filter: &str) -> Option<Tag> {
    let address = |key| nic.text(key).map(|ip| Tag::new("parameter").with("name", "IP").with("value", ip));
    nic.first("IP")?;
    Some(Tag::new("filterref").with("filter", filter).children(address("IP")).children(address("VROUTER_IP")))
}

fn bandwidth(nic: Element<'_, '_>) -> Option<Tag> {
    let direction = |name, key: &str| {
        let value = |suffix: &str| nic.text(&format!("{key}_{suffix}"));
        let (average, peak, burst) = (value("AVG_BW"), value("PEAK_BW"), value("PEAK_KB"));
        let any = average.or(peak).or(burst).is_some();
        any.then(|| Tag::new(name).with_some("average", average).with_some("peak", peak).with_some("burst", burst))
    };
    let (inbound, outbound) = (direction("inbound", "INBOUND"), direction("outbound", "OUTBOUND"));
    (inbound.is_some() || outbound.is_some()).then(|| Tag::new("bandwidth").children(inbound).children(outbound))
}
