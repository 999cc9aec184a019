//! SNMP: the MIBs over AgentX. Here is the socket, and what was last heard of the children; dialogue and tables are crates/snmp.

use super::{BODY, Body, House, REPORTERS, Report};
use crate::cli::Options;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use steadfast_config::Config;
use steadfast_core::{State, Time};
use steadfast_ipc::{Action, Alarm, Ended, News, Reporter};
use steadfast_snmp::mib::{self, Event, Facts, Known, Parts};
use steadfast_snmp::{Input, Output, Session, Setting, View};
use steadfast_status::{Snapshot, live};
use steadfast_sys::dial::{Stream, Target, Turn};
use steadfast_sys::sandbox::SNMP;
use steadfast_sys::{Ready, now};

/// Where masters listen unless told otherwise.
const MASTER: &str = "unix:/var/agentx/master";
/// AgentX over TCP.
const PORT: u16 = 705;
/// What is older is asked for again before a request is answered. Changes of state are heard of at once in any case.
const FRESH: Duration = Duration::from_secs(1);
/// Children have so long to report; then what is known is the answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Reports on a new configuration are waited for so long.
const SETTLE: Duration = Duration::from_secs(2);

/// Runs the role; returns its exit status.
pub fn run(options: &Options) -> i32 {
    super::run::<Agent>(options, "Keepalived_snmp", "SNMP", &SNMP)
}

struct Agent {
    session: Session,
    stream: Option<Stream>,
    target: Option<Target>,
    options: (bool, Option<String>),
    config: Config,
    parts: Parts,
    host: String,
    vrrp: Option<Box<Snapshot>>,
    checker: Option<live::Checker>,
    bfd: Option<live::Bfd>,
    /// Children that have not reported yet, since when they are asked, and when all last did.
    awaits: Vec<Reporter>,
    asked: Time,
    reported: Option<Time>,
    /// What managers are to be told waits until then for the first report on this configuration.
    settle: Option<Time>,
    /// Everything as it was last put together.
    view: Option<View>,
    /// What managers are to be told at the end of this turn.
    events: Vec<Event>,
    /// States that they know.
    known: HashMap<String, Known>,
    out: Vec<Output>,
}

/// `unix:PATH`, `PATH`, `tcp:HOST[:PORT]`, `HOST:PORT`, `PORT`; hosts are addresses.
fn target(spec: &str) -> Option<Target> {
    let tcp = |rest: &str| {
        let rest = rest.replace("localhost", "127.0.0.1");
        let address = rest.parse::<SocketAddr>().ok();
        let host = || rest.parse::<IpAddr>().ok().map(|a| SocketAddr::new(a, PORT));
        let port = || rest.parse::<u16>().ok().map(|p| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), p));
        address.or_else(host).or_else(port).map(Target::Tcp)
    };
    match spec.split_once(':') {
        Some(("unix", path)) => Some(Target::Unix(path.into())),
        Some(("tcp" | "tcp6", rest)) => tcp(rest),
        _ if spec.starts_with('/') => Some(Target::Unix(spec.into())),
        _ => tcp(spec),
    }
}

