//! A small world for tests: virtual time, servers that behave as told, and a record of all that comes out.

use crate::*;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;
use steadfast_core::Time;
use steadfast_core::ipvs::{Protocol, ServiceKey};

/// One way takes so long.
const LATENCY: Duration = Duration::from_millis(1);

/// How a server behaves.
#[derive(Clone, Debug)]
pub enum Manner {
    /// Accepts, and answers anything with these bytes and the end of the stream.
    Answers(Vec<u8>),
    /// Accepts and greets with the first, answers what it is sent with the next, and so on. Does not close.
    Talks(Vec<Vec<u8>>),
    /// Connection refused.
    Refuses,
    /// No sign of life.
    Silent,
    /// A byte of these once a second, for ever.
    Drips(Vec<u8>),
}

#[derive(Clone, Debug)]
enum Event {
    Connected,
    Data(Vec<u8>),
    Eof,
    Failed(&'static str),
    Ended(ScriptEnd),
}

#[derive(Debug)]
struct Open {
    address: Option<SocketAddr>,
    said: usize,
}

pub struct World {
    pub pool: Pool,
    pub now: Time,
    pub manners: HashMap<SocketAddr, Manner>,
    /// Exit status of programs by their text; none: it hangs until it is killed.
    pub exits: HashMap<String, i32>,
    /// Killed programs do not end by SIGTERM.
    pub stubborn: bool,
    pub said: Vec<(Time, Output)>,
    pub starts: Vec<(Time, Transport)>,
    /// The table as last announced.
    pub tables: BTreeMap<Slot, Table>,
    /// What was told of the file and the session, for tests that tell it again.
    pub files: HashMap<String, i64>,
    pub session: Option<bool>,
    queue: BTreeMap<(Time, u64), (ProbeId, Event)>,
    open: HashMap<ProbeId, Open>,
    sequence: u64,
}

impl World {
    pub fn new(config: Config) -> World {
        World::restore(config, &[])
    }

    pub fn restore(config: Config, snapshots: &[Snapshot]) -> World {
        World::restore_at(config, snapshots, Time::from_millis(1_000_000))
    }

    pub fn restore_at(config: Config, snapshots: &[Snapshot], now: Time) -> World {
        let mut out = Vec::new();
        let pool = Pool::restore(config, snapshots, 42, now, &mut out);
        let mut world = World {
            pool,
            now,
            manners: HashMap::new(),
            exits: HashMap::new(),
            stubborn: false,
            said: Vec::new(),
            starts: Vec::new(),
            tables: BTreeMap::new(),
            files: HashMap::new(),
            session: None,
            queue: BTreeMap::new(),
            open: HashMap::new(),
            sequence: 0,
        };
        world.carry_out(out);
        world
    }

    pub fn manner(&mut self, address: &str, manner: Manner) {
        self.manners.insert(address.parse().unwrap(), manner);
    }

    pub fn tell(&mut self, input: Input<'_>) {
        let mut out = Vec::new();
        self.pool.handle(self.now, input, &mut out);
        self.carry_out(out);
    }

    pub fn reload(&mut self, config: Config) {
        let mut out = Vec::new();
        self.pool.reload(config, self.now, &mut out);
        self.carry_out(out);
    }

    /// The process is not scheduled for so long, while the world goes on.
    pub fn freeze(&mut self, seconds: f64) {
        let due = self.pool.poll_at().unwrap_or(Time::FAR).max(self.now);
        self.now += Duration::from_secs_f64(seconds);
        let mut out = Vec::new();
        self.pool.paused(self.now.since(due), self.now, &mut out);
        self.carry_out(out);
    }

    /// All that is under way is lost: the connections are reset.
    pub fn lose(&mut self) {
        let under_way: Vec<ProbeId> = self.queue.values().map(|(id, _)| *id).collect();
        self.queue.clear();
        for id in under_way {
            self.schedule(Duration::ZERO, id, Event::Failed("connection reset"));
        }
    }

