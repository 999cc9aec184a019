//! Any bytes as an authenticated packet for a virtual router. The first byte says how it authenticates; the rest is an IPv4 packet
//! of protocol 51 (bit 0), or a message with a trailer.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use steadfast_core::kernel::Address;
use steadfast_core::{Family, IpCidr, Mac, Secret, Time};
use steadfast_vrrp::{Auth, Config, Hmac, HmacMode, Input, InstanceConfig, Link, Received, Router, Version};

/// How many adverts were believed.
pub fn drive(bytes: &[u8]) -> u64 {
    let Some((how, packet)) = bytes.split_first() else { return 0 };
    let address = |last| IpAddr::V4(Ipv4Addr::new(10, 77, 0, last));
    let mut c = InstanceConfig::new("A", "eth0", 51, Family::V4);
    c.version = if how & 2 == 0 { Version::V2 } else { Version::V3 };
    c.addresses = vec![Address::new(IpCidr { address: address(100), prefix: 24 }, "eth0")].into();
    let ah = how & 1 == 1;
    if ah {
        c.auth = Auth::Ah(Secret::new("secret"));
    } else {
        c.hmac = Some(Hmac {
            keys: vec![(1, Secret::new(vec![7; 32]))],
            active: 1,
            window: Duration::from_secs(5),
            monotonic: how & 4 != 0,
            mode: [HmacMode::Enforce, HmacMode::Permissive, HmacMode::ReceiveOnly][usize::from(how >> 3) % 3],
        });
    }
    let group = c.group;
    let mut out = Vec::new();
    let at = |ms| Time::from_millis(ms);
    let mut router = Router::new(Config { instances: vec![c], ..Config::default() }, 1, at(0), &mut out);
    router.handle(at(0), Input::Wall(Duration::from_secs(1_800_000_000)), &mut out);
    let link = Link {
        name: "eth0".into(),
        index: 2,
        up: true,
        mtu: 1500,
        mac: Mac([2, 0, 0, 0, 0, 1]),
        addresses: vec![IpCidr { address: address(1), prefix: 24 }],
        vrf: false,
    };
    router.handle(at(0), Input::Link(link), &mut out);
    router.poll(at(0), &mut out);
    let (header, payload) = packet.split_at(if ah { packet.len().min(20) } else { 0 });
    for ms in [1000, 1001, 5000] {
        let received = Received {
            interface: 2,
            source: address(2),
            destination: group,
            hop_limit: 255,
            payload,
            header: ah.then_some(header),
        };
        router.handle(at(ms), Input::Packet(received), &mut out);
        router.poll(at(ms), &mut out);
    }
    router.views().map(|v| v.counters.advert_rcvd).sum()
}
