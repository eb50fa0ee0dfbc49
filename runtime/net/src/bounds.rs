//! What root lets the server do, whatever its clients ask.

use std::path::{Path, PathBuf};

use remotes_effect::Effect;
use remotes_effect::policy::Policy;
use remotes_effect::types::Failure;
use remotes_network::links::others;

use crate::{ServeError, trust};

/// What holds where root has said nothing.
const BUILT_IN: &str = include_str!("bounds.toml");

/// How denials name the client's policy.
const CLIENTS: &str = "the driver's policy";

/// Root's bounds.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    policy: Policy,
    /// where they come from, for messages
    source: String,
}

impl Bounds {
    /// Reads root's file, which nobody else may be able to write; the built-in bounds where there is none.
    pub fn read(file: &Path) -> Result<Self, ServeError> {
        match trust::read(file)? {
            Some(text) => Self::parse(&text, file),
            None => {
                let built_in = Self::parse(BUILT_IN, Path::new("built in"))?;
                Ok(Self {
                    source: format!("{} (which is not there: built-in bounds hold)", file.display()),
                    ..built_in
                })
            }
        }
    }

    fn parse(text: &str, file: &Path) -> Result<Self, ServeError> {
        let fail = |message: String| ServeError::Bounds { file: file.to_owned(), message };
        let policy = Policy::parse(text, file)?;
        // A grant that looks as if it held, but never does, would deceive whoever wrote it.
        let rest =
            Policy { links: None, iptables: None, openvswitch: None, sriov: None, tproxy: None, ..policy.clone() };
        if rest != (Policy { schema: policy.schema, ..Policy::default() }) {
            return Err(fail(
                "this server knows the tables [links], [iptables], [openvswitch], [sriov] and [tproxy] only; remove the \
                 others"
                    .to_owned(),
            ));
        }
        Ok(Self { policy, source: file.display().to_string() })
    }

    /// The daemon of transparent proxies. Root runs it, so root has to say which it is, and nobody else may be
    /// able to write it: that in the remotes tree belongs to the runtime's user.
    pub fn proxy_daemon(&self) -> Result<PathBuf, Failure> {
        let Some(program) = self.policy.tproxy.as_ref().and_then(|grant| grant.program.as_ref()) else {
            return Err(Failure::unavailable(format!(
                "root has not said which program is the daemon of transparent proxies: copy `vnm/tproxy` of \
                 OpenNebula's remotes to where only root can write, and name the copy by `program = \"/PATH\"` under \
                 [tproxy] in {} (share/doc/remotes/adoption.md)",
                self.source
            )));
        };
        let program = PathBuf::from(program);
        trust::check_program(&program)
            .map_err(|error| Failure::denied(format!("`program` under [tproxy] in {}: {error}", self.source)))?;
        Ok(program)
    }

    /// Whether the effect lies within them.
    pub fn check(&self, effect: &Effect) -> Result<(), Failure> {
        self.policy.check(effect).and_then(|()| others::check(effect, &self.policy)).map_err(|failure| {
            let message = failure.message.replace(CLIENTS, &self.source);
            Failure { message: format!("beyond root's bounds: {message}"), ..failure }
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use remotes_effect::links;

    use super::*;

    /// An operator who installs the server must not find that the drivers can do less with it.
    #[test]
    fn the_built_in_bounds_are_the_policies_that_come_with_the_drivers() {
        let bounds: toml::Table = BUILT_IN.parse().unwrap();
        let guests = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guests");
        let mut read = 0;
        for entry in std::fs::read_dir(guests).unwrap() {
            let entry = entry.unwrap();
            let file = entry.path().join("policy.toml");
            if !entry.file_name().to_string_lossy().starts_with("vnm-") || !file.exists() {
                continue;
            }
            read += 1;
            let policy: toml::Table = std::fs::read_to_string(&file).unwrap().parse().unwrap();
            for (name, table) in bounds.iter().filter(|(_, table)| table.is_table()) {
                let granted = policy.get(name).and_then(toml::Value::as_table).cloned().unwrap_or_default();
                for (key, value) in granted {
                    let bound = table.get(&key).unwrap_or_else(|| panic!("{}: [{name}] {key}", file.display()));
                    let within = match (&value, bound) {
                        (toml::Value::Array(values), toml::Value::Array(bound)) => {
                            values.iter().all(|value| bound.contains(value))
                        }
                        (value, bound) => value == bound,
                    };
                    assert!(within, "{}: [{name}] {key} = {value} is beyond {bound}", file.display());
                }
            }
        }
        assert!(read >= 9, "{read} policies");
    }

    #[test]
    fn only_the_network_can_be_granted() {
        let parse = |text: &str| Bounds::parse(&format!("schema = 1\n{text}"), Path::new("/etc/one/remotes-net.toml"));
        parse("[links]\nbridges = [\"mybr*\"]\n").unwrap();
        for text in [
            "[paths]\n\"/etc\" = \"rw\"\n",
            "[tools.sh]\npath = \"/bin/sh\"\n",
            "hosts = [\"*\"]\n",
            "hooks = [\"pre\"]\n",
            "[link]\n",
            "[links]\nbridge = [\"x\"]\n",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert_eq!(error.matches("/etc/one/remotes-net.toml: ").count(), 1, "{error}");
        }
    }

    #[test]
    fn a_denial_names_roots_file() {
        let bounds = Bounds::read(Path::new("/nonexistent/remotes-net.toml")).unwrap();
        let effect = Effect::Links(links::Effect::SetMtu { name: "docker0".into(), mtu: 1500 });
        let failure = bounds.check(&effect).unwrap_err();
        assert_eq!(
            failure.message,
            "beyond root's bounds: links.set-mtu: device docker0: granted are eth*.*, en*.*, bond*.*, team*.*, ib*.*; \
             `devices` under [links] in /nonexistent/remotes-net.toml (which is not there: built-in bounds hold) would allow it"
        );
    }
}
