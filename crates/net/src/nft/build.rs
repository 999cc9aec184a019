//! Tables, chains, rules and elements as messages.

use super::{Entry, Settings};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, Cmp, DataAttribute, Expressions, Hook, HookNumber, Immediate, InetHookNumber,
    ListAttribute, Lookup, Meta, MetaKey, NfTablesMessage, Operator, Payload, Register, RuleAttribute, RuleMessage,
    SetAttribute, SetElementAttribute, SetElementList, SetElementMessage, SetFlags, SetMessage, TableAttribute,
    TableMessage, Verdict, VerdictAttribute,
};
use std::net::IpAddr;
use steadfast_core::Family;

// Numbers of types, which listing programs show (libnftables' datatypes): IPv4 address, IPv6 address, protocol, port, mark, ICMPv6
// type, link name;
// a concatenation is put together by six bits each.
pub(super) const TYPE_V4: u32 = 7;
pub(super) const TYPE_V6: u32 = 8;
pub(super) const TYPE_PROTOCOL: u32 = 12;
pub(super) const TYPE_SERVICE: u32 = 13;
pub(super) const MARK: u32 = 19;
const TYPE_ICMPV6: u32 = 29;
const TYPE_IFINDEX: u32 = 20;
const TYPE_IFNAME: u32 = 41;

// Orders of bytes, as listing programs number them.
pub(super) const HOST: u32 = 1;
pub(super) const BIG: u32 = 2;

// NFT_PAYLOAD_*_HEADER.
pub(super) const NETWORK: u32 = 1;
pub(super) const TRANSPORT: u32 = 2;

const ACCEPT: Verdict = Verdict::Other(1);
const DROP: Verdict = Verdict::Other(0);

/// A link's name as the kernel compares it.
fn ifname(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
}

pub(super) fn octets(a: IpAddr) -> Vec<u8> {
    match a {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

/// The table that chains and rules go into.
pub(super) struct TableRef<'a> {
    pub name: &'a str,
    pub priority: i32,
    pub counters: bool,
}

impl Settings {
    fn table(&self) -> TableRef<'_> {
        TableRef { name: &self.table, priority: self.priority, counters: self.counters }
    }
}

/// The message that removes the table.
pub(super) fn remove_table(s: &Settings) -> NfTablesMessage {
    NfTablesMessage::DeleteTable(TableMessage { attributes: vec![TableAttribute::Name(s.table.clone())] })
}

/// No table is there afterwards, whether one was or not.
pub(super) fn no_table(s: &Settings) -> Vec<NfTablesMessage> {
    let new = NfTablesMessage::NewTable(TableMessage { attributes: vec![TableAttribute::Name(s.table.clone())] });
    vec![new, remove_table(s)]
}

