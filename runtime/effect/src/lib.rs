//! Every call of a driver to the outside is one serializable [`Effect`]; what comes of it is an
//! [`Answer`]. Both mirror the contract in `wit/` one to one. Every effect takes the same way:
//! [`policy`] ▶ [`journal`] ▶ [`Executor`], which is what [`pipeline::Pipeline`] does.
#![forbid(unsafe_code)]

pub mod bytes;
pub mod changes;
pub mod deadline;
pub mod failure;
pub mod frame;
pub mod journal;
pub mod network;
pub mod pipeline;
pub mod policy;
pub mod recording;
pub mod text;
pub mod trust;

include!(concat!(env!("OUT_DIR"), "/contract.rs"));

impl<E: Executor + ?Sized> Executor for &mut E {
    fn execute(&mut self, effect: &Effect) -> Answer {
        (**self).execute(effect)
    }
}

impl<E: Executor + ?Sized> Executor for Box<E> {
    fn execute(&mut self, effect: &Effect) -> Answer {
        (**self).execute(effect)
    }
}
