//! Asking drivers whether a link has a carrier, for those that do not tell netlink of it.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Method {
    /// The transceiver's basic mode status register (IEEE 802.3 clause 22.2.4.2).
    Mii,
    /// The driver (ETHTOOL_GLINK).
    Ethtool,
    /// The link's flags.
    Flags,
}

// linux/sockios.h, linux/ethtool.h.
const SIOCETHTOOL: libc::c_ulong = 0x8946;
const SIOCGMIIPHY: libc::c_ulong = 0x8947;
const SIOCGMIIREG: libc::c_ulong = 0x8948;
const ETHTOOL_GLINK: u32 = 0x0a;
/// Basic mode status register, and its bit for the link.
const BMSR: u16 = 1;
const LINK_STATUS: u16 = 4;

/// struct ifreq with what these calls put into its union, which has 24 bytes.
///
/// ```text
///  0                16              18              20              22        24               40
/// +-----------------+---------------+---------------+---------------+---------+----------------+
/// | name            | phy           | register      | value in      | out     |                |  MII
/// |                 | pointer to { command u32, data u32 }                    |                |  ethtool
/// |                 | flags         |                                                          |
/// +-----------------+---------------+----------------------------------------------------------+
/// ```
#[repr(C, align(8))]
struct Request {
    name: [u8; 16],
    data: Data,
}

#[repr(C)]
union Data {
    mii: [u16; 4],
    value: *mut [u32; 2],
    room: [u64; 3],
}

/// Asks.
pub struct Poller {
    socket: OwnedFd,
}

impl Poller {
    /// Opens a socket to ask by.
    pub fn open() -> io::Result<Self> {
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Poller { socket })
    }

    /// Whether a link has a carrier; an error where its driver cannot say so in this way.
    pub fn carrier(&self, link: &str, method: Method) -> io::Result<bool> {
        let mut r = Request { name: [0; 16], data: Data { room: [0; 3] } };
        if link.len() >= r.name.len() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        r.name.iter_mut().zip(link.bytes()).for_each(|(to, from)| *to = from);
        match method {
            Method::Mii => {
                self.ask(SIOCGMIIPHY, &mut r)?;
                // SAFETY: any bytes are such an array; the kernel has filled them.
                let [phy, ..] = unsafe { r.data.mii };
                let mut status = 0;
                // A loss is latched until it has been read once.
                for _ in 0..2 {
                    r.data = Data { room: [0; 3] };
                    r.data.mii = [phy, BMSR, 0, 0];
                    self.ask(SIOCGMIIREG, &mut r)?;
                    // SAFETY: as above.
                    [.., status] = unsafe { r.data.mii };
                }
                Ok(status & LINK_STATUS != 0)
            }
            Method::Ethtool => {
                let mut value = [ETHTOOL_GLINK, 0];
                r.data.value = &raw mut value;
                self.ask(SIOCETHTOOL, &mut r)?;
                Ok(value[1] != 0)
            }
            Method::Flags => {
                self.ask(libc::SIOCGIFFLAGS as libc::c_ulong, &mut r)?;
                // SAFETY: as above.
                let [flags, ..] = unsafe { r.data.mii };
                Ok(i32::from(flags) & libc::IFF_RUNNING != 0)
            }
        }
    }

    fn ask(&self, what: libc::c_ulong, r: &mut Request) -> io::Result<()> {
        // SAFETY: the request is as large as struct ifreq, and what it points to outlives the call.
        let done = unsafe { libc::ioctl(self.socket.as_raw_fd(), what as _, r as *mut Request) };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_the_kernel_has_a_carrier_and_one_that_is_not_there_has_none() {
        assert_eq!(size_of::<Request>(), size_of::<libc::ifreq>());
        let poller = Poller::open().unwrap();
        assert!(poller.carrier("lo", Method::Flags).is_ok());
        assert!(poller.carrier("lo", Method::Mii).is_err(), "it has no transceiver");
        for method in [Method::Mii, Method::Ethtool, Method::Flags] {
            assert!(poller.carrier("nosuchlink", method).is_err());
            assert!(poller.carrier("a name that is longer than any", method).is_err());
        }
    }
}
