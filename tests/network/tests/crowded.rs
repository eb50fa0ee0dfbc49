//! Hosts with so many chains that a change looks only at those that it depends on: the same state.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_network_tests::{Case, State, assert_state, isolated, sh};

/// Chains of others.
const OTHERS: u32 = 600;

/// Makes the others' chains, or takes them away.
fn others(line: impl Fn(u32) -> String) {
    let lines: String = (0..OTHERS).map(|number| line(number) + "\n").collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("*filter\n{lines}COMMIT\n")).unwrap();
    for program in ["iptables-restore", "ip6tables-restore"] {
        sh(&format!("{program} --noflush < {}", file.path().display()));
    }
}

fn replay(name: &'static str) {
    isolated(move || {
        let case = Case::read(name);
        let mut grounds = case.prepare();
        others(|number| format!(":another-{number} - [0:0]\n-A another-{number} -p tcp -j RETURN"));
        for _ in 0..2 {
            let outcome = grounds.call(case.driver(), case.call());
            assert!(matches!(outcome.result, Some(Ok(_))), "{outcome:?}");
        }
        let rules = sh("iptables-save");
        assert_eq!(rules.matches("-A another-").count(), OTHERS as usize, "those of others are as they were");
        others(|number| format!("-F another-{number}\n-X another-{number}"));
        // Asking for a table makes it.
        let mut now = State::now();
        if case.after().iptables.is_empty() {
            (now.iptables, now.ip6tables) = Default::default();
        }
        assert_state(&now, &case.after(), name);
    });
}

/// The end of the shared chain is looked for where it was made first, and then everywhere.
#[test]
fn the_end_of_the_shared_chain_is_there_once_wherever_it_was() {
    for change in ["-D opennebula -j ACCEPT", "-D opennebula -j ACCEPT; iptables -A opennebula -j ACCEPT"] {
        isolated(move || {
            let case = Case::read("15-fw-post-net");
            let mut grounds = case.prepare();
            others(|number| format!(":another-{number} - [0:0]\n-A another-{number} -p tcp -j RETURN"));
            assert!(matches!(grounds.call(case.driver(), case.call()).result, Some(Ok(_))));
            // Numbers of rules grow.
            sh("for number in $(seq 20); do iptables -A another-0 -j RETURN; done");
            sh(&format!("iptables {change}"));
            assert!(matches!(grounds.call(case.driver(), case.call()).result, Some(Ok(_))));
            let rules = sh("iptables -S opennebula");
            assert!(rules.matches("-j ACCEPT").count() == 1 && rules.trim_end().ends_with("-j ACCEPT"), "{rules}");
        });
    }
}

macro_rules! cases {
    ($($test:ident $name:literal,)*) => { $(#[test] fn $test() { replay($name); })* };
}

cases! {
    fw_post_net "15-fw-post-net",
    fw_post_two_nics "22-fw-post-two-nics",
    fw_two_vms_post_second "26-fw-two-vms-post-second",
    fw_two_vms_clean_first "27-fw-two-vms-clean-first",
    fw_detach_nic "29-fw-detach-nic",
    fw_attach_nic "30-fw-attach-nic",
    fw_post_twice "31-fw-post-twice",
    fw_update_sg "32-fw-update-sg",
    nodeport_post "58-nodeport-post",
    elastic_remote_post "60-elastic-remote-post",
}
