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

impl Ages {
    /// Which counters are to be read anew, when both were read then. Those of real servers go with their virtual servers' unless they
    /// have an age of their own.
    fn too_old(self, read: [Option<Time>; 2], t: Time) -> [bool; 2] {
        let old = |at: Option<Time>, age: Duration| at.is_none_or(|at| t.since(at) >= age);
        let services = old(read[0], self.0.unwrap_or(AGE));
        [services, self.1.map_or(services, |age| old(read[1], age))]
    }
}

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
        let [services, destinations] = ages.too_old(self.read, t);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_when_they_are_older_than_the_file_allows() {
        let age = |millis: Option<u64>| millis.map(Duration::from_millis);
        // When both are first read at 1000: at which times after it each is too old.
        for (vs, rs, after, wanted) in [
            (None, None, 4999, [false, false]),
            (None, None, 5000, [true, true]),
            (Some(200), None, 199, [false, false]),
            (Some(200), None, 200, [true, true]),
            (Some(200), Some(700), 200, [true, false]),
            (Some(700), Some(200), 200, [false, true]),
            (None, Some(200), 200, [false, true]),
            (None, Some(7000), 5000, [true, false]),
        ] {
            let ages = Ages(age(vs), age(rs));
            let (begin, now) = (Time::from_millis(1000), Time::from_millis(1000 + after));
            assert_eq!(ages.too_old([None, None], begin), [true, true]);
            assert_eq!(ages.too_old([Some(begin), Some(begin)], now), wanted, "{ages:?} {after}");
        }
    }
}
