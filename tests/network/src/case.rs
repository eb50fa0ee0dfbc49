//! Recorded cases of the stock drivers, replayed.

use std::path::{Path, PathBuf};

use remotes_effect::vnm::Call;
use serde_json::Value;

use crate::{By, Grounds, State, node, sh, without_carrier};

/// One folder of `tests/golden/vnm`.
pub struct Case {
    folder: PathBuf,
    input: Value,
    by: By,
}

/// The folder of all cases.
fn all() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../golden/vnm"))
}

impl Case {
    /// Reads a case.
    pub fn read(name: &str) -> Self {
        Self::below(&all(), name)
    }

    /// Reads a case of another folder.
    pub fn below(folder: &Path, name: &str) -> Self {
        let folder = folder.join(name);
        let input =
            std::fs::read_to_string(folder.join("input.json")).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { folder, input: serde_json::from_str(&input).unwrap(), by: By::Own }
    }

    /// Changes of the network go another way.
    pub fn by(self, by: By) -> Self {
        Self { by, ..self }
    }

    /// Names of all cases there are.
    pub fn names() -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(all()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was recorded of the call.
    pub fn input(&self) -> &Value {
        &self.input
    }

    /// A file of the case.
    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What a driver finds but for the network.
    pub fn grounds(&self) -> Grounds {
        let mut grounds = Grounds::by(self.by);
        if self.has_proxies() {
            grounds = grounds.with_proxies();
        }
        grounds.configuration(&self.text("OpenNebulaNetwork.conf"));
        grounds.node(&node(&self.input));
        for (path, text) in self.input["hooks"].as_object().into_iter().flatten() {
            grounds.hook(self.driver(), path, text.as_str().unwrap());
        }
        grounds
    }

    /// Whether transparent proxies are configured.
    pub fn has_proxies(&self) -> bool {
        self.text("OpenNebulaNetwork.conf").lines().any(|line| line.starts_with(":tproxy:"))
    }

    /// The host before the recorded action.
    pub fn prepare(&self) -> Grounds {
        let mut grounds = self.grounds();
        for line in self.input["setup"].as_array().into_iter().flatten() {
            sh(line.as_str().unwrap());
        }
        for (number, prior) in self.input["prior"].as_array().into_iter().flatten().enumerate() {
            match prior["command"].as_str() {
                Some(line) => drop(sh(line)),
                None => {
                    let xml =
                        prior["vm_xml"].as_str().map_or_else(|| format!("prior-{}.xml", number + 1), str::to_owned);
                    let outcome = grounds.call(prior["driver"].as_str().unwrap(), self.made(prior, &self.text(&xml)));
                    assert!(matches!(outcome.result, Some(Ok(_))), "prior: {outcome:?}");
                }
            }
        }
        if let Some(before) = State::recorded(&self.folder.join("before")) {
            assert_state(&State::now(), &before, "before the action");
        }
        grounds
    }

    /// What a tool that did not run said to these arguments.
    pub fn shim(&self, tool: &str, arguments: &str) -> String {
        let replies = self.input["shims"][tool]["replies"].as_array().into_iter().flatten();
        let reply = replies.into_iter().find(|reply| reply["args"] == arguments);
        reply.and_then(|reply| reply["stdout"].as_str()).unwrap_or_default().to_owned()
    }

    /// Links with what is below them, as `ip` listed them to these arguments: `10: eth1.100@eth1: <…>`.
    pub fn links(&self, arguments: &str) -> Vec<(String, Option<String>)> {
        let listed = self.shim("ip", arguments);
        let names = listed.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
        names
            .map(|line| {
                let name = line.split(": ").nth(1).unwrap();
                match name.split_once('@') {
                    Some((name, lower)) => (name.to_owned(), Some(lower.to_owned())),
                    None => (name.to_owned(), None),
                }
            })
            .collect()
    }

    /// The case's name.
    pub fn name(&self) -> &str {
        self.folder.file_name().and_then(|name| name.to_str()).unwrap()
    }

    /// By which way the network is changed.
    pub fn way(&self) -> By {
        self.by
    }

    /// The driver that is called.
    pub fn driver(&self) -> &str {
        self.input["driver"].as_str().unwrap()
    }

    /// The recorded call.
    pub fn call(&self) -> Call {
        self.made(&self.input, &self.text("vm.xml"))
    }

    fn made(&self, call: &Value, vm: &str) -> Call {
        let vm = vm.trim_end().to_owned();
        let argument = |index: usize| call["argv"][index].as_str().unwrap_or_default().to_owned();
        match call["action"].as_str().unwrap() {
            "pre" => Call::Pre { vm },
            "post" => Call::Post { vm, deploy_id: argument(0), host: argument(1) },
            "clean" => Call::Clean { vm, host: argument(0) },
            "remote_post" => Call::RemotePost { vm, deploy_id: argument(0), host: argument(1) },
            "update_sg" => Call::UpdateSg { vm, deploy_id: argument(0) },
            "update_nic" => Call::UpdateNic { vm, deploy_id: argument(0), network_id: argument(1).parse().unwrap() },
            other => panic!("no action {other}"),
        }
    }

    /// The recorded state.
    pub fn after(&self) -> State {
        State::recorded(&self.folder.join("after")).expect("a recorded state")
    }

    /// Replays the case and compares.
    pub fn replay(&self) {
        let mut grounds = self.prepare();
        let outcome = grounds.call(self.driver(), self.call());
        let failed = self.text("after/exit_code").trim() != "0";
        let result = outcome.result.clone().expect("the action came to its end");
        assert_eq!(result.is_err(), failed, "{outcome:?}");
        assert_eq!(result.unwrap_or_default(), self.text("after/stdout"), "{outcome:?}");
        // Said once where it is so, and never elsewhere: no way is another one in disguise.
        let slower = outcome.log.iter().filter(|line| line.contains("one command each")).count();
        assert!(slower <= usize::from(self.by == By::Stock), "{:?}: {outcome:?}", self.by);
        assert_state(&State::now(), &self.after(), &format!("after the action: {outcome:?}"));
        self.assert_more();
    }

    /// Compares what was recorded beside the state: routes, neighbours.
    ///
    /// # Panics
    /// When it differs.
    pub fn assert_more(&self) {
        for (file, line) in self.input["extra_files"].as_object().into_iter().flatten() {
            let (now, recorded) = (sh(line.as_str().unwrap()), self.text(&format!("after/{file}")));
            assert_eq!(without_carrier(&now), without_carrier(&recorded), "{file}");
        }
    }
}

/// Compares part by part, for a message that can be read.
///
/// # Panics
/// When they differ.
pub fn assert_state(now: &State, expected: &State, when: &str) {
    assert_eq!(now.iptables, expected.iptables, "iptables {when}\n{}\n{}", now.iptables, expected.iptables);
    assert_eq!(now.ip6tables, expected.ip6tables, "ip6tables {when}\n{}\n{}", now.ip6tables, expected.ip6tables);
    assert_eq!(now.ipset, expected.ipset, "ipset {when}\n{}\n{}", now.ipset, expected.ipset);
    assert_eq!(now.links, expected.links, "links {when}");
}
