//! What the role says of itself when it is asked.

use super::Role;
use steadfast_checkers::{CheckKind, ServiceView};
use steadfast_ipc::status_pieces;
use steadfast_status::live;

fn kind(k: &CheckKind) -> &'static str {
    match k {
        CheckKind::Tcp(_) => "TCP_CHECK",
        CheckKind::Http(h) if h.tls.is_some() => "SSL_GET",
        CheckKind::Http(_) => "HTTP_GET",
        CheckKind::Smtp { .. } => "SMTP_CHECK",
        CheckKind::Dns { .. } => "DNS_CHECK",
        CheckKind::Udp { .. } => "UDP_CHECK",
        CheckKind::Ping(_) => "PING_CHECK",
        CheckKind::Misc { .. } => "MISC_CHECK",
        CheckKind::File { .. } => "FILE_CHECK",
        CheckKind::Bfd { .. } => "BFD_CHECK",
        CheckKind::Grpc(_) => "GRPC_CHECK",
        CheckKind::Agent { .. } => "AGENT_CHECK",
    }
}

impl Role {
    /// Says how the role is.
    pub(super) fn say_status(&mut self) {
        let service = |s: ServiceView<'_>| live::Service {
            name: s.name.to_string(),
            quorum: s.quorum,
            live_weight: s.live_weight,
            needed: s.config.quorum,
            active: s.active,
            panic: s.panic,
            servers: (s.servers.into_iter())
                .map(|r| live::Server {
                    name: r.name.to_string(),
                    up: r.up,
                    weight: r.weight,
                    drained: r.drained,
                    checks: (r.checks.into_iter())
                        .map(|(check, good, reason)| live::Check { kind: kind(&check.kind).into(), good, reason })
                        .collect(),
                })
                .collect(),
        };
        let all = live::Checker { services: self.pool.services().into_iter().map(service).collect() };
        let text = live::to_json(&all);
        let pieces: Vec<_> = status_pieces(text.as_bytes()).collect();
        for piece in pieces {
            self.parent.say(piece);
        }
    }
}
