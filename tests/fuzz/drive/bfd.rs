//! Any bytes as a BFD packet, and as a conversation with a session that is up.

use steadfast_bfd::{Config, Input, Output, Received, SessionConfig, Sessions, wire::Packet};
use steadfast_core::Time;

/// One input.
pub fn drive(bytes: &[u8]) {
    if let Ok(p) = Packet::parse(bytes) {
        assert_eq!(Packet::parse(&p.emit()), Ok(p));
    }
    let (neighbor, own) = ("10.0.0.2".parse().expect("address"), "10.0.0.1".parse().expect("address"));
    let mut out = Vec::new();
    let config = Config { sessions: vec![SessionConfig::new("s", neighbor)] };
    let mut all = Sessions::new(config, 1, Time::ZERO, &mut out);
    let mut now = 0;
    for chunk in bytes.chunks(25) {
        let (Some(after), payload) = (chunk.first(), chunk.get(1..).unwrap_or_default()) else { break };
        now += u64::from(*after);
        let hop_limit = if *after % 16 == 0 { 64 } else { 255 };
        let packet = Received { source: neighbor, destination: own, hop_limit, multihop: false, payload };
        all.handle(Time::from_millis(now), Input::Packet(packet), &mut out);
        all.poll(Time::from_millis(now), &mut out);
        assert!(out.len() < 5000);
        out.retain(|o| !matches!(o, Output::Send { .. } | Output::Log(..)));
    }
}
