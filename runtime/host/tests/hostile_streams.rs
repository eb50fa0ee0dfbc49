//! What a hostile host, or anybody who reaches one, may send to `remotes-action receive` and `send`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proptest::prelude::*;
use remotes_effect::frame::Hello;
use remotes_effect::policy::Policy;
use remotes_effect::types::{Failure, FailureKind as K};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use support::{RO, RW, Sandbox, example, snapshot};

/// A stream, written by hand.
#[derive(Debug, Clone)]
struct Stream(Vec<u8>);

impl Stream {
    fn new() -> Self {
        Self(b"remotes1".to_vec())
    }

    fn bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    fn named(self, tag: &[u8], name: &[u8]) -> Self {
        self.bytes(tag).bytes([name.len() as u8]).bytes(name)
    }

    fn folder(self, name: &[u8]) -> Self {
        self.named(&[b'D', 0x01, 0xed], name)
    }

    fn file(self, name: &[u8], size: u64) -> Self {
        self.named(&[b'F', 0x01, 0xa4], name).bytes(size.to_be_bytes())
    }

    fn extent(self, offset: u64, bytes: &[u8]) -> Self {
        self.bytes(b"X").bytes(offset.to_be_bytes()).bytes((bytes.len() as u32).to_be_bytes()).bytes(bytes)
    }

    fn link(self, name: &[u8], target: &[u8]) -> Self {
        self.named(b"L", name).bytes((target.len() as u16).to_be_bytes()).bytes(target)
    }

    fn leave(self) -> Self {
        self.bytes(b"U")
    }

    fn sealed(self) -> Self {
        let digest = Sha256::digest(&self.0);
        self.bytes(digest)
    }

    fn complete(self) -> Self {
        self.bytes(b"C").sealed()
    }

    fn end(self, bytes: u64) -> Self {
        self.bytes(b"Z").bytes(bytes.to_be_bytes()).sealed()
    }
}

fn world() -> Sandbox {
    let world = Sandbox::new();
    world.file("in/old", "old").folder("in/folder").file("ro/file", "read").file("out/secret", "secret");
    world.link("in/way-out", world.at("out"));
    world
}

fn policy(world: &Sandbox) -> Policy {
    Policy { paths: world.grants(&[("in", RW), ("ro", RO)]), ..Policy::default() }
}

/// Starts an end of a transfer, as sshd would; returns it with its greeting sent.
fn start(task: &str, policy: Policy, path: &str, time: Duration) -> Child {
    let mut child = Command::new(example("remotes_action"))
        .arg(task)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut greeting = serde_json::to_vec(&Hello::new(policy, time)).unwrap();
    greeting.extend_from_slice(format!("\n{}\n", json!({ "path": path })).as_bytes());
    child.stdin.as_mut().unwrap().write_all(&greeting).unwrap();
    child
}

/// What it says behind `Ready`, once its standard input is closed.
fn finish(mut child: Child) -> Vec<u8> {
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    let ready = output.stdout.iter().position(|byte| *byte == b'\n').expect("no frame");
    assert!(String::from_utf8_lossy(&output.stdout[..ready]).contains("contract"));
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
    output.stdout[ready + 1..].to_vec()
}

fn receive(world: &Sandbox, path: &str, stream: &[u8]) -> Result<u64, Failure> {
    let mut child = start("receive", policy(world), path, Duration::from_secs(60));
    // It may have heard enough before the end.
    let _ = child.stdin.as_mut().unwrap().write_all(stream);
    serde_json::from_slice(&finish(child)).unwrap()
}

#[test]
fn what_is_whole_is_taken() {
    let world = world();
    let stream = Stream::new().file(b"", 10).extent(2, b"abc").extent(5, b"d").complete().end(10);
    assert_eq!(receive(&world, &world.at("in/old"), &stream.0).unwrap(), 10);
    assert_eq!(world.text("in/old"), "\0\0abcd\0\0\0\0");
    let tree = Stream::new().folder(b"").file(b"f", 0).complete().folder(b"g").link(b"l", b"x").leave().leave().end(0);
    assert_eq!(receive(&world, &world.at("in/tree"), &tree.0).unwrap(), 0);
    assert_eq!(world.names("in/tree"), ["f", "g"]);
}

