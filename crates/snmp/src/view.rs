//! All objects at a moment, in the order of walks.

use crate::oid::Oid;
use crate::wire::{Range, Value};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;

/// What a manager may set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Setting {
    /// Base priority of an instance, 1 to 254.
    Priority(String),
    /// Preemption of an instance: 1 or 2 for off.
    Preempt(String),
    /// Weight of a real server of a virtual server, as both are named in logs.
    Weight(String, String),
}

/// Names and values.
#[derive(Clone, Debug, Default)]
pub struct View {
    objects: BTreeMap<Oid, Value>,
    settings: BTreeMap<Oid, Setting>,
    /// Columns and scalars that there may be objects of.
    kinds: Vec<Oid>,
}

impl View {
    /// Says which columns of a table there are, whether or not there are objects of them now.
    pub fn columns(&mut self, table: &Oid, columns: impl IntoIterator<Item = u32>) {
        self.kinds.extend(columns.into_iter().map(|c| table.with(&[c])));
    }

    /// A single object.
    pub fn scalar(&mut self, group: &Oid, number: u32, value: Value) {
        self.kinds.push(group.with(&[number]));
        self.objects.insert(group.with(&[number, 0]), value);
    }

    /// A row of a table.
    pub fn row<'v>(&'v mut self, table: &'v Oid, index: impl Into<Vec<u32>>) -> Row<'v> {
        Row { view: self, table, index: index.into() }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&Oid, &Value)> {
        self.objects.iter()
    }

    /// The value of an object, or the exception that RFC 3416 section 4.2.1 has for its absence.
    pub fn get(&self, name: &Oid) -> Value {
        match self.objects.get(name) {
            Some(v) => v.clone(),
            None if self.kinds.iter().any(|k| name.under(k).is_some()) => Value::NoSuchInstance,
            None => Value::NoSuchObject,
        }
    }

    /// The first object of a range.
    pub fn next(&self, range: &Range) -> Option<(&Oid, &Value)> {
        let from = if range.include { Bound::Included(&range.start) } else { Bound::Excluded(&range.start) };
        let found = self.objects.range((from, Bound::Unbounded)).next()?;
        (range.end.0.is_empty() || *found.0 < range.end).then_some(found)
    }

    /// What setting an object would change.
    pub fn setting(&self, name: &Oid) -> Option<&Setting> {
        self.settings.get(name)
    }
}

/// A row that is being written.
pub struct Row<'v> {
    view: &'v mut View,
    table: &'v Oid,
    index: Vec<u32>,
}

impl Row<'_> {
    fn name(&self, column: u32) -> Oid {
        let mut name = self.table.with(&[column]);
        name.0.extend_from_slice(&self.index);
        name
    }

    /// A value.
    pub fn put(&mut self, column: u32, value: Value) -> &mut Self {
        let name = self.name(column);
        self.view.objects.insert(name, value);
        self
    }

    /// A value that managers may set.
    pub fn settable(&mut self, column: u32, value: Value, setting: Setting) -> &mut Self {
        let name = self.name(column);
        self.view.settings.insert(name, setting);
        self.put(column, value)
    }

    /// An INTEGER.
    pub fn int(&mut self, column: u32, value: i32) -> &mut Self {
        self.put(column, Value::Integer(value))
    }

    /// An INTEGER that is 1 for yes and 2 for no.
    pub fn truth(&mut self, column: u32, value: bool) -> &mut Self {
        self.put(column, truth(value))
    }

    /// An Unsigned32.
    pub fn gauge(&mut self, column: u32, value: impl TryInto<u32>) -> &mut Self {
        self.put(column, gauge(value))
    }

    /// A text.
    pub fn text(&mut self, column: u32, value: &str) -> &mut Self {
        self.put(column, text(value))
    }

    /// A text, where there is one.
    pub fn some_text(&mut self, column: u32, value: Option<&str>) -> &mut Self {
        if let Some(v) = value {
            self.text(column, v);
        }
        self
    }

    /// An address.
    pub fn address(&mut self, column: u32, value: IpAddr) -> &mut Self {
        self.put(column, address(value))
    }
}

/// 1 for yes and 2 for no.
pub fn truth(value: bool) -> Value {
    Value::Integer(if value { 1 } else { 2 })
}

/// An Unsigned32; what does not fit is the largest.
pub fn gauge(value: impl TryInto<u32>) -> Value {
    Value::Gauge32(value.try_into().unwrap_or(u32::MAX))
}

/// A text, of at most 255 octets as a DisplayString is.
pub fn text(value: &str) -> Value {
    let end = (0..=value.len().min(255)).rev().find(|n| value.is_char_boundary(*n)).unwrap_or(0);
    Value::Octets(value.as_bytes().get(..end).unwrap_or_default().to_vec())
}

/// An InetAddress.
pub fn address(value: IpAddr) -> Value {
    Value::Octets(octets(value))
}

/// The octets of an address.
pub fn octets(value: IpAddr) -> Vec<u8> {
    match value {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

/// InetAddressType (RFC 4001).
pub fn family(value: IpAddr) -> i32 {
    if value.is_ipv4() { 1 } else { 2 }
}
