//! Network actions. Standard input is the virtual machine's document in base64, on one line or wrapped;
//! what an action prints becomes the step's information.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remotes_effect::types::{Failure, FailureKind};
use remotes_effect::vnm::{Call, Reply};

use super::text::readable;
use super::{ConventionError, END_OF_OUTPUT, Printed, failure_line};

/// Makes the typed call. Arguments that are not given are empty: the stock drivers do not insist on them.
pub fn call(action: &str, argv: &[String], stdin: &[u8]) -> Result<Call, ConventionError> {
    let vm = document(stdin);
    let argument = |index: usize| argv.get(index).cloned().unwrap_or_default();
    let network = |index: usize| {
        let text = argument(index);
        text.parse().map_err(|_| ConventionError::Arguments {
            action: action.to_owned(),
            expected: if index == 0 { "NETWORK_ID" } else { "DEPLOY_ID NETWORK_ID" },
            problem: format!("NETWORK_ID is {text:?}, not a number in range"),
        })
    };
    let call = match action {
        "pre" => Call::Pre { vm },
        "post" => Call::Post { vm, deploy_id: argument(0), host: argument(1) },
        "clean" => Call::Clean { vm, host: argument(0) },
        "update_sg" => Call::UpdateSg { vm, deploy_id: argument(0) },
        "update_nic" => Call::UpdateNic { vm, deploy_id: argument(0), network_id: network(1)? },
        "vnet_create" => Call::VnetCreate { network_id: network(0)?, network: vm },
        "vnet_delete" => Call::VnetDelete { network_id: network(0)?, network: vm },
        "remote_post" => Call::RemotePost { vm, deploy_id: argument(0), host: argument(1) },
        "remote_clean" => Call::RemoteClean { vm, host: argument(0) },
        other => return Err(ConventionError::Action { subsystem: "vnm".into(), action: other.into() }),
    };
    Ok(call)
}

/// The document on standard input. What is no base64 is taken as it is, for whoever calls by hand.
fn document(stdin: &[u8]) -> String {
    let packed: Vec<u8> = stdin.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    match packed.first() {
        None | Some(b'<') => readable(stdin),
        Some(_) => readable(&STANDARD.decode(&packed).unwrap_or_else(|_| stdin.to_vec())),
    }
}

/// What oned is to read of the reply.
pub fn print(call: &Call, reply: &Reply) -> Printed {
    match reply {
        Reply::Actions(actions) => Printed { stdout: actions.join("\n") + "\n", ..Printed::default() },
        Reply::Pre(result)
        | Reply::Post(result)
        | Reply::Clean(result)
        | Reply::UpdateSg(result)
        | Reply::UpdateNic(result)
        | Reply::VnetCreate(result)
        | Reply::VnetDelete(result)
        | Reply::RemotePost(result)
        | Reply::RemoteClean(result) => match result {
            Ok(text) => Printed { stdout: printable(text), ..Printed::default() },
            Err(failure) => print_failure(call, failure),
        },
    }
}

/// Lines of text, without what moves a terminal's cursor, and without the mark at which the front-end takes
/// its output for ended: what follows it would be read as the next action's.
fn printable(text: &str) -> String {
    let text: String = text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
    text.replace(END_OF_OUTPUT, "EOF OUT")
}

/// A failed action. A bridge that carries another VLAN is 255, as with the stock drivers.
pub fn print_failure(call: &Call, failure: &Failure) -> Printed {
    let code = match (call, failure.kind) {
        (Call::Pre { .. }, FailureKind::Busy) => 255,
        _ => 1,
    };
    let message = match failure.message.trim() {
        "" => format!("{} failed ({})", call.action(), failure.kind.name()),
        message => message.to_owned(),
    };
    Printed { stdout: String::new(), stderr: failure_line(&message), code }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    const VM: &str = "<VM><ID>5</ID></VM>";

    fn words(text: &str) -> Vec<String> {
        text.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn documents_come_on_one_line_and_wrapped() {
        let long = format!("<VM>{}</VM>", "x".repeat(500));
        let line = STANDARD.encode(&long);
        let wrapped: String =
            line.as_bytes().chunks(60).map(|part| format!("{}\n", str::from_utf8(part).unwrap())).collect();
        for stdin in [format!("{line}\n"), format!("{wrapped}\n"), long.clone()] {
            assert_eq!(call("pre", &[], stdin.as_bytes()).unwrap(), Call::Pre { vm: long.clone() });
        }
        // oned cuts what a program has said in the middle of a character.
        let cut = STANDARD.encode(b"<VM><ERROR><![CDATA[\x1b[31m\xe2\x80]]></ERROR></VM>");
        let vm = "<VM><ERROR><![CDATA[\u{fffd}[31m\u{fffd}]]></ERROR></VM>".to_owned();
        assert_eq!(call("pre", &[], cut.as_bytes()).unwrap(), Call::Pre { vm });
        assert_eq!(call("pre", &[], b"").unwrap(), Call::Pre { vm: String::new() });
    }

    #[test]
    fn arguments_are_those_of_the_stock_drivers() {
        let stdin = STANDARD.encode(VM);
        let made = |action: &str, argv: &str| call(action, &words(argv), stdin.as_bytes());
        let vm = || VM.to_owned();
        let post = Call::Post { vm: vm(), deploy_id: "one-5".into(), host: "node1".into() };
        assert_eq!(made("post", "one-5 node1").unwrap(), post);
        assert_eq!(made("clean", "node1").unwrap(), Call::Clean { vm: vm(), host: "node1".into() });
        assert_eq!(made("clean", "").unwrap(), Call::Clean { vm: vm(), host: String::new() });
        let update = Call::UpdateNic { vm: vm(), deploy_id: "one-5".into(), network_id: 7 };
        assert_eq!(made("update_nic", "one-5 7").unwrap(), update);
        assert_eq!(made("vnet_create", "3").unwrap(), Call::VnetCreate { network_id: 3, network: vm() });
        for (action, argv) in
            [("update_nic", "one-5"), ("update_nic", "one-5 x"), ("vnet_delete", "-1"), ("deploy", "")]
        {
            assert!(made(action, argv).is_err(), "{action} {argv}");
        }
    }

    #[test]
    fn what_is_printed_moves_no_cursor_and_ends_nothing() {
        let call = Call::Pre { vm: String::new() };
        let printed = print(&call, &Reply::Pre(Ok("a\u{1b}[2Jb\n".into())));
        assert_eq!((printed.stdout.as_str(), printed.code), ("a[2Jb\n", 0));
        let printed = print(&call, &Reply::Pre(Ok("a EOF\u{1}_OUTEOF_OUT\n".into())));
        assert_eq!(printed.stdout, "a EOF OUTEOF OUT\n");
        let busy = print(&call, &Reply::Pre(Err(Failure::busy("br0: another VLAN"))));
        assert_eq!((busy.stderr.as_str(), busy.code), ("br0: another VLAN\n", 255));
    }
}
