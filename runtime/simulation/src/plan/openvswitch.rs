//! Open vSwitch in a plan.

use remotes_effect::links::Link;
use remotes_effect::openvswitch::{Effect as OnSwitch, ListedFlow};
use remotes_effect::types::Node;
use remotes_effect::{Answer, Effect, Executor, links, openvswitch};

use super::Plan;

impl<E: Executor> Plan<E> {
    /// The answer of the real switch as long as the plan has not touched it, then that of the overlay.
    pub(super) fn openvswitch(&mut self, effect: &Effect) -> Answer {
        if !effect.changes() && !self.switched {
            return self.real.look(effect);
        }
        if !self.switched
            && let Some(answer) = self.bring_switch(effect)
        {
            return answer;
        }
        self.pretend(effect)
    }

    fn bring_switch(&mut self, effect: &Effect) -> Option<Answer> {
        let bridges = match self.real.look(&Effect::Openvswitch(OnSwitch::Bridges {})) {
            Answer::Openvswitch(openvswitch::Answer::Bridges(Ok(bridges))) => bridges,
            other => {
                let refusal = other.failure().and_then(|failure| effect.refuse(failure.clone()));
                return Some(refusal.unwrap_or(other));
            }
        };
        // A port has a number as long as its link is there.
        let links = self.links(&Effect::Links(links::Effect::Entries {}), &links::Effect::Entries {});
        let links = match links {
            Answer::Links(links::Answer::Entries(Ok(links))) => links,
            _ => Vec::new(),
        };
        let flows: Vec<(String, Vec<ListedFlow>)> =
            bridges.iter().map(|bridge| (bridge.name.clone(), self.flows_of(&bridge.name))).collect();
        let network = &mut self.machine(&Node::Here).network;
        for port in bridges.iter().flat_map(|bridge| &bridge.ports).filter(|port| port.number.is_some()) {
            if !links.iter().any(|link: &Link| link.name == port.name) {
                network.openvswitch.sockets.insert(port.name.clone());
            }
        }
        if !self.linked {
            self.machine(&Node::Here).network.links = links;
            self.linked = true;
        }
        let switch = &mut self.machine(&Node::Here).network.openvswitch;
        switch.bridges = bridges;
        switch.flows = flows.into_iter().collect();
        self.switched = true;
        None
    }

    fn flows_of(&mut self, bridge: &str) -> Vec<ListedFlow> {
        match self.real.look(&Effect::Openvswitch(OnSwitch::Flows { bridge: bridge.to_owned() })) {
            Answer::Openvswitch(openvswitch::Answer::Flows(Ok(flows))) => flows,
            _ => Vec::new(),
        }
    }
}
