//! The machine as a host of OpenNebula's: the tree, and calls as oned makes them.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remotes_network_tests::{Case, node, sh};
use serde_json::Value;

const TREE: &str = "/var/tmp/one";
/// What libvirt's test driver reads its domains from.
const NODE: &str = "/tmp/node.xml";

/// What an action left.
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The recording machine's switch was in userspace, this one is in the kernel, as that of every bridge is
/// which asks for no other.
fn by_kernel(text: &str) -> String {
    text.replace("datapath_type=netdev", "datapath_type=system")
        .replace("datapath_type: netdev", "datapath_type: system")
}

/// Configures the tree for a case and with more lines, with the case's domains known to libvirt.
pub fn configure(case: &Case, more: &str) {
    fs::create_dir_all(format!("{TREE}/etc/vnm")).unwrap();
    let configuration = by_kernel(&case.text("OpenNebulaNetwork.conf")) + more;
    fs::write(format!("{TREE}/etc/vnm/OpenNebulaNetwork.conf"), configuration).unwrap();
    fs::create_dir_all(format!("{TREE}/etc/vmm/kvm")).unwrap();
    fs::write(format!("{TREE}/etc/vmm/kvm/kvmrc"), format!("export LIBVIRT_URI=test://{NODE}\n")).unwrap();
    fs::write(NODE, node(case.input())).unwrap();
}

/// Brings the host to where the recorded action began.
pub fn prepare(case: &Case) {
    configure(case, "");
    for line in case.input()["setup"].as_array().into_iter().flatten() {
        sh(&by_kernel(line.as_str().unwrap()));
    }
    for (number, prior) in case.input()["prior"].as_array().into_iter().flatten().enumerate() {
        match prior["command"].as_str() {
            Some(line) => drop(sh(line)),
            None => {
                let file = prior["vm_xml"].as_str().map_or_else(|| format!("prior-{}.xml", number + 1), str::to_owned);
                let program =
                    format!("{TREE}/vnm/{}/{}", prior["driver"].as_str().unwrap(), prior["action"].as_str().unwrap());
                let outcome = call(&program, &prior["argv"], &(STANDARD.encode(case.text(&file)) + "\n"));
                assert_eq!(outcome.code, Some(0), "before the action: {}", outcome.stderr);
            }
        }
    }
}

/// Makes the recorded call, and compares what oned sees of it.
pub fn act(case: &Case) -> Outcome {
    let outcome = call(case.input()["program"].as_str().unwrap(), &case.input()["argv"], &case.text("stdin.txt"));
    let recorded = case.text("after/exit_code");
    assert_eq!(outcome.code == Some(0), recorded.trim() == "0", "{}", outcome.stderr);
    assert_eq!(outcome.stdout, case.text("after/stdout"), "{}", outcome.stderr);
    outcome
}

/// Starts an action's program as the front-end does.
fn call(program: &str, arguments: &Value, stdin: &str) -> Outcome {
    assert!(Path::new(program).is_file(), "{program}: is not in the tree");
    let arguments = arguments.as_array().into_iter().flatten().map(|argument| argument.as_str().unwrap());
    let mut process = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs([("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), ("HOME", "/root")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Outcome { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}
