//! Marks for the load balancer: packets to a group's addresses get the mark of the group's one IPVS service.
//!
//! ```text
//! table ip keepalived_ipvs {
//!     map tcp_map { type ipv4_addr . inet_service : mark; flags interval }     as keepalived's: udp_map, sctp_map, too
//!     map any_map { type ipv4_addr . inet_proto : mark; flags interval }       every port of an address
//!     chain in { type filter hook input priority -1; meta mark set ip daddr . tcp dport map @tcp_map return }
//! }
//! ```

use super::build::{
    BIG, HOST, MARK, NETWORK, TRANSPORT, TYPE_PROTOCOL, TYPE_SERVICE, TYPE_V4, TYPE_V6, TableRef, byte_order, chain,
    equal, load, load_to, meta, meta_to, octets, rule, verdict,
};
use super::socket::Tables;
use netlink_packet_core::DefaultNla;
use netlink_packet_netfilter::nftables::{
    DataAttribute, Expressions, InetHookNumber, ListAttribute, Lookup, Meta, MetaKey, NfTablesMessage, Register,
    SetAttribute, SetDescription, SetElementAttribute, SetElementList, SetElementMessage, SetFlags, SetMessage,
    TableAttribute, TableMessage, Verdict,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::RawFd;
use steadfast_core::Family;
use steadfast_core::ipvs::Protocol;

/// Elements in one message at most: the attribute that holds them has 16 bits of length.
const ELEMENTS: usize = 256;
/// Room for a batch of some ten thousand ranges, and for what the kernel says of it. It is taken only while it is needed.
const BUFFER: usize = 32 << 20;

/// Packets to these addresses, and the mark that they get.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mark {
    /// First address.
    pub first: IpAddr,
    /// Last address, of the same family and not below the first.
    pub last: IpAddr,
    /// Protocol.
    pub protocol: Protocol,
    /// Port; 0 is any.
    pub port: u16,
    /// The mark.
    pub mark: u32,
}

/// How the tables look.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MarkSettings {
    /// Name of the tables.
    pub table: String,
    /// Hook priority of the chains.
    pub priority: i32,
    /// Rules count packets.
    pub counters: bool,
}

/// Cuts ranges so that no packet is in two of them: the first one has it. What was cut away from a range of another mark is in
/// the second list.
pub fn disjoint(wanted: &[Mark]) -> (BTreeSet<Mark>, Vec<Mark>) {
    let number = |a: IpAddr| match a {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    };
    let address = |family, n: u128| match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from(u32::try_from(n).unwrap_or(u32::MAX))),
        Family::V6 => IpAddr::V6(Ipv6Addr::from(n)),
    };
    // By first address: the last one, and the mark.
    type Ranges = BTreeMap<u128, (u128, u32)>;
    let mut taken: BTreeMap<(Family, Protocol, u16), Ranges> = BTreeMap::new();
    let (mut all, mut lost) = (BTreeSet::new(), Vec::new());
    for w in wanted {
        let family = Family::of(w.first);
        let one = |a, b, mark| Mark { first: address(family, a), last: address(family, b), mark, ..*w };
        let ranges = taken.entry((family, w.protocol, w.port)).or_default();
        let (mut at, end) = (number(w.first), number(w.last));
        if Family::of(w.last) != family || end < at {
            continue;
        }
        let before = ranges.range(..at).next_back().filter(|(_, (last, _))| *last >= at);
        let within = ranges.range(at..=end);
        let others: Vec<(u128, u128, u32)> = before.into_iter().chain(within).map(|(a, (b, m))| (*a, *b, *m)).collect();
        let mut over = false;
        for (first, last, mark) in others {
            if first > at {
                ranges.insert(at, (first - 1, w.mark));
                all.insert(one(at, first - 1, w.mark));
            }
            if mark != w.mark {
                lost.push(one(first.max(at), last.min(end), w.mark));
            }
            match last.checked_add(1).filter(|next| *next <= end) {
                Some(next) => at = next,
                None => over = true,
            }
        }
        if !over {
            ranges.insert(at, (end, w.mark));
            all.insert(one(at, end, w.mark));
        }
    }
    (all, lost)
}

