//! States, transitions and errors: what libvirt 9 answers, recorded from it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::virt::*;
use common::*;
use remotes_effect::libvirt::{Scope, State};
use remotes_effect::types::FailureKind::{self, *};
use remotes_simulation::{Agent, Guest, Reaction, Simulation};
use serde_json::json;

fn running() -> Simulation {
    Simulation::new().domain(&one_5(), State::Running)
}

fn shut_off() -> Simulation {
    Simulation::new().domain(&one_5(), State::ShutOff)
}

fn with(guest: Guest) -> Simulation {
    running().guest("one-5", guest)
}

#[track_caller]
fn says<T: std::fmt::Debug>(result: Result<T, remotes_effect::types::Failure>, kind: FailureKind, message: &str) {
    assert_eq!(refused(result), (kind, message.to_owned()));
}

#[test]
fn creates_a_transient_domain() {
    let mut world = Simulation::new();
    let domain = create(&mut world, &one_5(), false).unwrap();
    assert_eq!((domain.name.as_str(), domain.uuid.as_str()), ("one-5", UUID));
    assert_eq!((domain.id, domain.state, domain.persistent), (Some(1), State::Running, false));
    assert_eq!(find(&mut world, UUID).unwrap(), domain);
    assert_eq!(find(&mut world, &UUID.to_uppercase()).unwrap(), domain);
    let live = xml(&mut world, "one-5").unwrap();
    assert!(live.starts_with("<domain id='1' type='kvm'"), "{live}");
    assert!(live.contains("<title>a &amp; b</title>"));
    destroy(&mut world, UUID).unwrap();
    says(find(&mut world, "one-5"), NotFound, "Domain not found: no domain with matching name 'one-5'");
    says(find(&mut world, UUID), NotFound, &format!("Domain not found: no domain with matching uuid '{UUID}'"));
}

#[test]
fn creates_paused_and_without_uuid() {
    let mut world = Simulation::new();
    let plain = one_5().replace(&format!("<uuid>{UUID}</uuid>"), "");
    let domain = create(&mut world, &plain, true).unwrap();
    assert_eq!(domain.state, State::Paused);
    assert!(xml(&mut world, "one-5").unwrap().contains(&format!("<uuid>{}</uuid>", domain.uuid)));
    assert_eq!(find(&mut world, &domain.uuid).unwrap(), domain);
    resume(&mut world, "one-5").unwrap();
    assert_eq!(find(&mut world, "one-5").unwrap().state, State::Running);
}

#[test]
fn refuses_what_exists() {
    let mut world = running();
    let active = "Requested operation is not valid: domain 'one-5' is already active";
    says(create(&mut world, &one_5(), false), Exists, active);
    let renamed = format!("operation failed: domain 'one-5' is already defined with uuid {UUID}");
    says(create(&mut world, &description("one-6", UUID), false), Exists, &renamed);
    let other = format!("operation failed: domain 'one-5' already exists with uuid {UUID}");
    says(create(&mut world, &description("one-5", OTHER_UUID), false), Exists, &other);
    says(define(&mut world, &description("one-5", OTHER_UUID)), Exists, &other);
    assert_eq!(world.domains().count(), 1);
}

#[test]
fn refuses_descriptions_as_libvirt_does() {
    let mut world = Simulation::new();
    let depth = "<a>".repeat(300) + &"</a>".repeat(300);
    for (document, kind, message) in [
        ("<disk/>", Invalid, "XML error: expecting root element of 'domain', not 'disk'"),
        ("<domain><name>a</name></domain>", Failed, "internal error: missing domain type attribute"),
        (
            "<domain type='nope'><name>a</name></domain>",
            Unsupported,
            "unsupported configuration: invalid domain type nope",
        ),
        ("<domain type='qemu'><memory>9</memory></domain>", Invalid, "missing name information"),
        (
            "<domain type='qemu'><name>a</name><uuid>zz</uuid></domain>",
            Failed,
            "internal error: malformed uuid element",
        ),
        (
            "<domain type='qemu'><name>a</name><memory>9</memory></domain>",
            Invalid,
            "XML error: an os <type> must be specified",
        ),
        ("<domain type='qemu'><name>a/b</name></domain>", Invalid, "XML error: name a/b cannot contain '/'"),
        (
            "<domain type='qemu'><name>a</name><os><type>hvm</type></os></domain>",
            Invalid,
            "XML error: Memory size must be specified via <memory> or in the <numa> configuration",
        ),
        (
            &format!("<domain type='qemu'>{depth}</domain>"),
            Invalid,
            "(domain_definition): Excessive depth in document: 256",
        ),
    ] {
        says(create(&mut world, document, false), kind, message);
    }
    for document in ["", "<domain", "<domain type='qemu'>", "<!DOCTYPE d [<!ENTITY e 'x'>]><domain>&e;</domain>"] {
        assert_eq!(refused(create(&mut world, document, false)).0, Invalid, "{document}");
    }
    assert_eq!(world.domains().count(), 0);
}

