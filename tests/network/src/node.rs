//! Recorded domains in a file of libvirt's test driver, which `test:///FILE` names.

use serde_json::Value;

/// The file's content, from what virsh said of domains when a case was recorded (`input.json`).
pub fn node(input: &Value) -> String {
    let replies = input["shims"]["virsh"]["replies"].as_array().into_iter().flatten();
    let dumps = replies.filter(|reply| reply["args"].as_str().is_some_and(|arguments| arguments.contains("dumpxml")));
    let domains: String = dumps.filter_map(|reply| reply["stdout"].as_str()).map(domain).collect();
    format!("<node>{domains}</node>")
}

/// A recorded domain as one of the test driver; nothing where there was none.
fn domain(recorded: &str) -> String {
    let Some((_, rest)) = recorded.split_once("<name>") else { return String::new() };
    let (head, rest) = rest.split_once("<devices>").unwrap();
    let more = "<memory>65536</memory><os><type>hvm</type></os>";
    format!("<domain type='test'><name>{head}{more}<devices>{rest}")
}
