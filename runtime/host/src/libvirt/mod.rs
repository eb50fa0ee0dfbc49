//! The hypervisor, through the libvirt effect server: libvirt itself is never loaded here.

mod files;

use std::path::Path;
use std::sync::Arc;

use remotes_effect::deadline::Deadline;
use remotes_effect::policy::{Access, NamedFile, Policy};
use remotes_effect::types::Failure;
use remotes_effect::{Answer, Effect, libvirt};
use remotes_process::bare;
use remotes_process::report::shown;

use crate::configuration::Configuration;
use crate::connection::Connection;
use crate::jail::Jail;
use files::{Opening, opening};

/// The key of the connection's URI in the operator's configuration.
const KEY: &str = "LIBVIRT_URI";
/// The URI where no configuration file sets one.
const DEFAULT: &str = "qemu:///system";

/// What libvirt needs of the environment to find a session's daemon, and ssh for remote URIs.
const ENVIRONMENT: [&str; 7] =
    ["HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "SSH_AUTH_SOCK"];

/// The executor of `libvirt`: one server, started with the first effect.
pub(crate) struct Libvirt {
    server: Connection,
    policy: Arc<Policy>,
    /// whether the hypervisor is this machine's, whose files can be looked at
    local: bool,
}

impl Libvirt {
    /// Finds out the URI and whether it is granted. Starts nothing yet.
    pub fn new(
        program: &Path,
        configuration: &mut Configuration,
        policy: &Arc<Policy>,
        deadline: Deadline,
    ) -> Result<Self, Failure> {
        let configured = configuration.variable(KEY)?.filter(|uri| !uri.is_empty());
        let origin = match &configured {
            Some(_) => format!("{KEY} in a file under `configuration` in the driver's policy"),
            None => format!("the default, since no file under `configuration` in the driver's policy sets {KEY}"),
        };
        let uri = configured.unwrap_or_else(|| DEFAULT.to_owned());
        let grant = policy.libvirt.as_ref().ok_or_else(|| {
            Failure::denied("the driver's policy grants no hypervisor; a table [libvirt] would".to_owned())
        })?;
        grant
            .check_uri(&uri)
            .map_err(|failure| Failure { message: format!("{}; it is {origin}", failure.message), ..failure })?;
        if uri.starts_with('-') || uri.chars().any(char::is_control) {
            return Err(Failure::invalid(format!("{KEY} = {}: is no URI", shown(&uri))));
        }
        let mut command = bare(program);
        for name in ENVIRONMENT {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.arg(&uri);
        let name = format!("the libvirt server {}", shown(program));
        let local = uri.split_once("://").is_some_and(|(_, rest)| rest.starts_with('/'));
        let server = Connection::new(name, command, policy.clone(), deadline).to(format!("libvirt at {}", shown(&uri)));
        Ok(Self { server, policy: policy.clone(), local })
    }

    /// Has the effect carried out.
    pub fn call(&mut self, effect: &libvirt::Effect, jail: &Jail) -> Result<Answer, Failure> {
        if self.local {
            self.check_files(effect, jail)?;
        }
        self.server.call(&Effect::Libvirt(effect.clone()))
    }

    /// Looks at the files that the hypervisor is to open.
    fn check_files(&mut self, effect: &libvirt::Effect, jail: &Jail) -> Result<(), Failure> {
        match opening(effect) {
            Opening::Nothing => Ok(()),
            Opening::Description(xml) => files::check(jail, &self.policy, xml),
            Opening::Saved { on, path } => {
                let saved = libvirt::Effect::SavedXml { on: on.clone(), path: path.to_owned() };
                match self.server.call(&Effect::Libvirt(saved))? {
                    Answer::Libvirt(libvirt::Answer::SavedXml(saved)) => files::check(jail, &self.policy, &saved?),
                    _ => Ok(()),
                }
            }
            Opening::Snapshot { on, domain, xml } => {
                files::check(jail, &self.policy, xml)?;
                self.check_described(jail, libvirt::Effect::Xml { on: on.clone(), domain: domain.to_owned() })
            }
            Opening::Domain { on, domain, snapshot } => {
                let (on, domain) = (on.clone(), domain.to_owned());
                self.check_described(jail, libvirt::Effect::Xml { on: on.clone(), domain: domain.clone() })?;
                snapshot.map_or(Ok(()), |snapshot| {
                    let snapshot = snapshot.to_owned();
                    self.check_described(jail, libvirt::Effect::SnapshotXml { on, domain, snapshot })
                })
            }
            Opening::Target(target) => {
                let (path, format) = (target.path.clone(), Some(target.format.clone()));
                files::check_file(jail, &self.policy, &NamedFile { path, access: Access::ReadWrite, format })
            }
        }
    }

    /// Looks at the files that a description of libvirt's own names. Whether there is one is for what follows to say.
    fn check_described(&mut self, jail: &Jail, description: libvirt::Effect) -> Result<(), Failure> {
        match self.server.call(&Effect::Libvirt(description))? {
            Answer::Libvirt(libvirt::Answer::Xml(Ok(xml)) | libvirt::Answer::SnapshotXml(Ok(xml))) => {
                files::check_images(jail, &self.policy, &xml)
            }
            _ => Ok(()),
        }
    }
}
