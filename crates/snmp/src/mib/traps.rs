//! What managers are told unasked. As keepalived does it, names of KEEPALIVED-MIB's objects are sent without their index.

use super::{Facts, KEEPALIVED, RFC_2787, RFC_6527, at, check, rfc};
use crate::oid::Oid;
use crate::view::View;
use crate::wire::{Bind, Value};
use std::net::{IpAddr, Ipv4Addr};
use steadfast_config::model::Served;
use steadfast_core::State;

/// snmpTrapOID.0
const TRAP: [u32; 11] = [1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0];

/// VrrpState, which knows more than the protocol does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Known {
    State(State),
    Shutdown,
    Deleted,
}

impl Known {
    fn number(self) -> i32 {
        match self {
            Known::State(s) => super::state(Some(s)),
            Known::Shutdown => 5,
            Known::Deleted => 6,
        }
    }
}

/// What is wrong with a packet, by the numbers of the two MIBs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Alarm {
    InvalidAuthType,
    AuthTypeMismatch,
    AuthFailure,
    IpTtl,
    Version,
    Checksum,
}

/// Something has happened.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Event {
    Instance {
        name: String,
        state: Known,
    },
    Group {
        name: String,
        state: Known,
    },
    /// An instance became master; why, by RFC 6527.
    NewMaster {
        name: String,
        reason: u8,
    },
    /// An instance has thrown a packet away.
    Refused {
        name: String,
        alarm: Alarm,
        source: Option<IpAddr>,
    },
    /// Names as the checker has them.
    Server {
        service: String,
        server: String,
        up: bool,
    },
    Quorum {
        service: String,
        quorum: bool,
    },
}

