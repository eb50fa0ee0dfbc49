//! Records there and back, and what is none.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use proptest::prelude::*;
use remotes_effect::types::FailureKind;

use super::*;

/// A record, and what is behind it.
#[derive(Debug, Clone)]
enum Written {
    Folder(Vec<u8>, u32),
    Leave,
    File(Vec<u8>, u32, u64),
    Extent(u64, Vec<u8>),
    Complete,
    Link(Vec<u8>, Vec<u8>),
    End(u64),
    Failed(String),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>().prop_filter("no separator", |byte| !matches!(byte, b'/' | 0)), 0..=255)
        .prop_filter("a name", |name| name != b"." && name != b"..")
}

fn written() -> impl Strategy<Value = Written> {
    let mode = 0..=0o1777u32;
    prop_oneof![
        (name(), mode.clone()).prop_map(|(name, mode)| Written::Folder(name, mode)),
        Just(Written::Leave),
        (name(), mode, any::<u64>()).prop_map(|(name, mode, size)| Written::File(name, mode, size)),
        (any::<u64>(), prop::collection::vec(any::<u8>(), 1..2000))
            .prop_map(|(offset, bytes)| Written::Extent(offset, bytes)),
        Just(Written::Complete),
        (name(), prop::collection::vec(any::<u8>(), 0..300)).prop_map(|(name, to)| Written::Link(name, to)),
        any::<u64>().prop_map(Written::End),
        "\\PC{0,40}".prop_map(Written::Failed),
    ]
}

fn stream(all: &[Written]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = RecordWriter::new(&mut bytes).unwrap();
    for written in all {
        match written {
            Written::Folder(name, mode) => writer.folder(OsStr::from_bytes(name), *mode),
            Written::Leave => writer.leave(),
            Written::File(name, mode, size) => writer.file(OsStr::from_bytes(name), *mode, *size),
            Written::Extent(offset, bytes) => writer.extent(*offset, bytes),
            Written::Complete => writer.complete(),
            Written::Link(name, target) => writer.link(OsStr::from_bytes(name), target),
            Written::End(bytes) => writer.end(*bytes),
            Written::Failed(message) => writer.failed(&Failure::busy(message.clone())),
        }
        .unwrap();
    }
    bytes
}

/// All records with their contents; the error at the end.
fn read(bytes: &[u8]) -> (Vec<(Record, Vec<u8>)>, StreamError) {
    let mut records = Vec::new();
    let mut reader = match RecordReader::new(bytes) {
        Ok(reader) => reader,
        Err(error) => return (records, error),
    };
    loop {
        let record = match reader.next() {
            Ok(record) => record,
            Err(error) => return (records, error),
        };
        let mut content = Vec::new();
        if let Record::Extent { length, .. } = record {
            content.resize(length, 0);
            if let Err(error) = reader.content(&mut content) {
                return (records, error);
            }
        }
        records.push((record, content));
    }
}

proptest! {
    #[test]
    fn records_come_back_as_they_were(all in prop::collection::vec(written(), 0..20)) {
        let (records, end) = read(&stream(&all));
        prop_assert!(matches!(end, StreamError::Ended), "{}", end);
        prop_assert_eq!(records.len(), all.len());
        for ((record, content), written) in records.into_iter().zip(all) {
            let name = |name: Vec<u8>| OsString::from_vec(name);
            match written {
                Written::Folder(n, mode) => prop_assert_eq!(record, Record::Folder { name: name(n), mode }),
                Written::Leave => prop_assert_eq!(record, Record::Leave),
                Written::File(n, mode, size) => prop_assert_eq!(record, Record::File { name: name(n), mode, size }),
                Written::Extent(offset, bytes) => {
                    prop_assert_eq!(record, Record::Extent { offset, length: bytes.len() });
                    prop_assert_eq!(content, bytes);
                }
                Written::Complete => prop_assert_eq!(record, Record::Complete),
                Written::Link(n, target) => prop_assert_eq!(record, Record::Link { name: name(n), target }),
                Written::End(bytes) => prop_assert_eq!(record, Record::End { bytes }),
                Written::Failed(message) => {
                    let message = one_line(&message);
                    prop_assert_eq!(record, Record::Failed(Failure { kind: FailureKind::Busy, message }));
                }
            }
        }
    }

    #[test]
    fn a_changed_byte_does_not_pass_the_next_seal(
        all in prop::collection::vec(written(), 0..8), place: prop::sample::Index, bit in 0..8u8,
    ) {
        let mut bytes = stream(&[all, vec![Written::End(7)]].concat());
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        let (records, end) = read(&bytes);
        prop_assert!(!records.iter().any(|(record, _)| *record == Record::End { bytes: 7 }), "{} {:?}", end, records);
    }

    #[test]
    fn any_bytes_end_in_an_error(bytes: Vec<u8>) {
        read(&bytes);
        read(&[&MAGIC[..], &bytes].concat());
    }
}

#[test]
fn what_another_host_says_is_one_short_line() {
    let message = format!("a\nERROR: b\u{1b}[2J{}", "x".repeat(100_000));
    let (records, _) = read(&stream(&[Written::Failed(message)]));
    match &records[..] {
        [(Record::Failed(failure), _)] => {
            assert!(failure.message.len() < 2200 && !failure.message.contains(['\n', '\u{1b}']), "{failure}");
        }
        other => panic!("{other:?}"),
    }
}