#[test]
fn what_is_shut_off_refuses_what_needs_it_running() {
    let disk = "<disk type='file' device='disk'><target dev='vda'/></disk>";
    let mut world = shut_off();
    let world = &mut world;
    for result in [
        shutdown(world, "one-5"),
        destroy(world, "one-5"),
        reboot(world, "one-5"),
        reset(world, "one-5"),
        suspend(world, "one-5"),
        resume(world, "one-5"),
        wake_up(world, "one-5"),
        save(world, "one-5", "/save"),
        attach(world, "one-5", disk, Scope::Live),
        detach(world, "one-5", disk, Scope::Both),
        update(world, "one-5", disk, Scope::Live, true),
        resize_block(world, "one-5", "vda", 1),
        set_vcpus(world, "one-5", 1, Scope::Live, false),
        set_memory(world, "one-5", 1, Scope::Live),
        set_metadata(world, "one-5", ONE, "one", "<a/>", Scope::Live),
        guest_agent(world, "one-5", "{}", 1).map(|_| ()),
    ] {
        says(result, Failed, "Requested operation is not valid: domain is not running");
    }
    let unsupported = "Operation not supported: cannot set time: qemu doesn't support rtc-reset-reinjection command";
    says(sync_time(world, "one-5"), Unsupported, unsupported);
    assert_eq!(domains(world).unwrap(), []);
    let record = find(world, "one-5").unwrap();
    assert_eq!((record.id, record.state, record.persistent), (None, State::ShutOff, true));
}

#[test]
fn transient_domains_have_no_config() {
    let mut world = running();
    let nothing = "Requested operation is not valid: transient domains do not have any persistent config";
    let disk = "<disk type='file' device='disk'><target dev='vdb'/></disk>";
    says(attach(&mut world, "one-5", disk, Scope::Config), Failed, nothing);
    says(set_vcpus(&mut world, "one-5", 1, Scope::Both, false), Failed, nothing);
    says(undefine(&mut world, "one-5"), Failed, "Requested operation is not valid: cannot undefine transient domain");
}

#[test]
fn persistent_domains_stay() {
    let mut world = Simulation::new();
    define(&mut world, &one_5()).unwrap();
    assert_eq!(create(&mut world, &one_5(), false).unwrap().state, State::Running);
    destroy(&mut world, UUID).unwrap();
    assert_eq!(find(&mut world, UUID).unwrap().state, State::ShutOff);
    create(&mut world, &one_5(), false).unwrap();
    undefine(&mut world, UUID).unwrap();
    assert!(!find(&mut world, UUID).unwrap().persistent);
    destroy(&mut world, UUID).unwrap();
    assert_eq!(world.domains().count(), 0);
    define(&mut world, &one_5()).unwrap();
    undefine(&mut world, UUID).unwrap();
    assert_eq!(world.domains().count(), 0);
}

#[test]
fn the_guest_decides_about_the_power_button() {
    let mut world = with(Guest { power_button: Reaction::AfterPolls(2), ..Guest::default() });
    shutdown(&mut world, UUID).unwrap();
    assert_eq!(find(&mut world, UUID).unwrap().state, State::Running);
    // Asked again, it does not start anew.
    shutdown(&mut world, UUID).unwrap();
    assert!(find(&mut world, UUID).is_err());

    let mut world = with(Guest { power_button: Reaction::AfterSeconds(30), ..Guest::default() });
    shutdown(&mut world, UUID).unwrap();
    assert!(sleep(&mut world, 29_999));
    assert!(find(&mut world, UUID).is_ok());
    assert!(sleep(&mut world, 1));
    assert_eq!(world.domains().count(), 0);

    let mut world = with(Guest { power_button: Reaction::Ignores, ..Guest::default() });
    shutdown(&mut world, UUID).unwrap();
    for _ in 0..200 {
        sleep(&mut world, 1000);
        assert!(find(&mut world, UUID).is_ok());
    }
    destroy(&mut world, UUID).unwrap();

    let mut world = with(Guest { power_button: Reaction::AfterPolls(0), ..Guest::default() });
    shutdown(&mut world, UUID).unwrap();
    assert_eq!(world.domains().count(), 0);
}

