//! Components of which some bytes are others: whatever comes of them, it is one of the ends that there are.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use remotes_action::run::printed;
use remotes_containment::{Memory, guest};
use remotes_effect::deadline::Deadline;
use remotes_effect::pipeline::Pipeline;
use remotes_effect::policy::{Limits, Policy};
use remotes_effect::vmm::Call;
use remotes_sandbox::{Driver, compile, engine};

use crate::common::host;

/// Calls whatever the bytes are.
fn call(bytes: &[u8]) -> Result<(), TestCaseError> {
    let limits = Limits { start_seconds: 1, time_seconds: 1, effects: 100, ..Limits::default() };
    let engine = engine(&limits).unwrap();
    let Ok(component) = compile::component(bytes).and_then(|bytes| compile::compile(&engine, &bytes)) else {
        return Ok(());
    };
    let policy = Arc::new(Policy { schema: 1, limits, ..Policy::default() });
    let pipeline = Pipeline::new(policy, Memory::default(), host());
    let call = Call::Reboot { deploy_id: "one-5".into(), host: "node1".into(), action: String::new() };
    let call = remotes_effect::Call::Vmm(call);
    let outcome =
        Driver::new(engine, component).call(&call, pipeline, Deadline::after(Duration::from_millis(100)), None);
    let printed = printed(&call, &outcome.result);
    prop_assert_eq!(printed.code == 0, printed.stderr.is_empty());
    prop_assert_eq!(outcome.pipeline.executor.here, host().here);
    prop_assert_eq!(outcome.pipeline.journal.aborted, outcome.result.err().map(|error| error.to_string()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_that_are_others(
        guest in prop::sample::select(guest::ALL.iter().filter(|guest| guest.is_text()).collect::<Vec<_>>()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = guest.component();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        call(&bytes)?;
    }
}