    /// Lets the world go on for so many seconds.
    pub fn run(&mut self, seconds: f64) {
        let end = self.now + Duration::from_secs_f64(seconds);
        for _ in 0..10_000_000 {
            let event = self.queue.keys().next().map(|k| k.0);
            let next = [event, self.pool.poll_at()].into_iter().flatten().min();
            let Some(next) = next.filter(|t| *t <= end) else { break };
            self.now = self.now.max(next);
            let mut out = Vec::new();
            if event.is_some_and(|t| t <= self.now) {
                let (_, (id, event)) = self.queue.pop_first().unwrap();
                let input = match &event {
                    Event::Connected => Input::Connected(id),
                    Event::Data(bytes) => Input::Data(id, bytes),
                    Event::Eof => Input::Eof(id, true),
                    Event::Failed(why) => Input::Failed(id, why),
                    Event::Ended(end) => Input::ScriptEnded(id, *end, "its last line"),
                };
                self.pool.handle(self.now, input, &mut out);
            } else {
                self.pool.poll(self.now, &mut out);
            }
            self.carry_out(out);
        }
        self.now = end;
    }

    /// Nothing is forgotten: what is due was done, and no more probes are open than there are checks.
    pub fn check_probes(&self) {
        assert!(self.pool.poll_at().is_none_or(|at| at > self.now), "due and not done");
        for (c, checker) in self.pool.checkers.iter().enumerate() {
            let Some(checker) = checker.as_ref().filter(|c| c.active && !c.is_passive()) else { continue };
            let next = self.pool.timers.get(crate::pool::Key::Next(c as u32));
            assert!(checker.probe.is_some() != next.is_some(), "either it asks or it will: {next:?}");
        }
        let checks: usize = self.pool.services().iter().flat_map(|v| &v.servers).map(|s| s.checks.len()).sum();
        let streams = self.open.values().filter(|o| o.address.is_some()).count();
        assert!(streams <= checks, "{streams} probes for {checks} checks");
    }

    fn schedule(&mut self, after: Duration, id: ProbeId, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), (id, event));
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        for output in out {
            match &output {
                Output::Start(id, transport) => {
                    self.starts.push((self.now, transport.clone()));
                    let address = match transport {
                        Transport::Tcp(t) | Transport::Tls(t, ..) | Transport::Udp(t) | Transport::Icmp(t) => {
                            Some(t.address)
                        }
                        Transport::Script(_) => None,
                    };
                    self.open.insert(*id, Open { address, said: 0 });
                    match transport {
                        Transport::Script(s) => {
                            if let Some(status) = self.exits.get(&s.text).copied() {
                                self.schedule(LATENCY, *id, Event::Ended(ScriptEnd::Exited(status)));
                            }
                        }
                        Transport::Udp(_) | Transport::Icmp(_) => self.schedule(Duration::ZERO, *id, Event::Connected),
                        _ => match address.and_then(|a| self.manners.get(&a)).cloned() {
                            None | Some(Manner::Refuses) => {
                                self.schedule(LATENCY, *id, Event::Failed("connection refused"))
                            }
                            Some(Manner::Silent) => {}
                            Some(manner) => {
                                self.schedule(LATENCY, *id, Event::Connected);
                                if matches!(manner, Manner::Talks(_)) {
                                    self.answer(*id, manner);
                                }
                            }
                        },
                    }
                }
                Output::Send(id, _) => {
                    let manner = self.open.get(id).and_then(|o| o.address).and_then(|a| self.manners.get(&a)).cloned();
                    self.answer(*id, manner.unwrap_or(Manner::Refuses));
                }
                Output::Close(id) => {
                    assert!(self.open.remove(id).is_some(), "closed twice, or never opened");
                }
                Output::Kill(id, kill) if *kill == Kill::Kill || !self.stubborn => {
                    self.schedule(LATENCY, *id, Event::Ended(ScriptEnd::Signalled(9)));
                }
                Output::Table(slot) => {
                    self.tables.insert(*slot, self.pool.table(*slot, self.now).unwrap());
                }
                Output::TableGone(slot) => {
                    self.tables.remove(slot);
                }
                _ => {}
            }
            self.said.push((self.now, output));
        }
    }

    fn answer(&mut self, id: ProbeId, manner: Manner) {
        let Some(open) = self.open.get_mut(&id) else { return };
        open.said += 1;
        let said = open.said;
        match manner {
            Manner::Answers(bytes) => {
                self.schedule(2 * LATENCY, id, Event::Data(bytes));
                self.schedule(2 * LATENCY, id, Event::Eof);
            }
            Manner::Talks(parts) => {
                if let Some(part) = parts.get(said - 1) {
                    self.schedule(2 * LATENCY, id, Event::Data(part.clone()));
                }
            }
            Manner::Refuses => self.schedule(LATENCY, id, Event::Failed("connection refused")),
            Manner::Silent => {}
            Manner::Drips(bytes) => {
                for (i, b) in bytes.iter().enumerate() {
                    self.schedule(Duration::from_secs(i as u64 + 1), id, Event::Data(vec![*b]));
                }
            }
        }
    }

    /// Log lines, FIFO lines, scripts and mails, as text, since the last call.
    pub fn heard(&mut self) -> Vec<String> {
        let text = |o: Output| match o {
            Output::Log(_, line) => Some(line),
            Output::Fifo(line) => Some(format!("fifo {}", line.trim_end())),
            Output::Notify(script) => Some(format!("run {}", script.text)),
            Output::Mail { subject, body } => Some(format!("mail {subject} / {body}")),
            Output::Quorum(id, up) => Some(format!("quorum {id} {up}")),
            _ => None,
        };
        std::mem::take(&mut self.said).into_iter().filter_map(|(_, o)| text(o)).collect()
    }

    /// `address:port=weight` of the first virtual server's table.
    pub fn table(&self) -> String {
        self.tables.values().next().map_or_else(|| "-".into(), text)
    }
}

