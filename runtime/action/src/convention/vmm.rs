//! Hypervisor actions: their arguments and standard input, as OpenNebula passes them.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remotes_effect::types::{Failure, FailureKind};
use remotes_effect::vmm::{Call, Reply};

use super::text::readable;
use super::{ConventionError, END_OF_OUTPUT, Printed, failure_line};

/// Makes the typed call.
pub fn call(action: &str, argv: &[String], stdin: &[u8]) -> Result<Call, ConventionError> {
    let arguments = Arguments { action, argv };
    let document = document(action, stdin)?;
    let call = match action {
        "deploy" => {
            let [deployment_file, host] = arguments.first("DEPLOYMENT_FILE HOST [VMID HOST]")?;
            Call::Deploy { deployment_file, domain: document, host }
        }
        "shutdown" | "cancel" | "reboot" | "reset" => {
            let [deploy_id, host] = arguments.first("DEPLOY_ID HOST [VMID HOST]")?;
            match action {
                "shutdown" => Call::Shutdown { deploy_id, host, action: document },
                "cancel" => Call::Cancel { deploy_id, host, action: document },
                "reboot" => Call::Reboot { deploy_id, host, action: document },
                _ => Call::Reset { deploy_id, host, action: document },
            }
        }
        "save" => {
            let [deploy_id, checkpoint, host, vm_id] = arguments.first("DEPLOY_ID CHECKPOINT HOST VMID [HOST]")?;
            Call::Save { deploy_id, checkpoint, host, vm_id: arguments.number(&vm_id, "VMID")?, action: document }
        }
        "restore" => {
            let [checkpoint, host, deploy_id, vm_id] = arguments.first("CHECKPOINT HOST DEPLOY_ID VMID [HOST]")?;
            Call::Restore { checkpoint, host, deploy_id, vm_id: arguments.number(&vm_id, "VMID")?, action: document }
        }
        "migrate" | "migrate_local" => {
            let [deploy_id, destination, source, vm_id] =
                arguments.first("DEPLOY_ID DESTINATION SOURCE VMID [HOST]")?;
            let vm_id = arguments.number(&vm_id, "VMID")?;
            match action {
                "migrate" => Call::Migrate { deploy_id, destination, source, vm_id, action: document },
                _ => Call::MigrateLocal { deploy_id, destination, source, vm_id, action: document },
            }
        }
        "attach_disk" => {
            let expected = "DEPLOY_ID PATH TARGET TARGET_INDEX [ACTION_BASE64 VMID HOST]";
            let [deploy_id, path, target, index] = arguments.first(expected)?;
            let action = arguments.document_or(document, 4)?;
            Call::AttachDisk { deploy_id, path, target, target_index: position(&index), action }
        }
        "detach_disk" => {
            let [deploy_id, path, target, index] = arguments.first("DEPLOY_ID PATH TARGET TARGET_INDEX [VMID HOST]")?;
            let target_index = position(&index);
            Call::DetachDisk { deploy_id, path, target, target_index, action: document }
        }
        "attach_nic" => {
            let [deploy_id, mac, bridge, model, vn_mad, target] =
                arguments.first("DEPLOY_ID MAC BRIDGE MODEL VN_MAD TARGET [VMID HOST]")?;
            Call::AttachNic { deploy_id, mac, bridge, model, vn_mad, target, action: document }
        }
        "detach_nic" => {
            let [deploy_id, mac] = arguments.first("DEPLOY_ID MAC [VMID HOST]")?;
            Call::DetachNic { deploy_id, mac, action: document }
        }
        "prereconfigure" => {
            let [deploy_id, target] = arguments.first("DEPLOY_ID TARGET [VMID HOST]")?;
            Call::Prereconfigure { deploy_id, target, action: document }
        }
        "reconfigure" => {
            let [deploy_id, target, iso] = arguments.first("DEPLOY_ID TARGET ISO [VMID HOST]")?;
            Call::Reconfigure { deploy_id, target, iso, action: document }
        }
        "snapshot_create" => {
            let [deploy_id, id] = arguments.first("DEPLOY_ID SNAPSHOT_ID [VMID HOST]")?;
            Call::SnapshotCreate { deploy_id, snapshot_id: arguments.number(&id, "SNAPSHOT_ID")?, action: document }
        }
        "snapshot_revert" | "snapshot_delete" => {
            let [deploy_id, snapshot] = arguments.first("DEPLOY_ID SNAPSHOT [VMID HOST]")?;
            match action {
                "snapshot_revert" => Call::SnapshotRevert { deploy_id, snapshot, action: document },
                _ => Call::SnapshotDelete { deploy_id, snapshot, action: document },
            }
        }
        "resize" => {
            let [deploy_id] = arguments.first("DEPLOY_ID [VMID HOST]")?;
            Call::Resize { deploy_id, action: document }
        }
        "resize_disk" => {
            let [deploy_id, disk, size] = arguments.first("DEPLOY_ID DISK_ID SIZE [ACTION_BASE64 HOST VMID HOST]")?;
            let (disk_id, size) = (arguments.number(&disk, "DISK_ID")?, arguments.number(&size, "SIZE")?);
            Call::ResizeDisk { deploy_id, disk_id, size, action: arguments.document_or(document, 3)? }
        }
        "exec" => {
            let [vm_id, host, command] = arguments.first("VMID HOST COMMAND [STDIN_BASE64]")?;
            let stdin = arguments.base64(3)?;
            Call::Exec { vm_id: arguments.number(&vm_id, "VMID")?, host, command, stdin }
        }
        "exec_cancel" => {
            let [vm_id, host] = arguments.first("VMID HOST")?;
            Call::ExecCancel { vm_id: arguments.number(&vm_id, "VMID")?, host }
        }
        other => return Err(ConventionError::Action { subsystem: "vmm".into(), action: other.into() }),
    };
    Ok(call)
}

