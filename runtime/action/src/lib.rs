//! One action, from oned's argv and standard input to its stdout, stderr and exit code: the calling
//! convention around a driver's typed functions, and the assembly of the pipeline on this machine.
#![forbid(unsafe_code)]

pub mod convention;
pub mod diagnostics;
pub mod prepare;
pub mod run;
pub mod tree;