/// The tables of this process.
#[derive(Default)]
pub struct Marks {
    kernel: Tables,
    settings: MarkSettings,
    marks: BTreeSet<Mark>,
    /// Families whose table exists.
    tables: BTreeSet<Family>,
}

impl Marks {
    /// The descriptor to watch, once there is one.
    pub fn fd(&self) -> Option<RawFd> {
        self.kernel.fd()
    }

    /// Brings the kernel to this, in one batch.
    pub fn set(&mut self, settings: &MarkSettings, marks: BTreeSet<Mark>) -> io::Result<()> {
        if *settings == self.settings && marks == self.marks {
            return Ok(());
        }
        self.kernel.open(BUFFER)?;
        let mut messages = Vec::new();
        if settings.table != self.settings.table {
            messages.append(&mut self.removal());
        }
        (self.settings, self.marks) = (settings.clone(), marks);
        self.put(messages)
    }

    /// Removes tables that another process made, whether they are there or not.
    pub fn remove_foreign(&mut self, table: &str, families: &[Family]) -> io::Result<()> {
        self.kernel.open(BUFFER)?;
        self.kernel.send(families.iter().flat_map(|f| [new(table), gone(table)].map(|m| (*f, m))).collect())
    }

    /// Puts everything there again: somebody took it away.
    pub fn restore(&mut self) -> io::Result<()> {
        self.tables.clear();
        self.put(Vec::new())
    }

    /// Removes the tables.
    pub fn close(&mut self) -> io::Result<()> {
        self.marks.clear();
        let messages = self.removal();
        if messages.is_empty() { Ok(()) } else { self.kernel.send(messages) }
    }

    /// Takes what the kernel says: errors of our batches, and changes by others. True: somebody took away what is ours.
    pub fn read(&mut self, failed: &mut Vec<i32>) -> io::Result<bool> {
        Ok(self.kernel.read(&self.settings.table, failed)? && !self.marks.is_empty())
    }

    fn removal(&mut self) -> Vec<(Family, NfTablesMessage)> {
        // One that somebody has removed must not fail the batch: it is made first.
        let name = self.settings.table.clone();
        std::mem::take(&mut self.tables).into_iter().flat_map(|f| [new(&name), gone(&name)].map(|m| (f, m))).collect()
    }

    fn put(&mut self, mut messages: Vec<(Family, NfTablesMessage)>) -> io::Result<()> {
        for family in [Family::V4, Family::V6] {
            let own: Vec<&Mark> = self.marks.iter().filter(|m| Family::of(m.first) == family).collect();
            let there = self.tables.remove(&family);
            let name = &self.settings.table;
            if !own.is_empty() {
                messages.extend(table(family, &self.settings, &own).into_iter().map(|m| (family, m)));
                self.tables.insert(family);
            } else if there {
                messages.extend([new(name), gone(name)].map(|m| (family, m)));
            }
        }
        if messages.is_empty() { Ok(()) } else { self.kernel.send(messages) }
    }
}

fn new(table: &str) -> NfTablesMessage {
    NfTablesMessage::NewTable(TableMessage { attributes: vec![TableAttribute::Name(table.into())] })
}

fn gone(table: &str) -> NfTablesMessage {
    NfTablesMessage::DeleteTable(TableMessage { attributes: vec![TableAttribute::Name(table.into())] })
}

