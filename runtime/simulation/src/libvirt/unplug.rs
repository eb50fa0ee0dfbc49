//! Unplugging by alias, and the wait for the guest.

use remotes_effect::types::{Failure, Node};

use super::device::let_go;
use super::devices::detachable;
use super::error::device_missing;
use super::parts::devices;
use super::{Countdown, Session, alias};
use crate::Simulation;
use crate::xml::edit::source;
use crate::xml::parse;

/// How long the guest will take.
enum Wait {
    /// it has let go
    Done,
    /// so many seconds, in each of which somebody looks
    Seconds(u64),
    Forever,
}

impl Simulation {
    /// Asks the guest for a device and waits, by the clock, for the event that it has let go.
    pub(super) fn unplug(&mut self, on: &Node, domain: &str, alias: &str, seconds: u32) -> Result<bool, Failure> {
        let limit = u64::from(seconds);
        let waited = match self.session(on)?.begin_unplug(domain, alias)? {
            Wait::Done => return Ok(true),
            Wait::Seconds(needed) => needed.min(limit),
            Wait::Forever => limit,
        };
        let reached = self.clock.sleep(waited.saturating_mul(1000));
        self.settle();
        if !reached {
            return Err(Failure::timeout(format!("{alias}: the action's time is up before the guest has let it go")));
        }
        self.session(on)?.end_unplug(domain, alias, waited)
    }
}

impl Session<'_> {
    fn begin_unplug(&mut self, reference: &str, alias: &str) -> Result<Wait, Failure> {
        let now = self.now;
        let domain = self.active(reference)?;
        let (name, live) = (domain.name.clone(), domain.xml().to_owned());
        let device = aliased(&live, alias)?.ok_or_else(|| absent(alias))?;
        detachable(&live, parse("device_definition", &device)?.root_element())?;
        let reaction = self.hypervisor.guest(&name).unplug.begin(now);
        let domain = self.active(reference)?;
        // Asked twice, the guest lets it go once.
        let pending = domain.unplugs.iter().find(|(pending, _)| *pending == device).map(|(_, countdown)| *countdown);
        let Some(countdown) = pending.or(reaction) else { return Ok(Wait::Forever) };
        if pending.is_none() {
            domain.unplugs.push((device, countdown));
        }
        let_go(domain, now);
        Ok(match countdown {
            countdown if countdown.due(now) => Wait::Done,
            Countdown::Polls(polls) => Wait::Seconds(polls.into()),
            Countdown::At(time) => Wait::Seconds(time.saturating_sub(now).div_ceil(1000)),
        })
    }

    /// Whether it is gone after these seconds, in each of which the hypervisor has looked.
    fn end_unplug(&mut self, reference: &str, alias: &str, waited: u64) -> Result<bool, Failure> {
        let now = self.now;
        let domain = self.active(reference)?;
        for (_, countdown) in &mut domain.unplugs {
            if let Countdown::Polls(left) = countdown {
                *left = u32::try_from(u64::from(*left).saturating_sub(waited)).unwrap_or(0);
            }
        }
        let_go(domain, now);
        Ok(aliased(domain.xml(), alias)?.is_none())
    }
}

/// The text of the device with this alias.
fn aliased(xml: &str, wanted: &str) -> Result<Option<String>, Failure> {
    let document = parse("domain_definition", xml)?;
    let device = devices(document.root_element()).find(|device| alias::of(*device) == Some(wanted));
    Ok(device.map(|device| source(device).to_owned()))
}

fn absent(alias: &str) -> Failure {
    device_missing(format!("no device found with alias {alias}"))
}
