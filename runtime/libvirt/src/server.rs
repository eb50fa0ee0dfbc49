//! The effect server: libvirt effects and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use remotes_effect::text::one_line;
use remotes_effect::types::Failure;
use remotes_effect::{Answer, Effect, Executor, libvirt};

use crate::Session;

/// Carries out libvirt effects through a [`Session`], refuses all others, and turns a panic into a
/// failure.
pub struct Server {
    session: Session,
}

impl Server {
    /// A server on this session.
    pub fn new(session: Session) -> Self {
        Self { session }
    }

    fn perform(&mut self, effect: &libvirt::Effect) -> libvirt::Answer {
        use libvirt::Executor as _;
        // A panic drops the connection with everything on it; the session connects anew.
        let answer = guarded(effect, || self.session.execute(effect));
        match answer.failure() {
            Some(failure) => {
                let message = one_line(&format!("{}: {}", effect.name(), failure.message));
                effect.refuse(Failure { message, ..failure.clone() }).unwrap_or(answer)
            }
            None => answer,
        }
    }
}

impl Executor for Server {
    fn execute(&mut self, effect: &Effect) -> Answer {
        match effect {
            Effect::Libvirt(effect) => Answer::Libvirt(self.perform(effect)),
            other => {
                let refusal = format!("{}: this server carries out libvirt effects only", other.name());
                other.decline(Failure::denied(refusal))
            }
        }
    }
}

/// The work's answer, or the failure that a panic in it is.
fn guarded(effect: &libvirt::Effect, work: impl FnOnce() -> libvirt::Answer) -> libvirt::Answer {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let failure = after_panic(effect.changes(), panic.as_ref());
        effect.refuse(failure).unwrap_or_else(|| resume_unwind(panic))
    })
}

fn after_panic(changes: bool, panic: &(dyn std::any::Any + Send)) -> Failure {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let said = one_line(said.unwrap_or("no message"));
    match changes {
        true => {
            Failure::unknown(format!("the libvirt executor failed in mid-call, which may have taken effect: {said}"))
        }
        false => Failure::failed(format!("the libvirt executor failed in mid-call: {said}")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::guarded;
    use remotes_effect::libvirt::Effect;
    use remotes_effect::types::{FailureKind, Node};

    #[test]
    fn a_panic_is_an_answer() {
        let read = Effect::Domains { on: Node::Here };
        let failure = guarded(&read, || panic!("two\nlines")).failure().unwrap().clone();
        assert_eq!(failure.kind, FailureKind::Failed);
        assert!(failure.message.ends_with("two\\nlines"), "{failure}");
        let write = Effect::Destroy { on: Node::Here, domain: "one-5".to_owned() };
        assert_eq!(guarded(&write, || panic!()).failure().unwrap().kind, FailureKind::Unknown);
    }
}
