//! What a description would take of the host: devices, processor time, memory, libvirtd itself.

use super::*;

#[test]
fn what_belongs_to_the_host_has_to_be_granted() {
    for (device, kind) in [
        ("<disk type='nvme'><source type='pci' namespace='1'><address bus='0x1'/></source></disk>", "pci"),
        ("<disk><backingStore type='nvme'><source type='pci' namespace='1'/></backingStore></disk>", "pci"),
        ("<disk type='block' device='lun'/>", "scsi"),
        ("<disk type='block' rawio='yes'/>", "scsi"),
        ("<disk type='block' sgio='unfiltered'/>", "scsi"),
        ("<interface type='user'/>", "host-network"),
        ("<interface><mac address='02:00:00:00:00:01'/></interface>", "host-network"),
        ("<interface type='server'><source address='0.0.0.0' port='1'/></interface>", "host-network"),
        ("<interface type='client'/>", "host-network"),
        ("<interface type='mcast'/>", "host-network"),
        ("<interface type='udp'/>", "host-network"),
        (
            "<interface type='ethernet'><source><route address='0.0.0.0' gateway='10.0.0.1'/></source></interface>",
            "host-network",
        ),
        ("<interface type='ethernet'><source><ip address='10.0.0.1'/></source></interface>", "host-network"),
        ("<serial type='tcp'><source mode='connect' host='10.0.0.1' service='22'/></serial>", "host-network"),
        ("<rng><backend model='egd' type='udp'><source mode='bind' service='9'/></backend></rng>", "host-network"),
        ("<interface type='hostdev'><driver name='vfio' model='x'/></interface>", "module"),
        ("<hostdev type='pci'><driver name='vfio' model='evil_module'/></hostdev>", "module"),
        ("<tpm><backend type='passthrough'/></tpm>", "tpm"),
        ("<smartcard mode='host'/>", "smartcard"),
        ("<smartcard mode='host-certificates'><certificate>a</certificate></smartcard>", "smartcard"),
        ("<shmem name='x'/>", "shmem"),
        ("<vsock><cid auto='yes'/></vsock>", "vsock"),
        ("<audio id='1' type='alsa'/>", "audio"),
        ("<audio id='1' type='pulseaudio' serverName='10.0.0.1'/>", "audio"),
        ("<graphics type='spice'><gl enable='yes'/></graphics>", "gpu"),
        ("<graphics type='egl-headless'/>", "gpu"),
        ("<video><driver name='vhostuser'/></video>", "gpu"),
        ("<graphics type='sdl'/>", "display"),
        ("<graphics type='dbus' address='unix:path=x'/>", "display"),
        ("<redirdev type='tcp'/>", "redirdev"),
        ("<seclabel type='static'/>", "seclabel"),
        ("<interface type='direct'><source dev='eth0' mode='passthrough'/></interface>", "passthrough"),
        ("<interface type='vhostuser'><backend type='passt'/></interface>", "host-network"),
        ("<interface type='vhostuser'><portForward proto='tcp'/></interface>", "host-network"),
        ("<watchdog model='i6300esb' action='dump'/>", "coredump"),
    ] {
        let mut policy = shipped();
        policy.libvirt.as_mut().unwrap().host_devices.retain(|granted| granted != "pci" || kind == "module");
        let xml = inside(device);
        let of = |policy: &Policy| check_domain_document(policy.libvirt.as_ref().unwrap(), &policy.paths, &xml);
        let failure = of(&policy).expect_err(device);
        assert_eq!(failure.kind, FailureKind::Denied, "{device}: {failure}");
        assert!(failure.message.contains(&format!("{kind:?} in host-devices")), "{device}: {failure}");
        // Granted, it passes: no other rule had a hand in it.
        policy.libvirt.as_mut().unwrap().host_devices.extend([kind.to_owned(), "pci".to_owned()]);
        of(&policy).unwrap_or_else(|failure| panic!("{device}: {failure}"));
    }
}

/// libvirt 9.0 was seen to work at each of these for minutes, or to be ended by it.
#[test]
fn amounts_that_no_machine_has_are_refused() {
    for inner in [
        "<vcpu>4000000000</vcpu>",
        "<vcpu current='1'>100000000</vcpu>",
        "<iothreads>4294967290</iothreads>",
        "<devices><disk type='file'><target dev='hdaaaa'/></disk></devices>",
        "<devices><disk type='file'><target dev='sdaaaaaaaa' bus='scsi'/></disk></devices>",
        "<devices><disk type='file'><address type='drive' controller='100000'/></disk></devices>",
        "<devices><hostdev type='pci'><address type='drive' controller='100000'/></hostdev></devices>",
        "<devices><controller type='pci' index='2000000000' model='pcie-root-port'/></devices>",
        "<devices><controller type='virtio-serial' ports='2000000000'/></devices>",
        "<devices><interface type='bridge'><driver name='vhost' queues='4000000000'/></interface></devices>",
    ] {
        let failure = check(&domain(inner)).expect_err(inner);
        assert_eq!(failure.kind, FailureKind::Invalid, "{inner}: {failure}");
        device(&format!("<domainsnapshot><domain>{inner}</domain></domainsnapshot>")).expect_err(inner);
    }
    for inner in [
        "<vcpu current='1'>4096</vcpu><iothreads> 16 </iothreads>",
        "<devices><interface type='bridge'><acpi index='16383'/></interface></devices>",
        "<clock offset='timezone' timezone='Europe/Paris'/>",
        "<devices><disk type='block'><target dev='xvdzzz12'/><address type='drive' controller='63'/></disk></devices>",
    ] {
        check(&domain(inner)).unwrap_or_else(|failure| panic!("{inner}: {failure}"));
    }
}

/// What goes may name anything, but not any number.
#[test]
fn what_is_detached_is_bounded() {
    let policy = shipped();
    let detach = |xml: &str| {
        let (on, domain) = (remotes_effect::types::Node::Here, "one-7".to_owned());
        let effect =
            remotes_effect::libvirt::Effect::DetachDevice { on, domain, xml: xml.to_owned(), scope: Scope::Live };
        policy.check(&remotes_effect::Effect::Libvirt(effect))
    };
    detach("<disk type='file'><source file='/elsewhere'/></disk>").unwrap();
    detach("<controller type='pci' index='2000000000'/>").unwrap_err();
    detach("<disk").unwrap_err();
}

#[test]
fn machines_do_not_come_before_their_host() {
    for inner in [
        "<cputune><vcpusched vcpus='0' scheduler='fifo' priority='99'/></cputune>",
        "<cputune><emulatorsched scheduler='rr' priority='1'/></cputune>",
        "<memoryBacking><locked/></memoryBacking>",
        "<on_crash>coredump-restart</on_crash>",
        "<on_crash> coredump-destroy</on_crash>",
    ] {
        let failure = check(&domain(inner)).expect_err(inner);
        assert_eq!(failure.kind, FailureKind::Denied, "{inner}: {failure}");
    }
    check(&domain("<cputune><vcpusched vcpus='0' scheduler='batch'/></cputune><on_crash>restart</on_crash>")).unwrap();
}

#[test]
fn documents_of_devices_are_bounded_too() {
    let attributes: String = (0..300).map(|number| format!(" a{number}='x'")).collect();
    for xml in [format!("<disk{attributes}/>"), format!("<disk>{}</disk>", " ".repeat(1 << 20))] {
        let failure = device(&xml).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
    }
}
