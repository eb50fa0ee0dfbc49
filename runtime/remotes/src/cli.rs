//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

const EXIT_CODES: &str = "Exit codes: 0 success; 1 failure, or what the action returns; 2 wrong usage, also an \
    action that does not exist or lacks arguments; 3 a replay that differs from its recording or has only a part of \
    one, a tree that does not verify, a policy that is not valid.

Environment: ONE_LOCATION, where OpenNebula is installed in one folder; HOME and XDG_CACHE_HOME, where a \
    host keeps code that it compiled for itself; REMOTES_LOG, what is told to the system's journal (debug, or \
    warn,remotes_host=trace; warn by default), and REMOTES_LOG_FILE, a file in place of it.";

/// Runs OpenNebula drivers as sandboxed WebAssembly components, and looks after the remotes tree they live in.
#[derive(Parser)]
#[command(name = "remotes", version, after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    // Before the command as well; offered where something is listed.
    #[arg(long, hide = true)]
    json: bool,
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Whether JSON is asked for, wherever that stands.
    pub fn json(&self) -> bool {
        self.json || self.command.output().is_some_and(|output| output.json)
    }
}

/// How something is listed.
#[derive(Args)]
pub struct Output {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

/// Commands of one kind, all of which list something.
#[derive(Args)]
pub struct Group<C: Subcommand> {
    #[command(subcommand)]
    pub command: C,
    #[command(flatten)]
    output: Output,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run one action as oned would
    Exec(Exec),
    /// Run a component against a recording, without touching anything
    Replay(Replay),
    /// List the drivers of a tree
    List(List),
    /// Show what a component imports and exports
    Inspect(Inspect),
    /// Check or explain a driver's policy
    Policy(Group<Policy>),
    /// Put drivers into a remotes tree, take them out, verify them
    Tree(Group<Tree>),
    /// Look at the virtual networks of this host
    Vnm(Group<Vnm>),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Write man pages into a folder
    Man(Man),
}

impl Command {
    /// How it lists something, where it does.
    fn output(&self) -> Option<&Output> {
        Some(match self {
            Self::Exec(Exec { output, .. })
            | Self::List(List { output, .. })
            | Self::Inspect(Inspect { output, .. })
            | Self::Policy(Group { output, .. })
            | Self::Tree(Group { output, .. })
            | Self::Vnm(Group { output, .. }) => output,
            Self::Replay(_) | Self::Completions(_) | Self::Man(_) => return None,
        })
    }

    /// Whether it prints a list that can be JSON.
    pub fn lists(&self) -> bool {
        match self {
            Self::Exec(exec) => exec.dry_run,
            Self::Vnm(Group { command: Vnm::Show(show), .. }) => !show.dot,
            other => other.output().is_some(),
        }
    }
}

/// What programs of ours start, and nobody types: apart, so that neither help nor completions offer it.
#[derive(Parser)]
pub enum Internal {
    #[command(subcommand)]
    Tree(InternalTree),
}

#[derive(Subcommand)]
pub enum InternalTree {
    /// Compile a driver for this machine into its own cache
    Compile {
        /// The driver's folder in a tree
        folder: PathBuf,
    },
    /// Compile one component, or core module, within limits of its own
    Precompile {
        /// `-`, standard input
        component: String,
    },
}

#[derive(Args)]
pub struct List {
    /// The remotes tree, as with --tree
    #[arg(value_hint = ValueHint::DirPath, conflicts_with = "tree")]
    pub dir: Option<PathBuf>,
    #[command(flatten)]
    pub tree: InTree,
    #[command(flatten)]
    output: Output,
}

/// Which tree.
#[derive(Args, Clone)]
pub struct InTree {
    /// The remotes tree [default: that of this program, $ONE_LOCATION/var/remotes, /var/lib/one/remotes or /var/tmp/one]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub tree: Option<PathBuf>,
}

#[derive(Args)]
pub struct Exec {
    /// SUBSYSTEM/DRIVER/ACTION (vmm/kvm/deploy), or the path of an action in a tree
    #[arg(value_hint = ValueHint::FilePath)]
    pub action: String,
    /// The action's arguments, as oned passes them; its document comes on standard input; behind -- they may look like
    /// options of this command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
    #[command(flatten)]
    pub tree: InTree,
    /// Run this component or core module, which is in no tree, under the policy of --policy; ACTION says as which
    /// driver, and --tree, where it is given, from where configuration is read
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "policy")]
    pub component: Option<PathBuf>,
    /// The policy of --component
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "component")]
    pub policy: Option<PathBuf>,
    /// Change nothing: list what would be done, what is denied and what the driver would log
    #[arg(long, conflicts_with = "record")]
    pub dry_run: bool,
    /// Append every effect and its answer to this file, one JSON object a line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub journal: Option<PathBuf>,
    /// Record the action for `remotes replay`; the file holds secrets if the documents do
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub record: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