/// The notifications that an event leads to: none where its part is not served.
pub fn binds(f: &Facts<'_>, view: &View, event: &Event) -> Vec<Vec<Bind>> {
    match event {
        Event::Instance { name, state } if f.parts.vrrp => instance(f, view, name, *state).into_iter().collect(),
        Event::Group { name, state } if f.parts.vrrp => {
            let table = at(&KEEPALIVED, &[2, 1, 1]);
            let mut all = trap(&at(&KEEPALIVED, &[2, 10, 0, 1]));
            all.push(Bind::new(table.with(&[2]), crate::view::text(name)));
            all.push(Bind::new(table.with(&[3]), Value::Integer(state.number())));
            all.push(router(f));
            vec![all]
        }
        Event::NewMaster { name, reason } => new_master(f, name, *reason),
        Event::Refused { name, alarm, source } => refused(f, name, *alarm, *source).into_iter().collect(),
        Event::Server { service, server, up } if f.parts.checker => {
            real_server(f, view, service, server, *up).into_iter().collect()
        }
        Event::Quorum { service, quorum } if f.parts.checker => {
            quorum_of(f, view, service, *quorum).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn trap(name: &Oid) -> Vec<Bind> {
    vec![Bind::new(Oid::new(TRAP), Value::Name(name.clone()))]
}

fn router(f: &Facts<'_>) -> Bind {
    Bind::new(at(&KEEPALIVED, &[1, 2, 0]), crate::view::text(f.router_id()))
}

/// Columns of a row as the view has them, under names without the index.
fn columns(view: &View, table: &Oid, index: &[u32], columns: &[u32], all: &mut Vec<Bind>) {
    for c in columns {
        let value = view.get(&table.with(&[*c]).with(index));
        if !matches!(value, Value::NoSuchInstance | Value::NoSuchObject) {
            all.push(Bind::new(table.with(&[*c]), value));
        }
    }
}

fn instance(f: &Facts<'_>, view: &View, name: &str, state: Known) -> Option<Vec<Bind>> {
    let table = at(&KEEPALIVED, &[2, 3, 1]);
    let mut all = trap(&at(&KEEPALIVED, &[2, 10, 0, 2]));
    all.push(Bind::new(table.with(&[2]), crate::view::text(name)));
    all.push(Bind::new(table.with(&[4]), Value::Integer(state.number())));
    // One that a reload took out has no row any more.
    if let Some(n) = (1..).zip(&f.config.instances).find(|(_, i)| i.name == name).map(|(n, _)| n) {
        columns(view, &table, &[n], &[5], &mut all);
    }
    all.push(router(f));
    Some(all)
}

fn new_master(f: &Facts<'_>, name: &str, reason: u8) -> Vec<Vec<Bind>> {
    let Some(i) = f.instance(name) else { return Vec::new() };
    let own = i.source.as_ref().and_then(|s| s.parse::<IpAddr>().ok());
    let mut traps = Vec::new();
    if let (true, Some(index), Some(IpAddr::V4(own))) = (f.parts.rfc_2787, rfc::index_2(f, i), own) {
        let mut all = trap(&at(&RFC_2787, &[0, 1]));
        all.push(Bind::new(rfc::operations_2().with(&[7]).with(&index), Value::Address(own.octets())));
        traps.push(all);
    }
    if let (true, Some(own)) = (f.parts.rfc_6527, own) {
        let index = rfc::index_3(f, i);
        let mut all = trap(&at(&RFC_6527, &[0, 1]));
        all.push(Bind::new(rfc::operations_3().with(&[3]).with(&index), crate::view::address(own)));
        all.push(Bind::new(rfc::statistics_3().with(&[2]).with(&index), Value::Integer(reason.into())));
        traps.push(all);
    }
    traps
}

fn refused(f: &Facts<'_>, name: &str, alarm: Alarm, source: Option<IpAddr>) -> Option<Vec<Bind>> {
    let i = f.instance(name)?;
    let (auth, number) = match alarm {
        Alarm::InvalidAuthType => (true, 1),
        Alarm::AuthTypeMismatch => (true, 2),
        Alarm::AuthFailure => (true, 3),
        Alarm::IpTtl => (false, 1),
        Alarm::Version => (false, 2),
        Alarm::Checksum => (false, 3),
    };
    if auth {
        rfc::index_2(f, i).filter(|_| f.parts.rfc_2787)?;
        let source = if let Some(IpAddr::V4(a)) = source { a } else { Ipv4Addr::UNSPECIFIED };
        let mut all = trap(&at(&RFC_2787, &[0, 2]));
        all.push(Bind::new(at(&RFC_2787, &[1, 5, 0]), Value::Address(source.octets())));
        all.push(Bind::new(at(&RFC_2787, &[1, 6, 0]), Value::Integer(number)));
        return Some(all);
    }
    if !f.parts.rfc_6527 {
        return None;
    }
    let mut all = trap(&at(&RFC_6527, &[0, 2]));
    all.push(Bind::new(rfc::statistics_3().with(&[6]).with(&rfc::index_3(f, i)), Value::Integer(number)));
    Some(all)
}

/// What a virtual server is, by its kind.
fn served(view: &View, n: u32, served: &Served, all: &mut Vec<Bind>) {
    let more: &[u32] = match served {
        Served::Nothing => &[],
        Served::Mark(_) => &[4],
        Served::Address(..) => &[5, 6, 7],
        Served::Group(_) => &[3],
    };
    columns(view, &check::services(), &[n], more, all);
}

fn real_server(f: &Facts<'_>, view: &View, service: &str, server: &str, up: bool) -> Option<Vec<Bind>> {
    let (n, v, now) = check::pairs(f).find(|(_, _, s)| s.is_some_and(|s| s.name == service))?;
    let m = check::row_of(v, now?.servers.iter().position(|r| r.name == server)?);
    let servers = check::servers();
    let mut all = trap(&at(&KEEPALIVED, &[3, 5, 0, 1]));
    columns(view, &servers, &[n, m], &[3, 4, 5], &mut all);
    all.push(Bind::new(servers.with(&[6]), crate::view::truth(up)));
    columns(view, &check::services(), &[n], &[2], &mut all);
    served(view, n, &v.served, &mut all);
    columns(view, &check::services(), &[n], &[8, 21, 20], &mut all);
    all.push(router(f));
    Some(all)
}

fn quorum_of(f: &Facts<'_>, view: &View, service: &str, quorum: bool) -> Option<Vec<Bind>> {
    let (n, v, _) = check::pairs(f).find(|(_, _, s)| s.is_some_and(|s| s.name == service))?;
    let services = check::services();
    let mut all = trap(&at(&KEEPALIVED, &[3, 5, 0, 2]));
    columns(view, &services, &[n], &[2], &mut all);
    served(view, n, &v.served, &mut all);
    columns(view, &services, &[n], &[8], &mut all);
    all.push(Bind::new(services.with(&[23]), crate::view::truth(quorum)));
    columns(view, &services, &[n], &[22, 21, 20], &mut all);
    all.push(router(f));
    Some(all)
}
