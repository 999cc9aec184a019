//! Gratuitous ARP (RFC 5227 section 1.2, request form) and unsolicited neighbour advertisements (RFC 4861 section 4.4).

use pnet::packet::Packet;
use pnet::packet::arp::{ArpHardwareTypes, ArpOperations, MutableArpPacket};
use pnet::packet::ethernet::{EtherTypes, MutableEthernetPacket};
use pnet::packet::icmpv6::ndp::{MutableNeighborAdvertPacket, NdpOption, NdpOptionTypes, NeighborAdvertFlags};
use pnet::packet::icmpv6::{self, Icmpv6Code, Icmpv6Packet, Icmpv6Types};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv6::MutableIpv6Packet;
use pnet::util::MacAddr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use steadfast_core::Mac;

/// A packet socket for announcements of all interfaces.
pub struct Announcer {
    fd: OwnedFd,
}

impl Announcer {
    /// Opens the socket. It receives nothing.
    pub fn open() -> io::Result<Self> {
        // SAFETY: socket makes a new descriptor that only the result owns. Protocol 0 receives nothing.
        let fd = unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Announcer { fd })
    }

    /// Takes over one that the parent has opened, and holds for all lives of a child: the kernel lets nobody end within ten
    /// milliseconds who is the last to have such a socket, and until then nobody knows that he is gone.
    ///
    /// Fails when the number is no packet socket.
    pub fn inherited(fd: RawFd) -> io::Result<Self> {
        let mut domain: libc::c_int = 0;
        let mut length = std::mem::size_of::<libc::c_int>() as libc::socklen_t;
        let to = (&raw mut domain).cast();
        // SAFETY: fcntl and getsockopt on any number are harmless, and what they write into outlives them; only a packet socket is
        // taken, and the caller names one that the parent left for this process alone.
        unsafe {
            if libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_DOMAIN, to, &mut length) < 0
                || libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) < 0
            {
                return Err(io::Error::last_os_error());
            }
            if domain != libc::AF_PACKET {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            Ok(Announcer { fd: OwnedFd::from_raw_fd(fd) })
        }
    }

    /// The descriptor's number.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Announces an address from an interface's hardware address.
    pub fn announce(&self, interface: u32, mac: Mac, address: IpAddr) -> io::Result<()> {
        let frame = match address {
            IpAddr::V4(a) => gratuitous_arp(mac, a),
            IpAddr::V6(a) => neighbour_advertisement(mac, a),
        };
        let Some(frame) = frame else { return Err(io::ErrorKind::InvalidInput.into()) };
        // SAFETY: sockaddr_ll is plain data, for which zero is valid.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = i32::try_from(interface).unwrap_or(0);
        to.sll_halen = 6;
        // SAFETY: frame and address are live buffers of the told sizes.
        let n = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                libc::MSG_DONTWAIT,
                (&raw const to).cast(),
                std::mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

fn mac_address(mac: Mac) -> MacAddr {
    let [a, b, c, d, e, f] = mac.0;
    MacAddr::new(a, b, c, d, e, f)
}

/// Sender and target are the address itself; the link's own MAC; broadcast.
fn gratuitous_arp(mac: Mac, address: Ipv4Addr) -> Option<Vec<u8>> {
    let mac = mac_address(mac);
    let mut frame = vec![0u8; 14 + 28];
    {
        let mut arp = MutableArpPacket::new(frame.get_mut(14..)?)?;
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(ArpOperations::Request);
        arp.set_sender_hw_addr(mac);
        arp.set_sender_proto_addr(address);
        arp.set_target_hw_addr(MacAddr::broadcast());
        arp.set_target_proto_addr(address);
    }
    let mut ethernet = MutableEthernetPacket::new(&mut frame)?;
    ethernet.set_destination(MacAddr::broadcast());
    ethernet.set_source(mac);
    ethernet.set_ethertype(EtherTypes::Arp);
    Some(frame)
}

/// Router and override set, solicited not (RFC 9568 section 6.4.2), with the target's link-layer address, to all nodes.
fn neighbour_advertisement(mac: Mac, address: Ipv6Addr) -> Option<Vec<u8>> {
    const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mac = mac_address(mac);
    let advert = 24 + 8;
    let mut frame = vec![0u8; 14 + 40 + advert];
    {
        let mut na = MutableNeighborAdvertPacket::new(frame.get_mut(54..)?)?;
        na.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
        na.set_icmpv6_code(Icmpv6Code::new(0));
        na.set_flags(NeighborAdvertFlags::Router | NeighborAdvertFlags::Override);
        na.set_target_addr(address);
        na.set_options(&[NdpOption {
            option_type: NdpOptionTypes::TargetLLAddr,
            length: 1,
            data: mac.octets().to_vec(),
        }]);
        let sum = icmpv6::checksum(&Icmpv6Packet::new(na.packet())?, &address, &ALL_NODES);
        na.set_checksum(sum);
    }
    {
        let mut ip = MutableIpv6Packet::new(frame.get_mut(14..)?)?;
        ip.set_version(6);
        ip.set_payload_length(u16::try_from(advert).ok()?);
        ip.set_next_header(IpNextHeaderProtocols::Icmpv6);
        // RFC 4861 section 7.1.2: receivers drop anything but 255.
        ip.set_hop_limit(255);
        ip.set_source(address);
        ip.set_destination(ALL_NODES);
    }
    let mut ethernet = MutableEthernetPacket::new(&mut frame)?;
    ethernet.set_destination(MacAddr::new(0x33, 0x33, 0, 0, 0, 1));
    ethernet.set_source(mac);
    ethernet.set_ethertype(EtherTypes::Ipv6);
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_byte_for_byte() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        let arp = gratuitous_arp(mac, Ipv4Addr::new(192, 0, 2, 9)).expect("frame");
        let want: Vec<u8> = [
            &[0xff; 6][..],
            &[2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
            &[2, 0, 0, 0, 0, 1, 192, 0, 2, 9],
            &[0xff; 6],
            &[192, 0, 2, 9],
        ]
        .concat();
        assert_eq!(arp, want);
        let na = neighbour_advertisement(mac, "fe80::9".parse().expect("address")).expect("frame");
        assert_eq!(na.len(), 86);
        assert_eq!((na[20], na[21], na[54], na[58]), (58, 255, 136, 0xa0));
        assert_eq!(na[78..86], [2, 1, 2, 0, 0, 0, 0, 1]);
    }
}