struct Arguments<'a> {
    action: &'a str,
    argv: &'a [String],
}

impl Arguments<'_> {
    fn problem(&self, expected: &'static str, problem: String) -> ConventionError {
        ConventionError::Arguments { action: self.action.to_owned(), expected, problem }
    }

    fn first<const N: usize>(&self, expected: &'static str) -> Result<[String; N], ConventionError> {
        self.argv
            .get(..N)
            .and_then(|first| first.to_vec().try_into().ok())
            .ok_or_else(|| self.problem(expected, format!("there are {}", self.argv.len())))
    }

    fn number<T: std::str::FromStr>(&self, text: &str, name: &'static str) -> Result<T, ConventionError> {
        text.parse().map_err(|_| self.problem(name, format!("{name} is {text:?}, not a number in range")))
    }

    fn base64(&self, index: usize) -> Result<Vec<u8>, ConventionError> {
        let text = self.argv.get(index).map(String::as_str).unwrap_or_default();
        STANDARD.decode(text).map_err(|error| self.problem("base64", format!("argument {}: {error}", index + 1)))
    }

    /// The document of standard input or, where that is empty, of an argument in base64.
    fn document_or(&self, document: String, index: usize) -> Result<String, ConventionError> {
        match document.trim().is_empty() {
            true => Ok(readable(&self.base64(index)?)),
            false => Ok(document),
        }
    }
}

/// The document on standard input: raw on a host, in base64 where oned runs the action on the front-end.
fn document(action: &str, stdin: &[u8]) -> Result<String, ConventionError> {
    let bytes = packed(stdin).map_or(Cow::Borrowed(stdin), Cow::Owned);
    match action {
        // libvirt refuses what is none; it must not get something else in its place.
        "deploy" => String::from_utf8(bytes.into_owned()).map_err(|_| ConventionError::Stdin(action.to_owned())),
        _ => Ok(readable(&bytes)),
    }
}

/// What is in base64, where that is a document.
fn packed(stdin: &[u8]) -> Option<Vec<u8>> {
    let trimmed = stdin.trim_ascii();
    let decoded = STANDARD.decode(trimmed).ok().filter(|_| !trimmed.is_empty() && !trimmed.starts_with(b"<"))?;
    decoded.trim_ascii_start().starts_with(b"<").then_some(decoded)
}

/// What oned is to read of the reply.
pub fn print(call: &Call, reply: &Reply) -> Printed {
    match reply {
        Reply::Deploy(Ok(word)) | Reply::SnapshotCreate(Ok(word)) => print_word(call, word),
        Reply::Actions(actions) => Printed { stdout: actions.join("\n") + "\n", ..Printed::default() },
        reply => reply.failure().map_or_else(Printed::default, |failure| print_failure(call, failure)),
    }
}

/// oned takes the first word of standard output for the deploy id or the snapshot's name.
fn print_word(call: &Call, word: &str) -> Printed {
    let fit = !word.is_empty()
        && word.len() <= 256
        && word.bytes().all(|byte| byte.is_ascii_graphic())
        && !word.contains(END_OF_OUTPUT);
    match fit {
        true => Printed { stdout: format!("{word}\n"), ..Printed::default() },
        false => print_failure(
            call,
            &Failure::invalid(format!("{}: the driver returned {word:?}, expected one word", call.action())),
        ),
    }
}

/// A failed action. Exit codes are those of the stock scripts, except that there is no 42.
pub fn print_failure(call: &Call, failure: &Failure) -> Printed {
    let code = match (call, failure.kind) {
        (Call::Deploy { .. } | Call::SnapshotCreate { .. }, _) => 255,
        (Call::Shutdown { .. }, FailureKind::Timeout) => 255,
        (Call::DetachDisk { .. }, FailureKind::Busy | FailureKind::Timeout) => 255,
        _ => 1,
    };
    let message = match failure.message.trim() {
        "" => format!("{} failed ({})", call.action(), failure.kind.name()),
        message => message.to_owned(),
    };
    Printed { stdout: String::new(), stderr: failure_line(&message), code }
}

/// Where oned counts a disk by the last letter of its target: below zero where that is none. It is nothing to fail
/// for, since no driver needs it.
fn position(text: &str) -> u32 {
    text.parse().unwrap_or_default()
}