#[test]
fn streams_out_of_order_and_out_of_bounds_change_nothing() {
    let world = world();
    let begin = Stream::new;
    let file = || begin().file(b"", 10);
    let long = vec![b'x'; 1 << 20];
    let failure = format!("{{\"kind\":\"denied\",\"message\":\"{}\"}}", "SUCCESS\\nLOG\\u001b[2J");
    let cases: Vec<(&str, Stream, K)> = vec![
        ("nothing", Stream(Vec::new()), K::Unavailable),
        ("half a beginning", Stream(b"remo".to_vec()), K::Unavailable),
        ("another version", Stream(b"remotes2".to_vec()), K::Invalid),
        ("only a beginning", begin(), K::Unavailable),
        ("an unknown record", begin().bytes(b"?"), K::Invalid),
        ("an end at once", begin().end(0), K::Invalid),
        ("a folder's end at once", begin().leave().end(0), K::Invalid),
        ("a link at once", begin().link(b"", b"x").end(0), K::Invalid),
        ("a piece at once", begin().extent(0, b"x"), K::Invalid),
        ("a file's end at once", begin().complete(), K::Invalid),
        ("a first file with a name", begin().file(b"x", 0).complete().end(0), K::Invalid),
        ("a first folder with a name", begin().folder(b"x").leave().end(0), K::Invalid),
        ("no end", file().complete(), K::Unavailable),
        ("two files", file().complete().file(b"x", 0).complete().end(10), K::Invalid),
        ("other bytes than it says", file().complete().end(11), K::Invalid),
        ("a wrong digest of a file", file().extent(0, b"x").bytes(b"C").bytes([0; 32]).end(10), K::Failed),
        (
            "a wrong digest at the end",
            file().complete().bytes(b"Z").bytes(10u64.to_be_bytes()).bytes([1; 32]),
            K::Failed,
        ),
        ("a file within a file", file().file(b"x", 1), K::Invalid),
        ("a folder within a file", file().folder(b"x"), K::Invalid),
        ("an end within a file", file().end(0), K::Invalid),
        ("a piece that ends beyond", file().extent(9, b"xy"), K::Invalid),
        ("a piece that begins beyond", file().extent(11, b"x"), K::Invalid),
        ("a piece at the end of numbers", file().extent(u64::MAX, b"xy"), K::Invalid),
        ("a piece over another", file().extent(3, b"abc").extent(5, b"d"), K::Invalid),
        ("a piece before another", file().extent(3, b"abc").extent(0, b"d"), K::Invalid),
        ("an empty piece", file().extent(0, b""), K::Invalid),
        ("a piece of 1 MiB and a byte", begin().file(b"", 1 << 30).extent(0, &[&long[..], b"x"].concat()), K::Invalid),
        ("a piece of 4 GiB", file().bytes(b"X").bytes(0u64.to_be_bytes()).bytes([0xff; 4]), K::Invalid),
        (
            "half a piece",
            file().bytes(b"X").bytes(0u64.to_be_bytes()).bytes(5u32.to_be_bytes()).bytes(b"ab"),
            K::Unavailable,
        ),
        ("a file without an end of numbers", begin().file(b"", u64::MAX).complete().end(u64::MAX), K::Invalid),
        ("set-user-ID", begin().named(&[b'F', 0x09, 0xed], b"").bytes([0; 8]).complete().end(0), K::Invalid),
        ("a failure that is none", begin().bytes(b"!").bytes(2u16.to_be_bytes()).bytes(b"{}"), K::Invalid),
        ("a failure that is too long", begin().bytes(b"!").bytes([0xff; 2]).bytes(&long), K::Invalid),
        ("a failure", begin().bytes(b"!").bytes((failure.len() as u16).to_be_bytes()).bytes(&failure), K::Denied),
    ];
    let before = snapshot(&world.path);
    for (what, stream, kind) in cases {
        let failure = receive(&world, &world.at("in/old"), &stream.0).unwrap_err();
        assert_eq!(failure.kind, kind, "{what}: {failure}");
        assert!(!failure.message.contains(['\n', '\u{1b}']), "{what}: {failure}");
        assert_eq!(before, snapshot(&world.path), "{what}");
    }
}