impl Agent {
    fn facts(&self, t: Time) -> Facts<'_> {
        Facts {
            parts: self.parts,
            version: concat!("steadfast ", env!("CARGO_PKG_VERSION")),
            host: &self.host,
            config: &self.config,
            vrrp: self.vrrp.as_deref(),
            checker: self.checker.as_ref(),
            bfd: self.bfd.as_ref(),
            uptime: self.session.uptime(t),
        }
    }

    fn view(&mut self, t: Time) -> View {
        self.view.take().unwrap_or_else(|| mib::view(&self.facts(t)))
    }

    /// Tells managers. A thousand routers may change at once: the tables are put together only for what is taken from them.
    fn tell(&mut self, t: Time, events: &[Event]) {
        if events.is_empty() || !self.config.globals.snmp_traps {
            return;
        }
        let view = events.iter().any(Event::needs_view).then(|| self.view(t));
        let none = View::default();
        let facts = self.facts(t);
        let of = |e| mib::binds(&facts, view.as_ref().unwrap_or(&none), e);
        let all: Vec<_> = events.iter().flat_map(of).collect();
        for binds in all {
            self.session.notify(t, binds, &mut self.out);
        }
        self.view = view.or(self.view.take());
    }

    fn configure(&mut self, config: &Config) {
        self.config = config.clone();
        self.parts = Parts::of(config, self.options.0);
        let spec = self.options.1.clone().or(config.globals.snmp_socket.clone()).unwrap_or_else(|| MASTER.into());
        self.target = target(&spec);
        if self.target.is_none() {
            log::error!("snmp_socket {spec}: neither a path nor an address, nothing is served");
        }
        self.view = None;
        // Its virtual servers are counted anew.
        self.checker = None;
        self.reported = None;
        self.settle = Some(now() + SETTLE);
    }

    /// Until when reports are waited for: longer after a configuration, whose servers would be taken for dead without one.
    fn patience(&self) -> Time {
        (self.asked + PATIENCE).max(self.settle.unwrap_or(Time::ZERO))
    }

    fn survey(&mut self, t: Time, house: &mut House) {
        if self.awaits.is_empty() || t.since(self.asked) > PATIENCE * 4 {
            self.awaits = REPORTERS.to_vec();
            self.asked = t;
            house.survey();
        }
    }

    /// What managers are told, once each: notes what they know from now on.
    fn learn(&mut self, key: String, state: Known) -> bool {
        self.known.insert(key, state) != Some(state)
    }

    fn act(&mut self, t: Time, house: &mut House) {
        for output in std::mem::take(&mut self.out) {
            match output {
                Output::Connect => self.connect(t, house),
                Output::Send(bytes) => {
                    if let Some(stream) = &mut self.stream
                        && let Err(e) = stream.send(&bytes)
                    {
                        self.session.handle(t, Input::Lost(&e.to_string()), &mut self.out);
                    }
                }
                Output::Close => self.hang_up(house),
                Output::Log(true, text) => log::warn!("SNMP: {text}"),
                Output::Log(false, text) => log::info!("SNMP: {text}"),
                Output::Set(setting, value) => self.set(setting, value, house),
            }
        }
        if !self.out.is_empty() {
            self.act(t, house);
        }
    }

    fn connect(&mut self, t: Time, house: &mut House) {
        let Some(target) = &self.target else { return };
        let stream = Stream::connect(target).and_then(|s| house.reactor.watch_both(s.fd(), BODY).map(|()| s));
        match stream {
            Ok(s) => {
                self.stream = Some(s);
                self.stream_ready(t, house);
            }
            Err(e) => self.session.handle(t, Input::Lost(&e.to_string()), &mut self.out),
        }
    }

    fn hang_up(&mut self, house: &mut House) {
        if let Some(stream) = self.stream.take() {
            house.reactor.forget(stream.fd());
        }
    }

    fn stream_ready(&mut self, t: Time, house: &mut House) {
        let Some(stream) = &mut self.stream else { return };
        match stream.opened() {
            Ok(true) => self.session.handle(t, Input::Connected, &mut self.out),
            Ok(false) => {}
            Err(e) => self.session.handle(t, Input::Lost(&e.to_string()), &mut self.out),
        }
        if let Err(e) = stream.flush() {
            self.session.handle(t, Input::Lost(&e.to_string()), &mut self.out);
        }
        match stream.read() {
            Turn::Open(bytes) if bytes.is_empty() => {}
            Turn::Open(bytes) => self.session.handle(t, Input::Bytes(&bytes), &mut self.out),
            Turn::Ended(why, bytes) => {
                self.session.handle(t, Input::Bytes(&bytes), &mut self.out);
                self.session.handle(t, Input::Lost(&why), &mut self.out);
            }
        }
        self.act(t, house);
        self.serve(t, house);
    }

    /// Answers requests, when what is known is new enough or nobody says more.
    fn serve(&mut self, t: Time, house: &mut House) {
        if !self.session.waiting() {
            return;
        }
        let fresh = self.reported.is_some_and(|at| t.since(at) < FRESH);
        if !fresh {
            self.survey(t, house);
        }
        if fresh || t >= self.patience() {
            let view = self.view(t);
            self.session.answer(&view, &mut self.out);
            self.view = Some(view);
            self.act(t, house);
        }
    }

    /// What a manager has set holds for the tables at once, and elsewhere as soon as the child has heard of it.
    fn set(&mut self, setting: Setting, value: i32, house: &mut House) {
        let action = match setting {
            Setting::Priority(instance) => {
                let priority = u8::try_from(value).unwrap_or(1);
                for i in self.vrrp.iter_mut().flat_map(|v| &mut v.instances).filter(|i| i.name == instance) {
                    i.base_priority = priority;
                }
                Action::Adjust { instance, priority: Some(priority), preempt: None }
            }
            Setting::Preempt(instance) => {
                for i in self.vrrp.iter_mut().flat_map(|v| &mut v.instances).filter(|i| i.name == instance) {
                    i.nopreempt = value != 1;
                }
                Action::Adjust { instance, priority: None, preempt: Some(value == 1) }
            }
            Setting::Weight(service, server) => {
                let weight = u32::try_from(value).unwrap_or(0);
                Action::Weigh { service, server, weight }
            }
        };
        self.view = None;
        self.reported = None;
        house.act(action);
    }

    fn instance_news(&mut self, name: String, state: State, priority: u8, end: Option<Ended>) {
        if let Some(i) = self.vrrp.iter_mut().flat_map(|v| &mut v.instances).find(|i| i.name == name) {
            // The next report knows better; until then it fits together.
            if i.state != state {
                i.addresses_set = state == State::Master;
            }
            (i.state, i.want_state, i.effective_priority) = (state, state, priority);
        }
        let state = match end {
            Some(Ended::Stopped) => Known::Shutdown,
            Some(Ended::Deleted) => Known::Deleted,
            None => Known::State(state),
        };
        if self.learn(format!("instance {name}"), state) {
            self.events.push(Event::Instance { name, state });
        }
    }
}

