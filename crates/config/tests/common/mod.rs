//! A configuration from memory, on a host that has every link.

use steadfast_config::host::FakeHost;
use steadfast_config::source::Options;
use steadfast_config::{Outcome, load_text};

/// Reads it.
pub fn read(text: &str) -> Outcome {
    let host = FakeHost { all_interfaces: true, all_scripts: true, ..Default::default() };
    load_text(text, &Options::default(), &host)
}
