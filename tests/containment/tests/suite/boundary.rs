//! Drivers that break the promises of the binary interface, or want something that is not there.

use remotes_containment::guest::{
    ALLOCATOR_CALLS, ALLOCATOR_OUTSIDE, NEWER_DRIVER, NEWER_INTERFACE, NO_ACTION, NO_DRIVER, NO_SUCH_CASE, NO_UTF8,
    OLDER_INTERFACE, OTHER_ACTION, OTHER_SIGNATURE, RESULT_OUTSIDE, STRING_OUTSIDE, UNKNOWN_FUNCTION, UNKNOWN_IMPORT,
};
use remotes_containment::{Guest, Trial};
use remotes_effect::policy::Limits;
use remotes_sandbox::compile::{self, CompileError};
use remotes_sandbox::{RunError, engine};

use crate::common::{assert_unchanged, host};

/// Refused before any of its code runs; the message holds these words.
fn unsuitable(guest: Guest, words: &str) {
    let before = host();
    let ended = Trial::of(guest).on(before.clone());
    let RunError::Unsuitable { subsystem, reason } = ended.error() else { panic!("{}", ended.error()) };
    assert_eq!(subsystem, "vmm");
    assert!(reason.contains(words), "{reason}");
    assert_eq!(ended.journal.entries, []);
    assert_unchanged(&before, &ended);
}

/// Ended while it runs; no effect of its broken call is carried out.
fn trapped(guest: Guest, words: &str) {
    let before = host();
    let ended = Trial::of(guest).on(before.clone());
    let RunError::Trapped(reason) = ended.error() else { panic!("{}", ended.error()) };
    assert!(reason.contains(words), "{reason}");
    assert!(!reason.contains('\n'), "{reason}");
    assert_eq!(ended.journal.entries, []);
    assert_unchanged(&before, &ended);
}

#[test]
pub fn unknown_import() {
    unsuitable(UNKNOWN_IMPORT, "one:driver/shell@1.0.0");
}

#[test]
pub fn unknown_function() {
    unsuitable(UNKNOWN_FUNCTION, "one:driver/clock@1.0.0");
}

#[test]
pub fn other_signature() {
    unsuitable(OTHER_SIGNATURE, "sleep");
}

#[test]
pub fn newer_interface() {
    unsuitable(NEWER_INTERFACE, "one:driver/clock@2.0.0");
}

#[test]
pub fn older_interface() {
    unsuitable(OLDER_INTERFACE, "one:driver/clock@0.9.0");
}

#[test]
pub fn newer_driver() {
    unsuitable(NEWER_DRIVER, "it does not export one:driver/vmm-driver@1.0.0");
}

#[test]
pub fn no_driver() {
    unsuitable(NO_DRIVER, "it does not export one:driver/vmm-driver@1.0.0");
}

#[test]
pub fn no_action() {
    unsuitable(NO_ACTION, "reboot");
}

#[test]
pub fn other_action() {
    unsuitable(OTHER_ACTION, "reboot");
}

#[test]
pub fn allocator_outside() {
    trapped(ALLOCATOR_OUTSIDE, "realloc return: beyond end of memory");
}

#[test]
pub fn allocator_calls() {
    trapped(ALLOCATOR_CALLS, "cannot leave component instance");
}

#[test]
pub fn string_outside() {
    trapped(STRING_OUTSIDE, "out of bounds");
}

#[test]
pub fn no_utf8() {
    trapped(NO_UTF8, "utf-8");
}

#[test]
pub fn no_such_case() {
    trapped(NO_SUCH_CASE, "discriminant");
}

#[test]
pub fn result_outside() {
    trapped(RESULT_OUTSIDE, "out of bounds");
}

/// What the engine is told not to take; the message names each by its proposal's name.
#[test]
fn features_that_are_off() {
    for (feature, module) in [
        ("threads", "(memory 1 1 shared)"),
        ("memory64", "(memory i64 1)"),
        ("multi-memory", "(memory 1) (memory 1)"),
        ("relaxed-simd", "(func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1)))"),
        ("tail-call", "(func $f (return_call $f))"),
        ("gc", "(type (struct (field i32)))"),
        ("exceptions", "(tag (param i32))"),
        ("function-references", "(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))"),
        (
            "wide-arithmetic",
            "(func (param i64 i64 i64 i64) (result i64 i64) (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))",
        ),
    ] {
        invalid(feature, &format!("(component (core module {module}))"));
    }
    for (feature, component) in [
        ("cm-async", "(component (import \"f\" (func $f async)))"),
        ("cm-async", "(component (core func (canon thread.yield)))"),
        (
            "cm-error-context",
            "(component (core module $m (memory (export \"m\") 1)) (core instance $i (instantiate $m)) (core func (canon error-context.drop)))",
        ),
    ] {
        invalid(feature, component);
    }
}

fn invalid(what: &str, text: &str) {
    let engine = engine(&Limits::default()).unwrap();
    let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{what}: {error}"));
    match compile::compile(&engine, &bytes) {
        Err(CompileError::NotOffered(named)) => assert!(named.iter().any(|name| name == what), "{what}: {named:?}"),
        Err(error) => panic!("{what}: {error}"),
        Ok(_) => panic!("{what}: was taken"),
    }
}

/// What linkers write into modules that are linked dynamically, as those of componentize-py are.
#[test]
fn features_that_are_on() {
    let engine = engine(&Limits::default()).unwrap();
    let module = "(import \"env\" \"base\" (global $base i32)) (global i32 (i32.add (global.get $base) (i32.const 4)))";
    let bytes = wat::parse_str(format!("(component (core module {module}))")).unwrap();
    compile::compile(&engine, &bytes).unwrap();
}

/// Bytes that are no component, or that end too early: refused, whatever they are.
#[test]
fn bytes_that_are_no_component() {
    let whole = remotes_containment::guest::ENDLESS_CALL.component();
    let engine = engine(&Limits::default()).unwrap();
    let mut inputs: Vec<Vec<u8>> = vec![vec![], b"\0asm".to_vec(), b"#!/bin/sh\n".to_vec(), vec![0; 1 << 20]];
    inputs.push(b"\0asm\x0d\0\x01\0\xff\xff\xff\xff\x0f".to_vec());
    inputs.extend((1..40).map(|part| whole[..whole.len() * part / 40].to_vec()));
    for input in inputs {
        let taken = compile::component(&input).and_then(|component| compile::compile(&engine, &component));
        assert!(taken.is_err(), "{} bytes beginning with {:?}", input.len(), input.get(..16));
    }
    let large = vec![0; compile::LARGEST + 1];
    assert!(matches!(compile::component(&large), Err(CompileError::Large(_))));
}

/// Components in components, far deeper than any compiler nests them: taken or refused, and no stack is used up.
#[test]
fn components_in_components() {
    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";
    let engine = engine(&Limits::default()).unwrap();
    for depth in [100, 3_000] {
        let mut bytes = HEADER.to_vec();
        for _ in 0..depth {
            // A section of kind 4 that holds what there is so far.
            let mut section = vec![4];
            let mut length = bytes.len();
            while length >= 0x80 {
                section.push(length as u8 | 0x80);
                length >>= 7;
            }
            section.push(length as u8);
            bytes = [HEADER, &section, &bytes].concat();
        }
        let taken = compile::component(&bytes).and_then(|component| compile::compile(&engine, &component));
        assert!(taken.is_ok() || matches!(taken, Err(CompileError::Invalid(_))));
    }
}
