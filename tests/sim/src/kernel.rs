//! The kernel of one host, as far as it concerns a daemon: what is put there survives the process that put it.

use steadfast_core::IpCidr;
use steadfast_core::kernel::Object;

/// Addresses, routes and rules of ours.
#[derive(Clone, Default, Debug)]
pub struct Kernel(Vec<Object>);

/// The kernel's own notion of what is one thing.
fn same(a: &Object, b: &Object) -> bool {
    match (a, b) {
        (Object::Address(a), Object::Address(b)) => a.interface == b.interface && a.cidr == b.cidr,
        _ => a == b,
    }
}

impl Kernel {
    /// There already is success; a route is replaced.
    pub fn add(&mut self, o: &Object) {
        // A route goes beside another of its place, and not into it.
        if !self.0.iter().any(|x| same(x, o)) {
            self.0.push(o.clone());
        }
    }

    /// True when it was there. A route is known by its gateway, too.
    pub fn remove(&mut self, o: &Object) -> bool {
        let before = self.0.len();
        self.0.retain(|x| !same(x, o));
        self.0.len() < before
    }

    /// It is there.
    pub fn has(&self, o: &Object) -> bool {
        self.0.iter().any(|x| same(x, o))
    }

    /// Addresses on an interface.
    pub fn addresses<'a>(&'a self, interface: &'a str) -> impl Iterator<Item = IpCidr> + 'a {
        self.0.iter().filter_map(move |o| match o {
            Object::Address(a) if a.interface == interface => Some(a.cidr),
            _ => None,
        })
    }

    /// Everything, in words and in order.
    pub fn words(&self) -> Vec<String> {
        let mut all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        all.sort();
        all
    }

    /// Everything with all of its attributes, in order.
    pub fn all(&self) -> Vec<String> {
        let mut all: Vec<String> = self.0.iter().map(|o| format!("{o:?}")).collect();
        all.sort();
        all
    }

    /// The table of blocks is made anew, or goes.
    pub fn discard_blocks(&mut self) {
        self.0.retain(|o| !matches!(o, Object::Block(_)));
    }

    /// Power is lost.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
