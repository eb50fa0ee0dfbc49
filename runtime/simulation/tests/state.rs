//! State files: a world written out and read back is the same world.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::virt::*;
use common::*;
use remotes_effect::libvirt::State;
use remotes_effect::types::Failure;
use remotes_simulation::{Agent, Entry, Guest, Image, Machine, Reaction, Simulation};

fn world() -> Simulation {
    let mut world = Simulation::new()
        .file("/etc/kvmrc", "A=1\n")
        .file("/bin/x", [0xff, 0])
        .link("/l", "etc")
        .directory("/empty")
        .domain(&one_5(), State::Running)
        .domain(&description("one-6", OTHER_UUID), State::ShutOff)
        .guest(
            "one-5",
            Guest {
                power_button: Reaction::AfterSeconds(5),
                agent: Agent::answering([("guest-ping", serde_json::json!({}))]),
                ..Guest::default()
            },
        )
        .configuration("K", "V")
        .tool("vgpu")
        .deadline(60_000)
        .failing("libvirt.save", 2, Failure::busy("later"))
        .host("node7", Machine::new().file("/a", "b"))
        .here(|machine| {
            let image = Image { backing_file: Some("/base".into()), ..Image::new("qcow2", 1 << 30) };
            machine
                .image("/i", image)
                .image("/v", Image::new("vmdk", 0))
                .entry("/dev/x", Entry::BlockDevice(7))
                .entry("/s", Entry::Other)
        });
    snapshot_create(&mut world, OTHER_UUID, "<domainsnapshot><name>s</name></domainsnapshot>").unwrap();
    shutdown(&mut world, UUID).unwrap();
    run(&mut world, "vgpu", &["x"]).unwrap();
    world
}

#[test]
fn survives_json_and_toml() {
    let world = world();
    let json = serde_json::to_string_pretty(&world).unwrap();
    assert_eq!(serde_json::from_str::<Simulation>(&json).unwrap(), world);
    let text = toml::to_string(&world).unwrap();
    assert_eq!(toml::from_str::<Simulation>(&text).unwrap(), world);
}

#[test]
fn goes_on_where_it_was() {
    let json = serde_json::to_string(&world()).unwrap();
    let mut read: Simulation = serde_json::from_str(&json).unwrap();
    assert!(find(&mut read, UUID).is_ok());
    sleep(&mut read, 5000);
    assert!(find(&mut read, UUID).is_err());
    assert!(find(&mut read, &OTHER_UUID.to_uppercase()).is_ok());
}

#[test]
fn a_state_file_says_only_what_matters() {
    let world: Simulation = toml::from_str(
        r#"
        [configuration]
        LIBVIRT_URI = "qemu:///system"
        [here.files."/var/lib/one/datastores/0/5/disk.0"]
        image = { format = "qcow2", virtual-size = 1048576 }
        [here.files."/etc/motd"]
        text = "hello"
        mode = 0o600
        [[here.libvirt.domains]]
        name = "one-5"
        uuid = "04BD6431-19fa-40bc-bc18-13c12d876b18"
        state = "running"
        id = 7
        live = "<domain type='kvm'><name>one-5</name></domain>"
        [here.libvirt.guests.one-5]
        power-button = { after-polls = 3 }
        "#,
    )
    .unwrap();
    assert_eq!(world.here.text("/etc/motd"), Some("hello"));
    assert!(world.here.find(UUID).is_some_and(|domain| domain.active()));
    let mut world = world;
    assert_eq!(fs::inspect(&mut world, "/var/lib/one/datastores/0/5/disk.0").unwrap().virtual_size, 1 << 20);
}

#[test]
fn refuses_state_that_cannot_be() {
    let domain = |rest: &str| format!("[[here.libvirt.domains]]\nname = 'a'\nuuid = '{UUID}'\n{rest}");
    let off = domain("state = 'shut-off'\nconfig = '<domain/>'\n");
    for (text, message) in [
        ("[here.files.relative]\n", "expected an absolute path"),
        ("[here.files.\"/a\"]\n[here.files.\"/a/b\"]\n", "a part of the path is no folder"),
        ("[here.files.\"/a\"]\nkind = 'link'\n", "/a: a link has a `target`"),
        ("[here.files.\"/a\"]\nkind = 'directory'\ntext = ''\n", "only a file has"),
        ("[here.files.\"/a\"]\ntext = 'abc'\nsize = 2\n", "`size` is less than its content"),
        ("[here.files.\"/a\"]\nbase64 = '!'\n", "`base64` is none"),
        ("[here.files.\"/\"]\n", "no folder"),
        ("[nope]\n", "unknown field"),
        (&domain("state = 'running'\n"), "do not fit each other"),
        (&format!("{off}{off}"), "two domains have the name or UUID a"),
    ] {
        let error = toml::from_str::<Simulation>(text).unwrap_err().to_string();
        assert!(error.contains(message), "{text}\n{error}");
    }
}
