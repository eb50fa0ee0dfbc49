//! What is true of network effects wherever they are carried out: which names, addresses and settings
//! there can be, and how a rule is written. Policy, executors and simulation share it.

pub mod chains;
pub mod flows;
pub mod functions;
pub mod names;
pub mod proxies;
pub mod rules;
pub mod settings;
pub mod switch;
