//! The network side of the operating system: protocol-112 and BFD sockets, gratuitous ARP and neighbour advertisements, rtnetlink.
//! Adapters are dumb: they carry out and report, they do not decide.
#![allow(unsafe_code)]
#![deny(missing_docs)]

pub mod announce;
pub mod bfd_socket;
pub mod dialogue;
pub mod ipvs;
pub mod linkbeat;
pub mod netlink;
pub mod nft;
pub mod probe;
pub mod tls;
pub mod vrrp_socket;
