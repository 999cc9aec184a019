//! A configuration from memory, on a host that has every link.

use std::path::{Path, PathBuf};
use steadfast_config::host::FakeHost;
use steadfast_config::source::{Options, ReadError, Reader};
use steadfast_config::{Outcome, load};

struct One(String);

impl Reader for One {
    fn read(&self, path: &Path, _: u64) -> Result<Vec<u8>, ReadError> {
        if path == Path::new("main") { Ok(self.0.clone().into()) } else { Err(ReadError::NotFound) }
    }
    fn glob(&self, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }
    fn environment(&self, _: &str) -> Option<String> {
        None
    }
}

/// Reads it.
pub fn read(text: &str) -> Outcome {
    let host = FakeHost { all_interfaces: true, all_scripts: true, ..Default::default() };
    load(Path::new("main"), &One(text.into()), &Options::default(), &host)
}