/// Makes the table anew, whatever was there under its name.
pub(super) fn table(family: Family, s: &Settings) -> Vec<(Family, NfTablesMessage)> {
    let t = s.table();
    let new = || NfTablesMessage::NewTable(TableMessage { attributes: vec![TableAttribute::Name(s.table.clone())] });
    let mut all = vec![new(), remove_table(s), new()];
    let (address, length) = match family {
        Family::V4 => (TYPE_V4, 4),
        Family::V6 => (TYPE_V6, 16),
    };
    all.push(set(s, 1, "vips", address, length, SetFlags::empty()));
    let (link, size) = if s.by_index { (TYPE_IFINDEX, 4) } else { (TYPE_IFNAME, 16) };
    let (iif, oif) = if s.by_index { (MetaKey::Iif, MetaKey::Oif) } else { (MetaKey::Iifname, MetaKey::Oifname) };
    all.push(set(s, 2, "vmac_set", link, size, SetFlags::empty()));
    if family == Family::V6 {
        all.push(set(s, 3, "vips_link_local", TYPE_V6 << 6 | link, 16 + size, SetFlags::empty()));
        all.push(set(s, 4, "neighbor-discovery", TYPE_ICMPV6, 1, SetFlags::Constant));
        // Neighbour solicitation and advertisement (RFC 9568 section 6.1: they must pass though accept mode is off).
        all.push(elements(s, "neighbor-discovery", true, vec![vec![135], vec![136]]));
        all.push(chain(&t, "in_link_local", None));
        all.push(chain(&t, "out_link_local", None));
    }
    all.push(chain(&t, "in", Some(InetHookNumber::LocalIn)));
    all.push(chain(&t, "out", Some(InetHookNumber::LocalOut)));
    match family {
        Family::V4 => {
            // IGMP.
            all.push(rule(
                &t,
                "out",
                vec![meta(MetaKey::L4Proto), equal(vec![2]), meta(oif), lookup("vmac_set"), verdict(DROP)],
            ));
            all.push(rule(&t, "out", vec![load(NETWORK, 12, 4), lookup("vips"), verdict(DROP)]));
            all.push(rule(&t, "in", vec![load(NETWORK, 16, 4), lookup("vips"), verdict(DROP)]));
        }
        Family::V6 => {
            let icmp = || vec![meta(MetaKey::L4Proto), equal(vec![58]), load(TRANSPORT, 0, 1)];
            // MLDv2 reports and router solicitations.
            for kind in [143, 133] {
                let mut from_virtual = icmp();
                from_virtual.push(equal(vec![kind]));
                from_virtual.extend([meta(oif), lookup("vmac_set"), verdict(DROP)]);
                all.push(rule(&t, "out", from_virtual));
            }
            for (name, at, device) in [("out", 8, oif), ("in", 24, iif)] {
                let mut discovery = icmp();
                discovery.extend([lookup("neighbor-discovery"), verdict(ACCEPT)]);
                all.push(rule(&t, name, discovery));
                let local = format!("{name}_link_local");
                all.push(rule(&t, name, vec![load(NETWORK, at, 16), lookup("vips"), verdict(DROP)]));
                all.push(rule(&t, name, vec![jump(&local)]));
                let named = Expressions::Meta(vec![Meta::Key(device), Meta::DestinationRegister(Register::Reg2)]);
                all.push(rule(
                    &t,
                    &local,
                    vec![load(NETWORK, at, 16), named, lookup("vips_link_local"), verdict(DROP)],
                ));
            }
        }
    }
    all.into_iter().map(|m| (family, m)).collect()
}

/// Adds or removes one element.
pub(super) fn element(e: &Entry, index: u32, add: bool, s: &Settings) -> NfTablesMessage {
    let ifname = |name: &str| if s.by_index { index.to_ne_bytes().to_vec() } else { ifname(name) };
    let (set, key) = match e {
        Entry::Address(a) => ("vips", octets(*a)),
        Entry::LinkLocal(a, link) => ("vips_link_local", [octets(IpAddr::V6(*a)), ifname(link)].concat()),
        Entry::Reports(_, link) => ("vmac_set", ifname(link)),
    };
    elements(s, set, add, vec![key])
}

fn elements(s: &Settings, set: &str, add: bool, keys: Vec<Vec<u8>>) -> NfTablesMessage {
    let list = keys
        .into_iter()
        .map(|k| ListAttribute::Element(vec![SetElementAttribute::Key(DataAttribute::Value(k))]))
        .collect();
    let message = SetElementMessage {
        attributes: vec![
            SetElementList::Table(s.table.clone()),
            SetElementList::Set(set.into()),
            SetElementList::Elements(list),
        ],
    };
    if add { NfTablesMessage::NewSetElement(message) } else { NfTablesMessage::DeleteSetElement(message) }
}

