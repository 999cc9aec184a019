//! The process side of the operating system: event loop, signals, child processes, pipes, FIFOs, watched files and processes,
//! logging, pid files, scheduling. Adapters are dumb: they carry out, they do not decide.
#![allow(unsafe_code)]
#![deny(missing_docs)]

pub mod clock;
pub mod control;
pub mod core_pattern;
pub mod dial;
pub mod fifo;
pub mod files;
pub mod given;
pub mod groups;
pub mod handover;
pub mod hang;
pub mod inotify;
pub mod lack;
pub mod logging;
pub mod number;
pub mod opened;
pub mod pidfile;
pub mod pipe;
pub mod procs;
pub mod procwatch;
pub mod reactor;
pub mod sandbox;
pub mod schedule;
pub mod signals;
pub mod spawn;
pub mod view;

pub use mio::Waker;
pub use reactor::{Reactor, Ready, now};
