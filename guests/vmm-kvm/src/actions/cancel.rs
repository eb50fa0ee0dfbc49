//! Ends a domain at once. That it is gone already is success.

use remotes_sdk::wait::retry_when;
use remotes_sdk::{Explain, Failure};

use crate::domain::{Facts, active, destroy, passing};
use crate::{memory, vgpu};

/// Rounds, a second apart: a process in uninterruptible sleep takes its time to die.
const ROUNDS: u64 = 60;

pub fn run(id: &str) -> Result<(), Failure> {
    let mut facts = None;
    let round = || {
        if active(id)?.is_none() {
            return Ok(());
        }
        if facts.is_none() {
            facts = Facts::live(id).or_warn("vGPUs, if any, are not removed");
        }
        destroy(id)?;
        match active(id)? {
            None => Ok(()),
            Some(_) => Err(Failure::busy(format!("domain {id} is still active after it was destroyed"))),
        }
    };
    retry_when(ROUNDS, 1, passing, round).explain(|| format!("Could not destroy {id}"))?;
    if let Some(facts) = facts {
        vgpu::delete(&facts);
    }
    memory::compact_on_stop();
    Ok(())
}
