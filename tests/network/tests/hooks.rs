//! What hooks print on standard error, and what is no hook.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use remotes_effect::vnm::Call;
use remotes_network_tests::scene::Machine;
use remotes_network_tests::{Grounds, isolated, sh};

#[test]
fn what_a_hook_of_the_dummy_says_keeps_its_severity() {
    isolated(|| {
        let mut grounds = Grounds::default();
        let said = "ERROR: hook: one\nWARNING: two\nINFO: three\nDEBUG: four\nfive: six\nERRORS: seven\n";
        grounds.hook("dummy", "post.d/10-a", &format!("#!/bin/sh\necho eight\nprintf '%s' '{said}' >&2\n"));
        let vm = "<VM><ID>7</ID></VM>".to_owned();
        let outcome = grounds.call("dummy", Call::Post { vm, deploy_id: "one-7".into(), host: "node1".into() });
        assert_eq!(outcome.result, Some(Ok("eight\n".to_owned())));
        let expected = [
            "Error: hook: one",
            "Warning: two",
            "Info: three",
            "Debug: four",
            "Info: five: six",
            "Info: ERRORS: seven",
        ];
        assert_eq!(outcome.log, expected);
    });
}

#[test]
fn site_extensions_in_ruby_are_not_loaded() {
    isolated(|| {
        let mut grounds = Grounds::default();
        grounds.hook("vnmmad-load.d", "site.rb", "#!/bin/sh\nip link add extended type bridge\n");
        Machine::new(7, "bridge").act(&mut grounds, "pre");
        assert!(!sh("ip -o link show").contains("extended"));
    });
}

#[test]
fn what_a_hook_prints_without_end_is_left_out() {
    isolated(|| {
        let mut grounds = Grounds::default();
        grounds.hook("bridge", "pre.d/10-a", "#!/bin/sh\nseq 1 60000\n");
        let machine = Machine::new(7, "bridge");
        let outcome = grounds.call("bridge", Call::Pre { vm: machine.document() });
        assert!(matches!(outcome.result, Some(Ok(_))), "{:?}", outcome.result);
        assert!(outcome.log.iter().any(|line| line == "Info: 1"));
        let last = outcome.log.last().unwrap();
        assert!(
            last.starts_with("Warning: 5") && last.ends_with("lines that the hook printed are left out here"),
            "{last}"
        );
    });
}