impl Body for Agent {
    fn start(options: &Options, config: &Config, house: &mut House) -> io::Result<Self> {
        let t = now();
        let mut agent = Agent {
            session: Session::new("steadfast", Vec::new(), t),
            stream: None,
            target: None,
            options: (options.snmp, options.snmp_socket.clone()),
            config: Config::default(),
            parts: Parts::default(),
            host: std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_string(),
            vrrp: None,
            checker: None,
            bfd: None,
            awaits: Vec::new(),
            asked: t,
            reported: None,
            settle: None,
            view: None,
            events: Vec::new(),
            known: HashMap::new(),
            out: Vec::new(),
        };
        agent.configure(config);
        agent.session.serve(agent.parts.subtrees(), t, &mut agent.out);
        agent.survey(t, house);
        Ok(agent)
    }

    fn reload(&mut self, config: &Config, house: &mut House) {
        let t = now();
        let before = self.target.clone();
        self.configure(config);
        self.session.serve(self.parts.subtrees(), t, &mut self.out);
        if before != self.target {
            self.session.handle(t, Input::Lost("another socket is configured"), &mut self.out);
        }
        self.reported = None;
        // What is under way is of the configuration before.
        self.awaits.clear();
        self.act(t, house);
        self.survey(t, house);
    }

    fn news(&mut self, news: News, house: &mut House) {
        self.view = None;
        match news {
            News::Instance { name, state, priority, end } => self.instance_news(name, state, priority, end),
            News::Group { name, state } => {
                if let Some(g) = self.vrrp.iter_mut().flat_map(|v| &mut v.groups).find(|g| g.0 == name) {
                    g.1 = state;
                }
                let state = if state == State::Init { Known::Shutdown } else { Known::State(state) };
                if self.learn(format!("group {name}"), state) {
                    self.events.push(Event::Group { name, state });
                }
            }
            News::Service { name, quorum } => {
                for s in self.checker.iter_mut().flat_map(|c| &mut c.services).filter(|s| s.name == name) {
                    s.quorum = quorum;
                }
                self.events.push(Event::Quorum { service: name, quorum });
            }
            News::Server { service, name, up } => {
                let services = self.checker.iter_mut().flat_map(|c| &mut c.services).filter(|s| s.name == service);
                for r in services.flat_map(|s| &mut s.servers).filter(|r| r.name == name) {
                    r.up = up;
                }
                self.events.push(Event::Server { service, server: name, up });
            }
            News::Alarm { name, alarm: Alarm::NewMaster(reason), .. } => {
                for i in self.vrrp.iter_mut().flat_map(|v| &mut v.instances).filter(|i| i.name == name) {
                    i.new_master = reason;
                }
                self.events.push(Event::NewMaster { name, reason });
            }
            News::Alarm { name, alarm, source } => {
                let alarm = match alarm {
                    Alarm::Authentication(1) => mib::Alarm::InvalidAuthType,
                    Alarm::Authentication(2) => mib::Alarm::AuthTypeMismatch,
                    Alarm::Protocol(1) => mib::Alarm::IpTtl,
                    Alarm::Protocol(2) => mib::Alarm::Version,
                    Alarm::Protocol(3) => mib::Alarm::Checksum,
                    _ => mib::Alarm::AuthFailure,
                };
                self.events.push(Event::Refused { name, alarm, source });
            }
        }
        // Counters and the rest of it.
        self.reported = None;
        let _ = house;
    }

