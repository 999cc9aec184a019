//! Any bytes as a netlink datagram: of links and routes, of nf_tables, of process events.

/// One input.
pub fn drive(bytes: &[u8]) {
    for message in steadfast_net::netlink::parse(bytes) {
        let _ = steadfast_net::netlink::Why::answer(&message);
    }
    let _ = steadfast_net::nft::look(bytes, 5, "keepalived", &mut Vec::new());
    let _ = steadfast_sys::procwatch::begun(bytes);
}