#[test]
fn names_and_links_do_not_lead_out() {
    let world = world();
    let folder = || Stream::new().folder(b"");
    let before = snapshot(&world.path);
    for name in [&b""[..], b".", b"..", b"/", b"a/b", b"../x", b"/etc/x", b"a\0b"] {
        for stream in [
            folder().file(name, 0).complete().leave().end(0),
            folder().folder(name).leave().leave().end(0),
            folder().link(name, b"x").leave().end(0),
        ] {
            let failure = receive(&world, &world.at("in/folder"), &stream.0).unwrap_err();
            assert_eq!(failure.kind, K::Invalid, "{name:?}: {failure}");
        }
    }
    for target in [
        b"..".to_vec(),
        b"/".to_vec(),
        b"/etc/passwd".to_vec(),
        world.at("out/x").into_bytes(),
        b"x/../../../y".to_vec(),
    ] {
        let stream = folder().link(b"link", &target).leave().end(0);
        let failure = receive(&world, &world.at("in/folder"), &stream.0).unwrap_err();
        assert_eq!(failure.kind, K::Denied, "{target:?}: {failure}");
    }
    for target in [Vec::new(), b"a\0b".to_vec(), vec![b'x'; 5000]] {
        let stream = folder().link(b"link", &target).leave().end(0);
        assert_eq!(receive(&world, &world.at("in/folder"), &stream.0).unwrap_err().kind, K::Invalid);
    }
    // Through a link that was there before.
    let stream = folder().folder(b"way-out").file(b"x", 0).complete().leave().leave().end(0);
    assert_eq!(receive(&world, &world.at("in"), &stream.0).unwrap_err().kind, K::Denied);
    assert_eq!(
        receive(&world, &world.at("in/way-out/x"), &Stream::new().file(b"", 0).complete().end(0).0).unwrap_err().kind,
        K::Denied
    );
    for path in [world.at("ro/file"), world.at("out/x"), "/".into(), "relative".into(), world.at("in/../out/x")] {
        let failure = receive(&world, &path, &Stream::new().file(b"", 0).complete().end(0).0).unwrap_err();
        assert!(matches!(failure.kind, K::Denied | K::Invalid), "{path}: {failure}");
    }
    assert_eq!(before, snapshot(&world.path));
    // A link that the stream itself lays down is not gone through, either.
    let stream = folder().link(b"l", b".").folder(b"l").file(b"x", 0).complete();
    assert_eq!(receive(&world, &world.at("in/folder"), &stream.0).unwrap_err().kind, K::Exists);
    assert!(!world.path.join("in/folder/x").exists());
    assert_eq!(world.names("ro"), ["file"]);
}

#[test]
fn depth_and_number_are_bounded() {
    let world = world();
    let deep = (0..200).fold(Stream::new().folder(b""), |stream, _| stream.folder(b"d"));
    assert_eq!(receive(&world, &world.at("in/deep"), &deep.0).unwrap_err().kind, K::Invalid);
    // One name over and over: what counts is how often.
    let many = (0..100_001).fold(Stream::new().folder(b""), |stream, _| stream.folder(b"d").leave());
    let failure = receive(&world, &world.at("in/many"), &many.0).unwrap_err();
    assert_eq!((failure.kind, world.names("in/many")), (K::Invalid, vec!["d".to_owned()]), "{failure}");
}

#[test]
fn greetings_that_are_none() {
    for task in ["send", "receive"] {
        for greeting in [
            "",
            "\n",
            "garbage\n",
            "{}\n{}\n",
            "{\"contract\":\"99.0.0\",\"policy\":{\"schema\":1},\"deadline_ms\":1000}\n{\"path\":\"/x\"}\n",
            "{\"contract\":\"1.0.0\",\"policy\":{\"schema\":1},\"deadline_ms\":1000}\n{\"path\":7}\n",
            "{\"contract\":\"1.0.0\",\"policy\":{\"schema\":1},\"deadline_ms\":1000}\n",
        ] {
            let mut child = Command::new(example("remotes_action"))
                .arg(task)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let _ = child.stdin.take().unwrap().write_all(greeting.as_bytes());
            let output = child.wait_with_output().unwrap();
            assert!(!output.status.success() && output.stdout.is_empty(), "{task} {greeting:?}: {output:?}");
            assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
        }
    }
}

