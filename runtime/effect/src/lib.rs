//! Every call of a driver to the outside is one serializable [`Effect`]; what comes of it is an
//! [`Answer`]. Both mirror the contract in `wit/` one to one.
#![forbid(unsafe_code)]

pub mod bytes;

include!(concat!(env!("OUT_DIR"), "/contract.rs"));