#[derive(Args)]
pub struct Replay {
    /// A file written by `remotes exec --record`
    #[arg(value_hint = ValueHint::FilePath)]
    pub recording: PathBuf,
    /// The component, or the core module, to run
    #[arg(value_hint = ValueHint::FilePath)]
    pub component: PathBuf,
}

#[derive(Args)]
pub struct Inspect {
    /// A component or core module, or the folder of a driver
    #[arg(value_hint = ValueHint::AnyPath)]
    pub component: PathBuf,
    #[command(flatten)]
    output: Output,
}

#[derive(Subcommand)]
pub enum Policy {
    /// Say whether a policy file is valid
    Check {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    /// Say in words what a driver may do
    Explain {
        /// SUBSYSTEM/DRIVER in the tree, or a policy file
        driver: String,
        #[command(flatten)]
        tree: InTree,
    },
}

#[derive(Subcommand)]
pub enum Tree {
    /// Lay programs, components, policies and stubs into a remotes tree or an empty folder
    Install(Install),
    /// Take drivers out again; what was there before comes back
    Remove(Remove),
    /// See whether everything is as it was installed
    Verify {
        /// The remotes tree
        #[arg(value_hint = ValueHint::DirPath)]
        dir: PathBuf,
    },
}

#[derive(Args)]
pub struct Install {
    /// The remotes tree, /var/lib/one/remotes say
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// SUBSYSTEM/DRIVER to install; may be given several times [default: all that come with this program]
    #[arg(long = "driver", value_name = "SUBSYSTEM/DRIVER", value_hint = ValueHint::Other)]
    pub drivers: Vec<String>,
    /// Name in the tree of the one driver installed
    #[arg(long = "as", value_name = "SUBSYSTEM/NAME", value_hint = ValueHint::Other)]
    pub name: Option<String>,
    /// Folder that the drivers come from: SUBSYSTEM/DRIVER/{component.wasm,policy.toml}
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub from: Option<PathBuf>,
}

#[derive(Args)]
pub struct Remove {
    /// The remotes tree
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
    /// SUBSYSTEM/NAME to remove; may be given several times [default: all]
    #[arg(long = "driver", value_name = "SUBSYSTEM/NAME", value_hint = ValueHint::Other)]
    pub drivers: Vec<String>,
}

#[derive(Subcommand)]
pub enum Vnm {
    /// Show bridges, those of Open vSwitch as well, their ports and VLANs, virtual machines, and what filters their
    /// packets: chains and sets of security groups, flows of the switch
    Show(Show),
}

#[derive(Args)]
pub struct Show {
    /// Print a graph for Graphviz instead of a tree
    #[arg(long, conflicts_with = "json")]
    pub dot: bool,
    /// Where the datastores are: the descriptions of machines there name their security groups
    #[arg(long, value_name = "DIR", default_value = "/var/lib/one/datastores", value_hint = ValueHint::DirPath)]
    pub datastores: PathBuf,
}

#[derive(Args)]
pub struct Completions {
    /// The shell
    pub shell: Shell,
}

#[derive(Args)]
pub struct Man {
    /// The folder, made where it is missing
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
}
