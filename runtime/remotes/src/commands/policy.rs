//! `remotes policy`: is the file valid, and what does it say?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use remotes_effect::policy::{Limits, Pattern, Policy};
use serde_json::json;

use super::{driver_name, find_tree};
use crate::cli;
use crate::output;

pub fn run(command: &cli::Policy, json: bool) -> Result<ExitCode> {
    match command {
        cli::Policy::Check { file } => check(file, json),
        cli::Policy::Explain { driver, tree } => {
            let file = match Path::new(driver) {
                path if path.is_file() => path.to_owned(),
                _ => {
                    let (subsystem, name) = driver_name(driver)?;
                    find_tree(tree)?.policy(&subsystem, &name)
                }
            };
            explain(&file, json)
        }
    }
}

fn check(file: &PathBuf, json: bool) -> Result<ExitCode> {
    let result = Policy::read(file);
    if json {
        let problem = result.as_ref().err().map(ToString::to_string);
        output::print_json(&json!({ "file": file, "valid": result.is_ok(), "problem": problem }))?;
    } else {
        match &result {
            Ok(_) => println!("{}: valid", file.display()),
            Err(error) => eprintln!("remotes: {error}"),
        }
    }
    Ok(if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

fn explain(file: &Path, json: bool) -> Result<ExitCode> {
    let policy = Policy::read(file).map_err(|error| anyhow!(error))?;
    if json {
        output::print_json(&policy)?;
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} grants, and denies everything else:", file.display());
    match &policy.libvirt {
        Some(grant) => {
            println!("\nhypervisor");
            println!("  daemons          {}", patterns(&grant.uris));
            println!("  domains          {}", patterns(&grant.domains));
            println!("  migration to     {}", patterns(&grant.migration_targets));
            println!("  guest agent      {}", words(&grant.guest_agent));
            println!("  programs         {}", patterns(&grant.programs));
            println!("  host devices     {}", words(&grant.host_devices));
            println!("  network storage  {}", words(&grant.network_storage));
            println!("  emulator options {}", if grant.emulator_options { "any" } else { "none" });
        }
        None => println!("\nhypervisor\n  none"),
    }
    network(&policy);
    println!("\nfolders");
    for (folder, access) in &policy.paths.0 {
        println!("  {}  {folder}", access.name());
    }
    println!("\ntools");
    for (name, tool) in &policy.tools {
        println!("  {name}  {}{}", tool.path, if tool.sudo { ", as root through sudo" } else { "" });
        for arguments in &tool.arguments {
            println!("    with {}", arguments.0.iter().map(|a| a.0.as_str()).collect::<Vec<_>>().join(" "));
        }
    }
    println!("\nother hosts        {}", patterns(&policy.hosts));
    if let Some(directory) = &policy.remote_directory {
        println!("their remotes      {directory}");
    }
    println!("configuration      {}", words(&policy.configuration));
    println!("journal            {}", policy.journal.as_deref().unwrap_or("none"));
    limits(&policy.limits);
    Ok(ExitCode::SUCCESS)
}

fn network(policy: &Policy) {
    if let Some(grant) = &policy.links {
        println!("\nlinks");
        println!("  bridges          {}", patterns(&grant.bridges));
        println!("  uplinks          {}", patterns(&grant.uplinks));
        println!("  devices          {}", patterns(&grant.devices));
        println!("  machines' ports  {}", patterns(&grant.ports));
        println!("  routes within    {}", words(&grant.networks));
    }
    if let Some(grant) = &policy.openvswitch {
        println!("\nOpen vSwitch");
        println!("  bridges          {}", patterns(&grant.bridges));
        println!("  uplinks          {}", patterns(&grant.uplinks));
        println!("  machines' ports  {}", patterns(&grant.ports));
        println!("  VLAN limit       {}", if grant.vlan_limit { "yes" } else { "no" });
    }
    if let Some(grant) = &policy.sriov {
        println!("\nvirtual functions");
        println!("  of cards         {}", patterns(&grant.physical));
        println!("  representors     {}", patterns(&grant.representors));
    }
    if let Some(grant) = &policy.tproxy {
        println!("\ntransparent proxies");
        println!("  on bridges       {}", patterns(&grant.bridges));
        println!("  whose uplinks    {}", patterns(&grant.uplinks));
        println!("  names looked up  {}", patterns(&grant.names));
        println!("  services within  {}", words(&grant.networks));
        println!("  by the daemon    {}", grant.program.as_deref().unwrap_or("vnm/tproxy of the remotes tree"));
    }
    if let Some(grant) = &policy.iptables {
        println!("\npacket filter");
        println!("  chains           {}", patterns(&grant.chains));
        println!("  shared chains    {}", patterns(&grant.shared));
        println!("  called from      {}", words(&grant.callers));
        println!("  sets             {}", patterns(&grant.sets));
        println!("  for ports        {}", patterns(&grant.ports));
        println!("  for addresses    {}", words(&grant.networks));
        let ports: Vec<String> = grant.port_forwarding.iter().map(|range| (*range).into()).collect();
        println!("  port forwarding  {}", if ports.is_empty() { "no".to_owned() } else { ports.join(", ") });
        println!("  routed           {}", if grant.routed { "yes" } else { "no" });
    }
    if !policy.locks.is_empty() || !policy.hooks.is_empty() {
        println!("\nlocks              {}", patterns(&policy.locks));
        println!("hooks of           {}", words(&policy.hooks));
    }
}

fn limits(limits: &Limits) {
    println!("\nlimits of one action");
    println!("  time             {} s, of which {} s to start", limits.time_seconds, limits.start_seconds);
    for (action, seconds) in &limits.action_seconds {
        println!("    {action:<14} {seconds} s");
    }
    println!("  memory           {} MiB, stack {} KiB", limits.memory_mib, limits.stack_kib);
    println!("  effects          {}", limits.effects);
    println!("  a call's data    {} KiB", limits.argument_kib);
    println!("  log              {} KiB", limits.log_kib);
    println!("  tool output      {} KiB", limits.tool_output_kib);
}

fn patterns(patterns: &[Pattern]) -> String {
    words(&patterns.iter().map(|pattern| pattern.0.clone()).collect::<Vec<_>>())
}

fn words(words: &[String]) -> String {
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}