fn text(table: &Table) -> String {
    let one = |(k, d): &(steadfast_core::ipvs::DestinationKey, steadfast_core::ipvs::Destination)| {
        format!("{}:{}={}", k.address, k.port, d.weight)
    };
    table.destinations.iter().map(one).collect::<Vec<_>>().join(" ")
}

pub fn script(text: &str) -> Script {
    Script { text: text.into(), argv: text.split(' ').map(Into::into).collect(), shell: None, user: None }
}

/// Every second, one retry after half a second, no warm-up.
pub fn timing() -> Timing {
    Timing {
        delay_loop: Duration::from_secs(1),
        retry: 1,
        delay_before_retry: Duration::from_millis(500),
        warmup: Duration::ZERO,
        ..Timing::default()
    }
}

pub fn target(address: &str) -> Target {
    Target { timeout: Duration::from_millis(300), ..Target::new(address.parse().unwrap()) }
}

pub fn tcp(address: &str) -> Check {
    Check { kind: CheckKind::Tcp(target(address)), timing: timing() }
}

/// A real server at `address` of this weight with one check, loud about everything.
pub fn server(address: &str, weight: u32, check: Check) -> RealServer {
    let at: SocketAddr = address.parse().unwrap();
    RealServer {
        weight,
        notify_up: Some(Box::new(script(&format!("up {address}")))),
        notify_down: Some(Box::new(script(&format!("down {address}")))),
        checks: vec![check],
        ..RealServer::new(at.ip(), at.port())
    }
}

pub fn id() -> ServiceId {
    ServiceId::One(ServiceKey::Address { address: "192.0.2.1".parse().unwrap(), port: 80, protocol: Protocol::Tcp })
}

pub fn service(servers: Vec<RealServer>) -> VirtualServer {
    VirtualServer { servers, ..VirtualServer::new(id()) }
}

pub fn config(service: VirtualServer) -> Config {
    Config { services: vec![service], ..Config::default() }
}

pub const A: &str = "10.0.0.1:80";
pub const B: &str = "10.0.0.2:80";
pub const C: &str = "10.0.0.3:80";

/// Answers whatever is asked.
pub fn up() -> Manner {
    Manner::Answers(b"HTTP/1.0 200 OK\r\n\r\nhello".to_vec())
}

/// Two servers of weight 3.
pub fn two() -> VirtualServer {
    service(vec![server(A, 3, tcp(A)), server(B, 3, tcp(B))])
}

/// A world of this virtual server, in which the servers are well.
pub fn world(service: VirtualServer) -> World {
    let mut world = World::new(config(service));
    for address in [A, B, C] {
        world.manner(address, up());
    }
    world
}
