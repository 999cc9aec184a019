//! Names of objects.

use std::fmt;
use std::str::FromStr;

/// The most numbers in a name (RFC 3416 section 2.1 counts 128).
pub const LONGEST: usize = 128;

/// A name. Names are ordered as walks go: number by number, a shorter one before those that it begins.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Oid(pub Vec<u32>);

impl Oid {
    /// From its numbers.
    pub fn new(numbers: impl Into<Vec<u32>>) -> Self {
        Oid(numbers.into())
    }

    /// With more numbers at its end.
    pub fn with(&self, more: &[u32]) -> Self {
        let mut all = Vec::with_capacity(self.0.len() + more.len());
        all.extend_from_slice(&self.0);
        all.extend_from_slice(more);
        Oid(all)
    }

    /// What stands behind `prefix`, where it begins with that.
    pub fn under(&self, prefix: &Oid) -> Option<&[u32]> {
        self.0.strip_prefix(prefix.0.as_slice())
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut mark = "";
        for n in &self.0 {
            write!(f, "{mark}{n}")?;
            mark = ".";
        }
        Ok(())
    }
}

impl FromStr for Oid {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.trim_start_matches('.').split('.').filter(|n| !n.is_empty()).map(str::parse);
        numbers.collect::<Result<Vec<u32>, _>>().map(Oid)
    }
}
