//! Sockets that adverts come in by.

use super::*;
use steadfast_net::vrrp_socket::Packet;

impl Role {
    /// One receiving socket for each present (interface, family) that is listened on.
    pub(super) fn sockets(&mut self) {
        let mut wanted: HashMap<(u32, Family, bool), ()> = HashMap::new();
        for listen in self.router.listening() {
            let Some(l) = self.system.mirror.by_name(&listen.interface).cloned() else { continue };
            let key = (l.index, listen.family, listen.ah);
            wanted.insert(key, ());
            let vrids = if self.plan.machine.log_unknown_vrids { Vec::new() } else { listen.vrids.clone() };
            let held = self.by_link.get(&key).and_then(|token| self.receivers.get(token));
            if held.is_some_and(|r| r.1 == vrids && r.2 == listen.groups) {
                continue;
            }
            // Membership on the base link too, so that switches hear of it from a MAC address that is always ours.
            let links: Vec<u32> = std::iter::once(l.index).chain(l.parent.filter(|_| l.is_virtual)).collect();
            let buffer = self.plan.receive_buffer.bytes(l.mtu, listen.vrids.len());
            let opened = Receiver::open(&l.name, &links, (key.1, key.2), &listen.groups, &vrids, buffer);
            match opened {
                Ok(receiver) => {
                    let token = self.next_token;
                    self.next_token += 1;
                    if let Err(e) = self.reactor.watch(receiver.fd(), token) {
                        log::error!("cannot watch the socket of {}: {e}", listen.interface);
                        self.listen_again = true;
                        continue;
                    }
                    // The old one hears until the new one does.
                    self.close_socket(key);
                    self.receivers.insert(token, (receiver, vrids, listen.groups));
                    self.by_link.insert(key, token);
                    self.readable.insert(token);
                }
                // An interface that is not ready yet, or a want of something: the next beat brings us here again.
                Err(e) => {
                    self.listen_again = true;
                    if self.by_link.contains_key(&key) {
                        log::warn!("cannot listen anew on {}: {e}", listen.interface);
                    } else {
                        log::debug!("cannot listen on {} yet: {e}", listen.interface);
                    }
                }
            }
        }
        let gone: Vec<_> = self.by_link.keys().filter(|k| !wanted.contains_key(k)).copied().collect();
        gone.into_iter().for_each(|k| self.close_socket(k));
    }

    pub(super) fn close_socket(&mut self, key: (u32, Family, bool)) {
        if let Some(token) = self.by_link.remove(&key)
            && let Some((receiver, ..)) = self.receivers.remove(&token)
        {
            self.reactor.forget(receiver.fd());
            self.readable.remove(&token);
        }
    }

    pub(super) fn packets(&mut self, t: Time) {
        for token in self.readable.clone() {
            let Some((receiver, ..)) = self.receivers.get_mut(&token) else {
                self.readable.remove(&token);
                continue;
            };
            let interface = receiver.interface;
            for _ in 0..PACKETS {
                match receiver.receive() {
                    Ok(Some(p)) => {
                        self.router.handle(t, Input::Packet(received(interface, p)), &mut self.out);
                    }
                    Ok(None) => {
                        self.readable.remove(&token);
                        break;
                    }
                    Err(e) => {
                        log::error!("receiving adverts: {e}");
                        self.readable.remove(&token);
                        break;
                    }
                }
            }
        }
    }
}

/// A packet as the machine takes it.
pub(super) fn received(interface: u32, p: Packet<'_>) -> Received<'_> {
    Received {
        interface,
        source: p.source,
        destination: p.destination,
        hop_limit: p.hop_limit,
        payload: p.payload,
        header: p.header,
    }
}