    fn report(&mut self, report: Report, house: &mut House) {
        let of = match report {
            Report::Vrrp(s) => {
                for i in &s.instances {
                    self.known.entry(format!("instance {}", i.name)).or_insert(Known::State(i.state));
                }
                for (name, state) in &s.groups {
                    self.known.entry(format!("group {name}")).or_insert(Known::State(*state));
                }
                self.vrrp = Some(s);
                Reporter::Vrrp
            }
            Report::Checker(c) => {
                self.checker = Some(c);
                Reporter::Checker
            }
            Report::Bfd(b) => {
                self.bfd = Some(b);
                Reporter::Bfd
            }
            Report::Absent(of) => of,
        };
        self.view = None;
        self.awaits.retain(|r| *r != of);
        if self.awaits.is_empty() {
            let t = now();
            self.reported = Some(t);
            self.settle = None;
            self.serve(t, house);
        }
    }

    fn ready(&mut self, _: Ready, t: Time, house: &mut House) {
        self.stream_ready(t, house);
    }

    fn due(&self) -> Option<Time> {
        let mut due = self.session.poll_at();
        if self.session.waiting() {
            due = due.into_iter().chain([self.patience()]).min();
        }
        match self.settle {
            _ if self.events.is_empty() => due,
            Some(at) => due.into_iter().chain([at]).min(),
            None => Some(Time::ZERO),
        }
    }

    fn poll(&mut self, t: Time, house: &mut House) {
        let waits = self.settle.is_some_and(|at| t < at);
        let events = if waits { Vec::new() } else { std::mem::take(&mut self.events) };
        if !waits {
            self.settle = None;
        }
        self.tell(t, &events);
        self.session.poll(t, &mut self.out);
        self.act(t, house);
        self.serve(t, house);
    }

    fn stop(&mut self) {
        let t = now();
        let events = std::mem::take(&mut self.events);
        self.tell(t, &events);
        self.session.close(&mut self.out);
        for output in self.out.drain(..) {
            if let (Output::Send(bytes), Some(stream)) = (output, &mut self.stream) {
                // What does not go out at once does not go out any more.
                let _ = stream.send(&bytes);
            }
        }
    }
}

/// What of a configuration is this role's: for the test of keywords.
#[cfg(test)]
#[derive(Debug)]
#[allow(dead_code)]
pub struct Settings {
    parts: Parts,
    target: Option<Target>,
    traps: bool,
    /// What managers are told of virtual and real servers.
    tables: Vec<String>,
}

/// The role's part of a configuration.
#[cfg(test)]
pub fn settings(c: &Config) -> Settings {
    let parts = Parts { checker: true, ..Parts::default() };
    let facts = Facts { parts, version: "", host: "", config: c, vrrp: None, checker: None, bfd: None, uptime: 0 };
    // The names of servers alone: everything else is somebody's else too.
    let names = ["1.3.6.1.4.1.9586.100.5.3.3.1.71.", "1.3.6.1.4.1.9586.100.5.3.4.1.55."];
    let view = mib::view(&facts);
    let named = view.iter().map(|(name, value)| format!("{name} {value:?}"));
    Settings {
        parts: Parts::of(c, false),
        target: target(c.globals.snmp_socket.as_deref().unwrap_or(MASTER)),
        traps: c.globals.snmp_traps,
        tables: named.filter(|line| names.iter().any(|n| line.starts_with(n))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_master_is() {
        let unix = |path: &str| Some(Target::Unix(path.into()));
        let tcp = |address: &str| Some(Target::Tcp(address.parse().expect("address")));
        assert_eq!(target("unix:/var/agentx/master"), unix("/var/agentx/master"));
        assert_eq!(target("/run/agentx"), unix("/run/agentx"));
        assert_eq!(target("tcp:localhost:705"), tcp("127.0.0.1:705"));
        assert_eq!(target("tcp:192.0.2.1"), tcp("192.0.2.1:705"));
        assert_eq!(target("192.0.2.1:1705"), tcp("192.0.2.1:1705"));
        assert_eq!(target("tcp6:[2001:db8::1]:705"), tcp("[2001:db8::1]:705"));
        assert_eq!(target("1705"), tcp("127.0.0.1:1705"));
        assert_eq!(target("udp:192.0.2.1:705"), None);
        assert_eq!(target("nonsense"), None);
    }
}
