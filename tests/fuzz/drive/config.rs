//! Any bytes as a configuration.

use steadfast_config::host::FakeHost;
use steadfast_config::source::Options;

/// One input.
pub fn drive(bytes: &[u8]) {
    let host = FakeHost { all_interfaces: true, all_scripts: true, ..Default::default() };
    let outcome = steadfast_config::load_text(bytes, &Options::default(), &host);
    let _ = steadfast_config::diag::render(&outcome.diagnostics, &outcome.files, false);
}
