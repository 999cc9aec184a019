section! {
    /// One BFD session.
    BfdInstance, "bfd_instance" {
        /// Own address. Without it the kernel chooses one, and packets to any of the host's are taken.
        live "source_ip" "ADDR" "family of neighbor_ip" "any" => source: Option<IpAddr> = None, |c, v| c.address(v);
        /// Least interval between packets that can be received, in milliseconds.
        live "min_rx" "MS" "1-4294967, 3 decimals" "10" => min_rx: u32 = 10_000, |c, v| crate::bfd::interval(c, v);
        /// Least interval between packets that are sent while the session is up, in milliseconds. The slower side sets the pace.
        live "min_tx" "MS" "1-4294967, 3 decimals" "10" => min_tx: u32 = 10_000, |c, v| crate::bfd::interval(c, v);
        /// Least interval between packets that are sent while the session is not up, in milliseconds.
        live "idle_tx" "MS" "1000-4294967, 3 decimals" "1000" => idle_tx: u32 = 1_000_000, |c, v| c.milliseconds(v, 1000, 4_294_967);
        /// Packets that may be lost: the peer finds us dead after so many intervals.
        live "multiplier" "N" "1-255" "5" => multiplier: u8 = 5, |c, v| c.int(v, 1, 255);
        /// Send nothing before the peer has been heard.
        live "passive" "-" "-" "off" => passive: bool = false, |c, v| c.flag(v);
        /// TTL or hop limit that is sent; packets must come with as much less max_hops.
        live "ttl" "N" "1-255" "255; 64 from an IPv6 peer is taken, too" => ttl: Option<u8> = None, |c, v| c.some_int(v, 1, 255);
        /// By how much the TTL of received packets may be lower; -1: by any number.
        live "max_hops" "N" "-1-255" "0; any with multihop" => max_hops: Option<i16> = None, |c, v| c.some_int(v, -1, 255);
        /// Over several hops, by UDP port 4784 (RFC 5883).
        live "multihop" "[BOOL]" "-" "off" => multihop: Option<bool> = None, |c, v| c.boolean(v);
        /// Priority change of the instances that track it; 0: FAULT while it is down.
        live "weight" "N [reverse]" "-253-253" "0" => weight: (i32, bool) = (0, false), |c, v| weight(c, v, 253);
        /// VRRP instances may track it; alone: no check may use it.
        live "vrrp" "-" "-" "both when neither is given" => for_vrrp: bool = false, |c, v| c.flag(v);
        /// BFD_CHECK may use it; alone: no VRRP instance may track it.
        live "checker" "-" "-" "both when neither is given" => for_checker: bool = false, |c, v| c.flag(v);
    }
    also {
        /// The peer. One session for each pair of source and peer, also where one is multihop.
        live "neighbor_ip" "ADDR" "-" "required" => |c, s| crate::bfd::neighbor(c, s);
        /// The peer.
        live "neighbour_ip" "ADDR" "-" "required" => |c, s| crate::bfd::neighbor(c, s);
        /// As ttl.
        live "hoplimit" "N" "1-255" "as ttl" => |c, s| c.some_int(&mut s.ttl, 1, 255);
    }
    plain {
        /// The peer.
        neighbor: Option<IpAddr>;
        /// An address of a peer was given that is none.
        malformed: bool;
        /// Name.
        name: String;
    }
}

impl BfdInstance {
    /// VRRP instances may track it.
    pub fn is_for_vrrp(&self) -> bool {
        self.for_vrrp || !self.for_checker
    }

    /// Checks may use it.
    pub fn is_for_checker(&self) -> bool {
        self.for_checker || !self.for_vrrp
    }
}
