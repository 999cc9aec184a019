//! D-Bus: the instances as objects on the system's bus.

use super::{Body, House, Report};
use crate::cli::Options;
use std::io;
use steadfast_config::Config;
use steadfast_core::Time;
use steadfast_ipc::News;
use steadfast_sys::Ready;
use steadfast_sys::sandbox::OBSERVER;

/// Runs the role; returns its exit status.
pub fn run(options: &Options) -> i32 {
    super::run::<Bus>(options, "Keepalived_dbus", "D-Bus", &OBSERVER)
}

struct Bus;

impl Body for Bus {
    fn start(_: &Options, _: &Config, house: &mut House) -> io::Result<Self> {
        house.survey();
        Ok(Bus)
    }

    fn reload(&mut self, _: &Config, house: &mut House) {
        house.survey();
    }

    fn news(&mut self, news: News, _: &mut House) {
        log::debug!("{news:?}");
    }

    fn report(&mut self, report: Report, _: &mut House) {
        log::debug!("{report:?}");
    }

    fn ready(&mut self, _: Ready, _: Time, _: &mut House) {}

    fn due(&self) -> Option<Time> {
        None
    }

    fn poll(&mut self, _: Time, _: &mut House) {}

    fn stop(&mut self) {}
}
