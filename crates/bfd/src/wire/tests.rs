//! Bytes of control packets.

use super::*;
use proptest::prelude::*;

fn packet() -> Packet {
    Packet {
        diag: Diag::EXPIRED,
        state: State::Down,
        poll: true,
        last: false,
        independent: false,
        demand: false,
        multiplier: 3,
        mine: 0x0102_0304,
        yours: 0,
        min_tx: 1_000_000,
        min_rx: 300_000,
        min_echo: 0,
    }
}

#[test]
fn a_packet_written_out() {
    let bytes = packet().emit();
    assert_eq!(
        bytes,
        [
            0x21, 0x60, 3, 24, // version 1, diagnostic 1; Down, P; multiplier; length
            1, 2, 3, 4, 0, 0, 0, 0, // discriminators
            0x00, 0x0f, 0x42, 0x40, 0x00, 0x04, 0x93, 0xe0, 0, 0, 0, 0,
        ]
    );
    assert_eq!(Packet::parse(&bytes), Ok(packet()));
}

/// A change of bytes, and what is wrong with them then.
type Case<'a> = (&'a dyn Fn(&mut Vec<u8>), Fault);

#[test]
fn what_the_rfc_discards() {
    let cases: [Case<'_>; 12] = [
        (&|b| b.truncate(23), Fault::Short),
        (&|b| b.clear(), Fault::Short),
        (&|b| b[0] = 0x01, Fault::Version),
        (&|b| b[0] = 0x41, Fault::Version),
        (&|b| b[3] = 23, Fault::Length),
        (&|b| b[3] = 25, Fault::Short),
        (&|b| b[2] = 0, Fault::Multiplier),
        (&|b| b[1] |= 1, Fault::Multipoint),
        (&|b| b[4..8].fill(0), Fault::Discriminator),
        (&|b| b[1] = 0xc0, Fault::State),
        (&|b| b[1] |= 4, Fault::Length),
        (
            &|b| {
                b[1] |= 4;
                b[3] = 26;
                b.extend([1, 2]);
            },
            Fault::Authenticated,
        ),
    ];
    for (n, (change, fault)) in cases.into_iter().enumerate() {
        let mut bytes = packet().emit().to_vec();
        change(&mut bytes);
        assert_eq!(Packet::parse(&bytes), Err(fault), "case {n}");
    }
    // What follows a packet in the datagram is nobody's business.
    let mut longer = packet().emit().to_vec();
    longer.extend([0; 40]);
    assert_eq!(Packet::parse(&longer), Ok(packet()));
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        diag in 0u8..32, state in 0u8..4, flags in any::<[bool; 4]>(), multiplier in 1u8.., mine in 1u32.., yours in 1u32.., times in any::<[u32; 3]>(),
    ) {
        let p = Packet {
            diag: Diag(diag), state: State::of(state), poll: flags[0], last: flags[1], independent: flags[2], demand: flags[3],
            multiplier, mine, yours, min_tx: times[0], min_rx: times[1], min_echo: times[2],
        };
        prop_assert_eq!(Packet::parse(&p.emit()), Ok(p));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(p) = Packet::parse(&bytes) {
            prop_assert_eq!(Packet::parse(&p.emit()), Ok(p));
        }
    }
}
