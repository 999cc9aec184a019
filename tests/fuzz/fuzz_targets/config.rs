#![no_main]
//! Any bytes as a configuration.
use libfuzzer_sys::fuzz_target;
use std::path::{Path, PathBuf};
use steadfast_config::host::FakeHost;
use steadfast_config::source::{Options, ReadError, Reader};

struct One<'a>(&'a [u8]);

impl Reader for One<'_> {
    fn read(&self, path: &Path, _: u64) -> Result<Vec<u8>, ReadError> {
        if path == Path::new("main") { Ok(self.0.to_vec()) } else { Err(ReadError::NotFound) }
    }
    fn glob(&self, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }
    fn environment(&self, _: &str) -> Option<String> {
        None
    }
}

fuzz_target!(|bytes: &[u8]| {
    let host = FakeHost { all_interfaces: true, all_scripts: true, ..Default::default() };
    let outcome = steadfast_config::load(Path::new("main"), &One(bytes), &Options::default(), &host);
    let _ = steadfast_config::diag::render(&outcome.diagnostics, &outcome.files, false);
});