fn set(s: &Settings, id: u32, name: &str, kind: u32, length: u32, flags: SetFlags) -> NfTablesMessage {
    let mut attributes = vec![
        SetAttribute::Table(s.table.clone()),
        SetAttribute::Name(name.into()),
        SetAttribute::Flags(flags),
        SetAttribute::KeyType(kind),
        SetAttribute::KeyLen(length),
        SetAttribute::Id(id),
    ];
    // Numbers and names of links are in the order of this host; without a word of it listing programs take names for big-endian
    // numbers and show nothing.
    if matches!(kind, TYPE_IFINDEX | TYPE_IFNAME) {
        attributes.push(SetAttribute::UserData(byte_order(0, HOST)));
    }
    NfTablesMessage::NewSet(SetMessage { attributes })
}

/// The order of bytes for listing programs, as an entry of user data (type, length, value) for keys (0) or values of maps (1).
pub(super) fn byte_order(of: u8, order: u32) -> Vec<u8> {
    [[of, 4].as_slice(), &order.to_ne_bytes()].concat()
}

pub(super) fn chain(s: &TableRef<'_>, name: &str, hook: Option<InetHookNumber>) -> NfTablesMessage {
    let mut attributes = vec![ChainAttribute::Table(s.name.into()), ChainAttribute::Name(name.into())];
    if let Some(hook) = hook {
        let number = Hook::Number(HookNumber::Inet(hook));
        attributes.push(ChainAttribute::Hook(vec![number, Hook::Priority(s.priority as u32)]));
        attributes.push(ChainAttribute::Type("filter".into()));
    }
    NfTablesMessage::NewChain(ChainMessage { attributes })
}

pub(super) fn rule(s: &TableRef<'_>, chain: &str, mut expressions: Vec<Expressions>) -> NfTablesMessage {
    if s.counters {
        let counter = Expressions::Other { expression_type: "counter".into(), attributes: Vec::new() };
        // What is counted is what the verdict, the last one, is passed on.
        expressions.insert(expressions.len().saturating_sub(1), counter);
    }
    NfTablesMessage::NewRule(RuleMessage {
        attributes: vec![
            RuleAttribute::Table(s.name.into()),
            RuleAttribute::Chain(chain.into()),
            RuleAttribute::Expressions(expressions.into_iter().map(Into::into).collect()),
        ],
    })
}

/// Bytes of a header into register 1.
pub(super) fn load(base: u32, offset: u32, length: u32) -> Expressions {
    load_to(Register::Reg1, base, offset, length)
}

/// Bytes of a header into a register.
pub(super) fn load_to(register: Register, base: u32, offset: u32, length: u32) -> Expressions {
    Expressions::Payload(vec![
        Payload::DestinationRegister(register),
        Payload::Base(base),
        Payload::Offset(offset),
        Payload::Len(length),
    ])
}

/// A property of the packet into register 1.
pub(super) fn meta(key: MetaKey) -> Expressions {
    meta_to(Register::Reg1, key)
}

/// A property of the packet into a register.
pub(super) fn meta_to(register: Register, key: MetaKey) -> Expressions {
    Expressions::Meta(vec![Meta::Key(key), Meta::DestinationRegister(register)])
}

/// Goes on when register 1 is this.
pub(super) fn equal(value: Vec<u8>) -> Expressions {
    Expressions::Cmp(vec![
        Cmp::SourceRegister(Register::Reg1),
        Cmp::Op(Operator::Equal),
        Cmp::Data(DataAttribute::Value(value)),
    ])
}

/// Goes on when what register 1 begins is in the set.
fn lookup(set: &str) -> Expressions {
    Expressions::Lookup(vec![Lookup::Set(set.into()), Lookup::SourceRegister(Register::Reg1)])
}

fn decide(verdict: Vec<VerdictAttribute>) -> Expressions {
    Expressions::Immediate(vec![
        Immediate::DestinationRegister(Register::Verdict),
        Immediate::Data(DataAttribute::Verdict(verdict)),
    ])
}

pub(super) fn verdict(v: Verdict) -> Expressions {
    decide(vec![VerdictAttribute::Code(v)])
}

fn jump(chain: &str) -> Expressions {
    decide(vec![VerdictAttribute::Code(Verdict::Jump), VerdictAttribute::Chain(chain.into())])
}
