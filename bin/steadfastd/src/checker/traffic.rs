//! What the kernel counts of virtual and real servers, for managers. It is asked for no more often than the configuration allows.

use super::balancer::Balancer;
use std::collections::HashMap;
use std::time::Duration;
use steadfast_checkers::Slot;
use steadfast_core::ipvs::{DestinationKey, ServiceKey};
use steadfast_core::{Family, Time};
use steadfast_ipvs::{DestinationReply, Reply, Request, Stats};
use steadfast_status::live::Traffic;

/// Age of what is told, unless configured.
const AGE: Duration = Duration::from_secs(5);

/// Counters as they were read last.
#[derive(Default)]
pub struct Counted {
    services: HashMap<ServiceKey, Stats>,
    destinations: HashMap<(ServiceKey, DestinationKey), DestinationReply>,
    /// When both were read.
    read: [Option<Time>; 2],
}

/// How old counters may be: of virtual servers, of real servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ages(pub Option<Duration>, pub Option<Duration>);

fn add(sum: &mut Traffic, s: &Stats) {
    sum.connections += s.connections;
    sum.connections_per_second += s.connections_rate;
    let pairs = [
        (&mut sum.packets, [s.in_packets, s.out_packets]),
        (&mut sum.bytes, [s.in_bytes, s.out_bytes]),
        (&mut sum.packets_per_second, [s.in_packets_rate, s.out_packets_rate]),
        (&mut sum.bytes_per_second, [s.in_bytes_rate, s.out_bytes_rate]),
    ];
    for (to, from) in pairs {
        to[0] += from[0];
        to[1] += from[1];
    }
}

impl Counted {
    /// Reads what is too old. `slots` are the virtual servers.
    pub fn refresh(&mut self, balancer: &mut Balancer, slots: &[Slot], ages: Ages, t: Time) {
        let old = |at: Option<Time>, age: Duration| at.is_none_or(|at| t.since(at) >= age);
        let services = old(self.read[0], ages.0.unwrap_or(AGE));
        let destinations = ages.1.map_or(services, |age| old(self.read[1], age));
        if services {
            self.read[0] = Some(t);
            let all = balancer.ask(&Request::GetServices, Family::V4).into_iter();
            self.services =
                all.filter_map(|r| if let Reply::Service(s) = r { Some((s.key, s.stats)) } else { None }).collect();
        }
        if destinations {
            self.read[1] = Some(t);
            self.destinations.clear();
            for key in slots.iter().flat_map(|s| balancer.keys(*s)).collect::<Vec<_>>() {
                for reply in balancer.ask(&Request::GetDestinations(key), key.family()) {
                    if let Reply::Destination(d) = reply {
                        self.destinations.insert((key, d.key), d);
                    }
                }
            }
        }
    }

    /// Of a virtual server: the sum over all that it serves.
    pub fn service(&self, balancer: &Balancer, slot: Slot) -> Option<Traffic> {
        let mut sum = Traffic::default();
        let mut any = false;
        for s in balancer.keys(slot).filter_map(|k| self.services.get(&k)) {
            add(&mut sum, s);
            any = true;
        }
        any.then_some(sum)
    }

    /// Of a real server; port 0 is the service's.
    pub fn server(&self, balancer: &Balancer, slot: Slot, address: std::net::IpAddr, port: u16) -> Option<Traffic> {
        let mut sum = Traffic::default();
        let mut any = false;
        for key in balancer.keys(slot) {
            let own = match key {
                ServiceKey::Address { port, .. } => port,
                ServiceKey::Mark { .. } => 0,
            };
            let Some(d) =
                [port, own].iter().find_map(|p| self.destinations.get(&(key, DestinationKey { address, port: *p })))
            else {
                continue;
            };
            add(&mut sum, &d.stats);
            for (to, n) in sum.now.iter_mut().zip([d.active, d.inactive, d.persistent]) {
                *to += n;
            }
            any = true;
        }
        any.then_some(sum)
    }
}
