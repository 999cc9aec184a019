//! What the role says of itself when it is asked.

use super::traffic::Ages;
use super::{Role, translate};
use steadfast_checkers::{CheckKind, ServiceView, Suspend};
use steadfast_core::Time;
use steadfast_ipc::{Reporter, encode, report_pieces, status_pieces};
use steadfast_status::live;

pub(super) fn kind(k: &CheckKind) -> &'static str {
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
        let text = live::to_json(&self.status());
        let pieces: Vec<_> = status_pieces(text.as_bytes()).collect();
        for piece in pieces {
            self.parent.say(piece);
        }
    }

    /// Says all that there is to know, for observers.
    pub(super) fn report(&mut self, t: Time) {
        if let Some(ages) = self.plan.counters.or(self.snmp.then(Ages::default)) {
            let slots: Vec<_> = self.pool.services().iter().map(|s| s.slot).collect();
            self.counted.refresh(&mut self.balancer, &slots, ages, t);
        }
        match encode(&self.status()) {
            Ok(bytes) => report_pieces(Reporter::Checker, &bytes).for_each(|piece| self.parent.say(piece)),
            Err(e) => log::error!("report: {e}"),
        }
    }

    fn status(&self) -> live::Checker {
        let wall = steadfast_sys::files::wall_clock();
        let clock = |ago: Option<std::time::Duration>| ago.map(|ago| wall - ago.as_secs_f64());
        let service = |s: ServiceView<'_>| live::Service {
            name: s.name.to_string(),
            quorum: s.quorum,
            since: clock(s.since),
            live_weight: s.live_weight,
            needed: s.needed,
            active: s.active,
            panic: s.panic,
            sorry: s.sorry,
            leaving: s.leaving.into_iter().map(|(name, left)| (name, left.as_secs_f64())).collect(),
            traffic: self.counted.service(&self.balancer, s.slot),
            refused: self.balancer.refusal(s.slot).map(Into::into),
            sorry_refused: (s.config.sorry.as_ref())
                .and_then(|x| self.balancer.refusal_of(s.slot, x.address, x.port))
                .map(Into::into),
            tracked_as: translate::tracked(&s.config.id),
            rests: (!s.active).then(|| match &s.config.suspend {
                Suspend::WithoutInstance(name) => format!("vrrp_instance {name} is not master (ha_suspend)"),
                _ => "none of its addresses is on this host (ha_suspend)".into(),
            }),
            panic_threshold: s.config.panic_threshold,
            servers: (s.servers.into_iter())
                .map(|r| live::Server {
                    name: r.name.to_string(),
                    up: r.up,
                    since: clock(r.since),
                    weight: r.weight,
                    rising: r.rising,
                    drained: r.drained,
                    drained_since: clock(r.drained_for),
                    traffic: self.counted.server(&self.balancer, s.slot, r.config.address, r.config.port),
                    refused: self.balancer.refusal_of(s.slot, r.config.address, r.config.port).map(Into::into),
                    agent_drains: r.agent_drains,
                    written_weight: r.config.weight,
                    checks: (r.checks.into_iter())
                        .map(|c| live::Check {
                            kind: kind(&c.check.kind).into(),
                            good: c.good,
                            borrowed: c.borrowed,
                            // What was found by other words says nothing of these.
                            reason: c.reason.filter(|_| !c.borrowed),
                            took: c.took.filter(|_| !c.borrowed).map(|d| d.as_secs_f64()),
                            at: clock(c.ago.filter(|_| !c.borrowed)),
                            said: c.said.into(),
                            failed: c.failed,
                            risen: c.risen,
                            next: c.next.map(|d| d.as_secs_f64()),
                        })
                        .collect(),
                })
                .collect(),
        };
        live::Checker {
            services: self.pool.services_at(steadfast_sys::now()).into_iter().map(service).collect(),
            trouble: self.balancer.trouble().map(Into::into),
            troubles: self.teller.troubles(),
        }
    }
}
