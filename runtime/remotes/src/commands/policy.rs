//! `remotes policy`: is the file valid, and what does it say?

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use remotes_action::prepare::missing;
use remotes_action::run::journal_problem;
use remotes_effect::policy::{GrantedNetwork, Limits, Pattern, Policy, PolicyError};
use remotes_effect::text::one_line;
use serde_json::json;

use super::{driver_name, find_tree};
use crate::cli;
use crate::output;

/// The exit code where a policy is not valid.
const INVALID: u8 = 3;

pub fn run(command: &cli::Policy, json: bool) -> Result<ExitCode> {
    match command {
        cli::Policy::Check { file } => check(file, json),
        cli::Policy::Explain { driver, tree } => {
            let (file, owner) = match Path::new(driver) {
                path if path.is_file() || looks_like_file(driver) => (path.to_owned(), None),
                _ => {
                    let (subsystem, name) = driver_name(driver)?;
                    let tree = find_tree(tree)?;
                    if let Some(missing) = missing(&tree, &subsystem, &name) {
                        return Err(missing.into());
                    }
                    let owner = fs::metadata(tree.root()).with_context(|| tree.root().display().to_string())?.uid();
                    (tree.policy(&subsystem, &name), Some(owner))
                }
            };
            explain(&file, owner, json)
        }
    }
}

/// A path that leads nowhere is not a driver's name that is wrong.
fn looks_like_file(text: &str) -> bool {
    text.starts_with(['/', '.']) || text.ends_with(".toml")
}

fn check(file: &Path, json: bool) -> Result<ExitCode> {
    let (note, problem) = match Policy::read(file) {
        // What cannot be read is neither valid nor invalid.
        Err(error @ PolicyError::Read { .. }) => return Err(error.into()),
        // It may be meant for another machine, or another user.
        Ok(policy) => (journal_problem(&policy), None),
        Err(error) => (None, Some(error.to_string())),
    };
    if json {
        output::print_json(&json!({ "file": file, "valid": problem.is_none(), "problem": problem, "note": note }))?;
    } else {
        match &problem {
            None => output::print(format!("{}: valid\n", one_line(&file.display().to_string())))?,
            Some(problem) => output::complain(problem),
        }
        note.iter().for_each(|note| output::complain(&format!("{}: {note}", file.display())));
    }
    Ok(if problem.is_none() { ExitCode::SUCCESS } else { ExitCode::from(INVALID) })
}

/// Says what a policy grants, and whether the actions of this user, where they are to run under it, do.
fn explain(file: &Path, user: Option<u32>, json: bool) -> Result<ExitCode> {
    let policy = match Policy::read(file) {
        Err(error) if !matches!(error, PolicyError::Read { .. }) => {
            output::complain(&error.to_string());
            return Ok(ExitCode::from(INVALID));
        }
        policy => policy?,
    };
    match json {
        true => output::print_json(&policy)?,
        false => output::print(in_words(file, &policy)?)?,
    }
    if let Some(Err(error)) = user.map(|user| Policy::read_in_force(file, user)) {
        output::complain(&format!("{error}; until then no action runs under it"));
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(file: &Path, policy: &Policy) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "{} grants, and denies everything else:", one_line(&file.display().to_string()))?;
    match &policy.libvirt {
        Some(grant) => {
            writeln!(out, "\nhypervisor")?;
            writeln!(out, "  daemons          {}", patterns(&grant.uris))?;
            writeln!(out, "  domains          {}", patterns(&grant.domains))?;
            writeln!(out, "  access           {}", grant.access.name())?;
            writeln!(out, "  migration to     {}", patterns(&grant.migration_targets))?;
            writeln!(out, "  guest agent      {}", words(&grant.guest_agent))?;
            writeln!(out, "  programs         {}", patterns(&grant.programs))?;
            writeln!(out, "  host devices     {}", words(&grant.host_devices))?;
            writeln!(out, "  network storage  {}", words(&grant.network_storage))?;
            writeln!(out, "  emulator options {}", if grant.emulator_options { "any" } else { "none" })?;
        }
        None => writeln!(out, "\nhypervisor\n  none")?,
    }
    network(&mut out, policy)?;
    writeln!(out, "\nfolders")?;
    if policy.paths.0.is_empty() {
        writeln!(out, "  none")?;
    }
    for (folder, access) in &policy.paths.0 {
        writeln!(out, "  {}  {}", access.name(), one_line(folder))?;
    }
    writeln!(out, "\ntools")?;
    if policy.tools.is_empty() {
        writeln!(out, "  none")?;
    }
    for (name, tool) in &policy.tools {
        let by = if tool.sudo { ", as root through sudo" } else { "" };
        writeln!(out, "  {}  {}{by}", one_line(name), one_line(&tool.path))?;
        for arguments in &tool.arguments {
            let words: Vec<String> = arguments.0.iter().map(|argument| one_line(&argument.0)).collect();
            writeln!(out, "    with {}", words.join(" "))?;
        }
    }
    writeln!(out, "\nother hosts        {}", patterns(&policy.hosts))?;
    if let Some(directory) = &policy.remote_directory {
        writeln!(out, "their remotes      {}", one_line(directory))?;
    }
    writeln!(out, "configuration      {}", words(&policy.configuration))?;
    writeln!(out, "journal            {}", one_line(policy.journal.as_deref().unwrap_or("none")))?;
    limits(&mut out, &policy.limits)?;
    Ok(out)
}