/// The table with everything in it, whatever was there under its name.
fn table(family: Family, s: &MarkSettings, marks: &[&Mark]) -> Vec<NfTablesMessage> {
    let t = TableRef { name: &s.table, priority: s.priority, counters: s.counters };
    let mut all = vec![new(&s.table), gone(&s.table), new(&s.table)];
    let (kind, length, at) = match family {
        Family::V4 => (TYPE_V4, 4, 16),
        Family::V6 => (TYPE_V6, 16, 24),
    };
    // The second field of a key, in the next register of four bytes.
    let second = if family == Family::V4 { Register::Reg32_01 } else { Register::Reg32_04 };
    all.push(chain(&t, "in", Some(InetHookNumber::LocalIn)));
    for (id, protocol) in [(1, Protocol::Tcp), (2, Protocol::Udp), (3, Protocol::Sctp)] {
        let own: Vec<_> = marks.iter().filter(|m| m.protocol == protocol && m.port != 0).copied().collect();
        if own.is_empty() {
            continue;
        }
        let name = format!("{}_map", protocol.word());
        all.push(map(s, id, &name, kind << 6 | TYPE_SERVICE, &[length, 2]));
        all.extend(elements(s, &name, &own, |m| m.port.to_be_bytes().to_vec()));
        let select = vec![meta(MetaKey::L4Proto), equal(vec![protocol.number()]), load(NETWORK, at, length)];
        all.push(rule(&t, "in", mark(select, load_to(second, TRANSPORT, 2, 2), &name)));
    }
    let any: Vec<_> = marks.iter().filter(|m| m.port == 0).copied().collect();
    if !any.is_empty() {
        all.push(map(s, 4, "any_map", kind << 6 | TYPE_PROTOCOL, &[length, 1]));
        all.extend(elements(s, "any_map", &any, |m| vec![m.protocol.number()]));
        all.push(rule(&t, "in", mark(vec![load(NETWORK, at, length)], meta_to(second, MetaKey::L4Proto), "any_map")));
    }
    all
}

/// `meta mark set … map @NAME return`
fn mark(mut expressions: Vec<Expressions>, second: Expressions, map: &str) -> Vec<Expressions> {
    expressions.extend([
        second,
        Expressions::Lookup(vec![
            Lookup::Set(map.into()),
            Lookup::SourceRegister(Register::Reg1),
            Lookup::DestinationRegister(Register::Reg1),
        ]),
        Expressions::Meta(vec![Meta::Key(MetaKey::Mark), Meta::SourceRegister(Register::Reg1)]),
        verdict(Verdict::Return),
    ]);
    expressions
}

/// A map from ranges of concatenated keys to marks. Each field fills whole registers of four bytes.
fn map(s: &MarkSettings, id: u32, name: &str, kind: u32, fields: &[u32]) -> NfTablesMessage {
    // NFTA_LIST_ELEM, nested, of NFTA_SET_FIELD_LEN.
    let field = |length: &u32| {
        let head = [8u16.to_ne_bytes(), 1u16.to_ne_bytes()].concat();
        DefaultNla::new(1 | 1 << 15, [head, length.to_be_bytes().to_vec()].concat())
    };
    NfTablesMessage::NewSet(SetMessage {
        attributes: vec![
            SetAttribute::Table(s.table.clone()),
            SetAttribute::Name(name.into()),
            SetAttribute::Flags(SetFlags::Map | SetFlags::Interval | SetFlags::Concat),
            SetAttribute::KeyType(kind),
            SetAttribute::KeyLen(fields.iter().map(|l| l.div_ceil(4) * 4).sum()),
            SetAttribute::DataType(MARK),
            SetAttribute::DataLen(4),
            SetAttribute::Description(vec![SetDescription::Concat(fields.iter().map(field).collect())]),
            SetAttribute::Id(id),
            SetAttribute::UserData([byte_order(0, BIG), byte_order(1, HOST)].concat()),
        ],
    })
}

fn elements(s: &MarkSettings, map: &str, marks: &[&Mark], second: impl Fn(&Mark) -> Vec<u8>) -> Vec<NfTablesMessage> {
    let key = |address: IpAddr, m: &Mark| {
        let mut key = octets(address);
        key.extend(second(m));
        key.resize(key.len().div_ceil(4) * 4, 0);
        key
    };
    let element = |m: &&Mark| {
        ListAttribute::Element(vec![
            SetElementAttribute::Key(DataAttribute::Value(key(m.first, m))),
            // NFTA_DATA_VALUE.
            SetElementAttribute::KeyEnd(vec![DefaultNla::new(1, key(m.last, m))]),
            SetElementAttribute::Data(DataAttribute::Value(m.mark.to_ne_bytes().to_vec())),
        ])
    };
    let message = |part: &[&Mark]| {
        NfTablesMessage::NewSetElement(SetElementMessage {
            attributes: vec![
                SetElementList::Table(s.table.clone()),
                SetElementList::Set(map.into()),
                SetElementList::Elements(part.iter().map(element).collect()),
            ],
        })
    };
    marks.chunks(ELEMENTS).map(message).collect()
}
