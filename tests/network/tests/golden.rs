//! Every recorded case of the stock drivers, named after it, by each of the ways of changing the network.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_network_tests::{By, Case, isolated};

macro_rules! cases {
    ($($test:ident $name:literal,)*) => {
        mod own {
            use super::*;
            $(#[test] fn $test() { isolated(|| Case::read($name).by(By::Own).replay()); })*
        }
        mod server {
            use super::*;
            $(#[test] fn $test() { isolated(|| Case::read($name).by(By::Server).replay()); })*
        }
        mod stock {
            use super::*;
            $(#[test] fn $test() { isolated(|| Case::read($name).by(By::Stock).replay()); })*
        }

        const REPLAYED: &[&str] = &[$($name,)*];
    };
}

cases! {
    bridge_pre_phydev "01-bridge-pre-phydev",
    bridge_pre_existing "02-bridge-pre-existing",
    bridge_pre_two_bridges_conf "03-bridge-pre-two-bridges-conf",
    bridge_clean_last "04-bridge-clean-last",
    bridge_clean_in_use "05-bridge-clean-in-use",
    bridge_clean_keep_empty "06-bridge-clean-keep-empty",
    fw_pre "08-fw-pre",
    fw_post_no_sg "09-fw-post-no-sg",
    fw_post_default_sg "10-fw-post-default-sg",
    fw_post_out_all_only "11-fw-post-out-all-only",
    fw_post_tcp_udp_ports "12-fw-post-tcp-udp-ports",
    fw_post_icmp "13-fw-post-icmp",
    fw_post_ipsec "14-fw-post-ipsec",
    fw_post_net "15-fw-post-net",
    fw_post_net_icmp "16-fw-post-net-icmp",
    fw_post_network_id "17-fw-post-network-id",
    fw_post_ipv6_net "18-fw-post-ipv6-net",
    fw_post_mac_spoofing "19-fw-post-mac-spoofing",
    fw_post_ip_spoofing "20-fw-post-ip-spoofing",
    fw_post_ip_spoofing_v4_only "21-fw-post-ip-spoofing-v4-only",
    fw_post_two_nics "22-fw-post-two-nics",
    fw_post_alias "23-fw-post-alias",
    fw_attach_alias "24-fw-attach-alias",
    fw_detach_alias "25-fw-detach-alias",
    fw_two_vms_post_second "26-fw-two-vms-post-second",
    fw_two_vms_clean_first "27-fw-two-vms-clean-first",
    fw_clean_last "28-fw-clean-last",
    fw_detach_nic "29-fw-detach-nic",
    fw_attach_nic "30-fw-attach-nic",
    fw_post_twice "31-fw-post-twice",
    fw_update_sg "32-fw-update-sg",
    fw_post_lxc "34-fw-post-lxc",
    vxlan_pre_multicast "35-vxlan-pre-multicast",
    vxlan_pre_evpn_dev "36-vxlan-pre-evpn-dev",
    vxlan_pre_evpn_local "37-vxlan-pre-evpn-local",
    vxlan_pre_net_options "38-vxlan-pre-net-options",
    vxlan_clean_last "39-vxlan-clean-last",
    vxlan_post "40-vxlan-post",
    vxlan_update_nic_vlan "41-vxlan-update-nic-vlan",
    vxlan_update_nic_mtu "42-vxlan-update-nic-mtu",
    nodeport_post "58-nodeport-post",
    nodeport_clean "59-nodeport-clean",
    elastic_remote_post "60-elastic-remote-post",
    dummy_post_hooks "61-dummy-post-hooks",
    fw_post_hooks "62-fw-post-hooks",
}

#[test]
fn names_are_those_of_cases() {
    let names = Case::names();
    for name in REPLAYED {
        assert!(names.iter().any(|other| other == name), "{name}");
    }
}