fn network(out: &mut String, policy: &Policy) -> std::fmt::Result {
    if let Some(grant) = &policy.links {
        writeln!(out, "\nlinks")?;
        writeln!(out, "  bridges          {}", patterns(&grant.bridges))?;
        writeln!(out, "  uplinks          {}", patterns(&grant.uplinks))?;
        writeln!(out, "  devices          {}", patterns(&grant.devices))?;
        writeln!(out, "  machines' ports  {}", patterns(&grant.ports))?;
        writeln!(out, "  routes within    {}", networks(&grant.networks))?;
    }
    if let Some(grant) = &policy.openvswitch {
        writeln!(out, "\nOpen vSwitch")?;
        writeln!(out, "  bridges          {}", patterns(&grant.bridges))?;
        writeln!(out, "  uplinks          {}", patterns(&grant.uplinks))?;
        writeln!(out, "  machines' ports  {}", patterns(&grant.ports))?;
        writeln!(out, "  VLAN limit       {}", if grant.vlan_limit { "yes" } else { "no" })?;
    }
    if let Some(grant) = &policy.sriov {
        writeln!(out, "\nvirtual functions")?;
        writeln!(out, "  of cards         {}", patterns(&grant.physical))?;
        writeln!(out, "  representors     {}", patterns(&grant.representors))?;
    }
    if let Some(grant) = &policy.tproxy {
        writeln!(out, "\ntransparent proxies")?;
        writeln!(out, "  on bridges       {}", patterns(&grant.bridges))?;
        writeln!(out, "  whose uplinks    {}", patterns(&grant.uplinks))?;
        writeln!(out, "  names looked up  {}", patterns(&grant.names))?;
        writeln!(out, "  services within  {}", networks(&grant.networks))?;
        let program = grant.program.as_deref().unwrap_or("vnm/tproxy of the remotes tree");
        writeln!(out, "  by the daemon    {}", one_line(program))?;
    }
    if let Some(grant) = &policy.iptables {
        writeln!(out, "\npacket filter")?;
        writeln!(out, "  chains           {}", patterns(&grant.chains))?;
        writeln!(out, "  shared chains    {}", patterns(&grant.shared))?;
        writeln!(out, "  called from      {}", words(&grant.callers))?;
        writeln!(out, "  sets             {}", patterns(&grant.sets))?;
        writeln!(out, "  for ports        {}", patterns(&grant.ports))?;
        writeln!(out, "  for addresses    {}", networks(&grant.networks))?;
        writeln!(out, "  forwarded to     {}", networks(&grant.forwarded))?;
        let ports: Vec<String> = grant.port_forwarding.iter().map(|range| (*range).into()).collect();
        writeln!(out, "  port forwarding  {}", if ports.is_empty() { "no".to_owned() } else { ports.join(", ") })?;
        writeln!(out, "  routed           {}", if grant.routed { "yes" } else { "no" })?;
    }
    if !policy.locks.is_empty() || !policy.hooks.is_empty() {
        writeln!(out, "\nlocks              {}", patterns(&policy.locks))?;
        writeln!(out, "hooks of           {}", words(&policy.hooks))?;
    }
    Ok(())
}

fn limits(out: &mut String, limits: &Limits) -> std::fmt::Result {
    // One that is added has to be shown.
    let Limits {
        memory_mib,
        stack_kib,
        table_elements,
        tables,
        instances,
        start_seconds,
        time_seconds,
        action_seconds,
        effects,
        argument_kib,
        log_kib,
        tool_output_kib,
    } = limits;
    writeln!(out, "\nlimits of one action")?;
    writeln!(out, "  time             {time_seconds} s, of which {start_seconds} s to start")?;
    for (action, seconds) in action_seconds {
        writeln!(out, "    {action:<14} {seconds} s")?;
    }
    writeln!(out, "  memory           {memory_mib} MiB, stack {stack_kib} KiB")?;
    writeln!(out, "  of a component   {instances} instances, {tables} tables of {table_elements} elements each")?;
    writeln!(out, "  effects          {effects}")?;
    writeln!(out, "  a call's data    {argument_kib} KiB")?;
    writeln!(out, "  log              {log_kib} KiB")?;
    writeln!(out, "  tool output      {tool_output_kib} KiB")
}

fn patterns(patterns: &[Pattern]) -> String {
    words(&patterns.iter().map(|pattern| pattern.0.clone()).collect::<Vec<_>>())
}

fn networks(networks: &[GrantedNetwork]) -> String {
    words(&networks.iter().map(GrantedNetwork::to_string).collect::<Vec<_>>())
}

/// One line of what may be a stranger's words.
fn words(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { one_line(&words.join(", ")) }
}