#[test]
fn nobody_is_waited_for_beyond_the_deadline() {
    let world = world();
    std::fs::write(world.path.join("in/large"), vec![b'x'; 8 << 20]).unwrap();
    let before = snapshot(&world.path);
    // A receiver that hears nothing more.
    let mut child = start("receive", policy(&world), &world.at("in/old"), Duration::from_millis(300));
    let begin = Stream::new().file(b"", 10).extent(0, b"abc");
    child.stdin.as_mut().unwrap().write_all(&begin.0).unwrap();
    let mut said = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut said).unwrap();
    assert!(String::from_utf8_lossy(&said).contains("contract"), "{said:?}");
    child.wait().unwrap();
    // A sender that nobody listens to.
    let mut child = start("send", policy(&world), &world.at("in/large"), Duration::from_millis(300));
    assert!(!child.wait().unwrap().success());
    assert_eq!(before, snapshot(&world.path));
}

#[test]
fn a_sender_says_what_it_does_not_send() {
    let world = world();
    for (path, kind) in [
        ("out/secret", "denied"),
        ("in/way-out/secret", "denied"),
        ("in/../out/secret", "denied"),
        ("in/none", "not-found"),
    ] {
        let stream = finish(start("send", policy(&world), &world.at(path), Duration::from_secs(60)));
        let text = String::from_utf8_lossy(&stream);
        assert!(text.starts_with("remotes1!") && text.contains(kind) && !text.contains("secret\0"), "{path}: {text}");
    }
    let stream = finish(start("send", policy(&world), &world.at("in/old"), Duration::from_secs(60)));
    let expected = Stream::new().file(b"", 3).extent(0, b"old").complete().end(3);
    assert!(stream == expected.0, "{stream:?}");
}

fn piece() -> impl Strategy<Value = Stream> {
    let name = prop::sample::select(vec![&b""[..], b"a", b"b", b"..", b"way-out", b"folder"]);
    let target = prop::sample::select(vec![&b"a"[..], b"..", b"/etc", b"."]);
    prop_oneof![
        name.clone().prop_map(|name| Stream(Vec::new()).folder(name)),
        (name.clone(), 0..20u64).prop_map(|(name, size)| Stream(Vec::new()).file(name, size)),
        (0..20u64, prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(offset, bytes)| Stream(Vec::new()).extent(offset, &bytes)),
        (name, target).prop_map(|(name, target)| Stream(Vec::new()).link(name, target)),
        Just(Stream(Vec::new()).leave()),
        Just(Stream(b"C".to_vec())),
        (0..30u64).prop_map(|bytes| Stream(b"Z".to_vec()).bytes(bytes.to_be_bytes())),
        prop::collection::vec(any::<u8>(), 0..10).prop_map(Stream),
    ]
}

proptest! {
    /// Whatever comes, with right digests: outside nothing changes, and no file is left half.
    #[test]
    fn any_order_of_records(pieces in prop::collection::vec(piece(), 0..12)) {
        let world = world();
        let mut stream = Stream::new();
        for piece in &pieces {
            let seal = matches!(piece.0.first(), Some(b'C' | b'Z'));
            stream = stream.bytes(&piece.0);
            if seal {
                stream = stream.sealed();
            }
        }
        let outside = [snapshot(&world.path.join("out")), snapshot(&world.path.join("ro"))];
        let inside = snapshot(&world.path.join("in"));
        let result = receive(&world, &world.at("in/target"), &stream.0);
        prop_assert_eq!(&outside, &[snapshot(&world.path.join("out")), snapshot(&world.path.join("ro"))]);
        let after = snapshot(&world.path.join("in"));
        prop_assert!(after.keys().all(|path| !path.to_string_lossy().contains(".remotes-")));
        if result.is_err() && !pieces.iter().any(|piece| piece.0.first() == Some(&b'D')) {
            prop_assert_eq!(inside, after);
        }
    }
}