#[test]
fn pauses_resumes_reboots_resets_wakes_up() {
    let mut world = running();
    says(resume(&mut world, UUID), Failed, "Requested operation is not valid: domain is already running");
    suspend(&mut world, UUID).unwrap();
    suspend(&mut world, UUID).unwrap();
    says(shutdown(&mut world, UUID), Failed, "Requested operation is not valid: domain is not running");
    reboot(&mut world, UUID).unwrap();
    reset(&mut world, UUID).unwrap();
    assert_eq!(find(&mut world, UUID).unwrap().state, State::Paused);
    resume(&mut world, UUID).unwrap();
    let awake = "internal error: unable to execute QEMU command 'system_wakeup': Unable to wake up: guest is not in suspended state";
    says(wake_up(&mut world, UUID), Failed, awake);
    assert_eq!(world.here.find("one-5").map(|it| (it.reboots, it.resets)), Some((1, 1)));

    let mut world = Simulation::new().domain(&one_5(), State::Suspended);
    says(resume(&mut world, UUID), Failed, "Requested operation is not valid: domain is pmsuspended");
    wake_up(&mut world, UUID).unwrap();
    assert_eq!(find(&mut world, UUID).unwrap().state, State::Running);
}

#[test]
fn saves_and_restores() {
    let mut world = running().directory("/ds/0/5").file("/ds/0/5/plain", "no image");
    says(
        save(&mut world, UUID, "/nowhere/x"),
        NotFound,
        "Failed to create file '/nowhere/x': No such file or directory",
    );
    suspend(&mut world, UUID).unwrap();
    save(&mut world, UUID, "/ds/0/5/checkpoint").unwrap();
    assert_eq!(world.domains().count(), 0);
    let saved = saved_xml(&mut world, "/ds//0/5/checkpoint").unwrap();
    assert_eq!(saved, one_5().trim());
    let absent = "Failed to open file '/ds/nothing': No such file or directory";
    says(saved_xml(&mut world, "/ds/nothing"), NotFound, absent);
    says(restore(&mut world, "/ds/0/5/plain", None), Failed, "operation failed: image magic is incorrect");
    let rewritten = saved.replace("/datastores/0/", "/datastores/101/");
    let wrong = saved.replace("one-5", "one-6");
    let message = "unsupported configuration: Target domain name 'one-6' does not match source 'one-5'";
    says(restore(&mut world, "/ds/0/5/checkpoint", Some(&wrong)), Unsupported, message);
    let wrong = saved.replace("65536", "131072");
    let message = "unsupported configuration: Target domain max memory 131072 does not match source 65536";
    says(restore(&mut world, "/ds/0/5/checkpoint", Some(&wrong)), Unsupported, message);
    restore(&mut world, "/ds/0/5/checkpoint", Some(&rewritten)).unwrap();
    assert_eq!(find(&mut world, UUID).unwrap().state, State::Paused);
    assert!(xml(&mut world, UUID).unwrap().contains("/datastores/101/5/disk.0"));
    let active = "Requested operation is not valid: domain 'one-5' is already active";
    says(restore(&mut world, "/ds/0/5/checkpoint", None), Exists, active);
}

#[test]
fn saving_keeps_the_mode_of_a_file_that_is_there() {
    let mut world = running().directory("/ds");
    fs::write(&mut world, "/ds/checkpoint", b"", 0o666).unwrap();
    save(&mut world, UUID, "/ds/checkpoint").unwrap();
    assert_eq!(fs::stat(&mut world, "/ds/checkpoint").unwrap().mode, 0o666);
}

#[test]
fn the_agent_answers_from_a_list() {
    let mut world = running();
    let disconnected = "Guest agent is not responding: QEMU guest agent is not connected";
    says(guest_agent(&mut world, UUID, r#"{"execute":"guest-ping"}"#, 5), Unavailable, disconnected);
    says(sync_time(&mut world, UUID), Unavailable, disconnected);
    let mut world = with(Guest { agent: Agent::NotConfigured, ..Guest::default() });
    let message = "argument unsupported: QEMU guest agent is not configured";
    says(guest_agent(&mut world, UUID, r#"{"execute":"guest-ping"}"#, 5), Unsupported, message);
    let agent = Agent::answering([("guest-exec", json!({"pid": 7}))]);
    let mut world = with(Guest { agent, ..Guest::default() });
    assert_eq!(guest_agent(&mut world, UUID, r#"{"execute":"guest-exec"}"#, 5).unwrap(), r#"{"return":{"pid":7}}"#);
    let message = "internal error: unable to execute QEMU agent command 'x': The command x has not been found";
    says(guest_agent(&mut world, UUID, r#"{"execute":"x"}"#, 5), Failed, message);
    sync_time(&mut world, UUID).unwrap();
}

#[test]
fn a_daemon_and_a_host_can_be_away() {
    let mut world = running();
    world.here.libvirt.unavailable = Some("Failed to connect socket to '/var/run/libvirt/libvirt-sock'".into());
    assert_eq!(refused(find(&mut world, UUID)).0, Unavailable);
    let effect = remotes_effect::libvirt::Effect::Domains { on: remotes_effect::types::Node::Host("node7".into()) };
    let answer = remotes_effect::Executor::execute(&mut world, &remotes_effect::Effect::Libvirt(effect));
    assert_eq!(answer.failure().map(|failure| failure.kind), Some(Unavailable));
}
