//! The role's start: what it is told, what the host has, and what an earlier life has left there.

use super::listen::received;
use super::*;
use std::collections::{BTreeMap, HashSet};
use steadfast_core::kernel::Address;
use steadfast_net::announce::Announcer;

impl Role {
    /// Waits for what the parent has to say, then builds everything. `None` when there is nothing to run after all: then what an
    /// earlier life left in the kernel has been taken away.
    pub(super) fn start(options: &Options, signals: Signals) -> io::Result<Option<Role>> {
        let mut reactor = Reactor::new()?;
        let mut parent = Parent::new(options)?;
        parent.register(&reactor)?;
        // In parts, which come in the order of their keys.
        let mut states: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut inherited: Vec<Object> = Vec::new();
        let mut parts = Vec::new();
        let mut teller = Teller::default();
        let mut history = live::History::default();
        let mut counters: HashMap<String, steadfast_vrrp::Counters> = HashMap::new();
        let mut adjusted: Vec<(String, Adjusted)> = Vec::new();
        let mut unwritten = succession::Unwritten::default();
        let mut silent = Duration::ZERO;
        let mut anew: Option<(Option<f64>, String)> = None;
        let mut keeping = Keeping::default();
        let mut ready = Vec::new();
        let mut config: Option<Config> = None;
        let (mut stop, mut configs): (Option<bool>, u32) = (None, 0);
        while config.is_none() && (stop.is_none() || options.withdraw) {
            reactor.wait(Some(now() + BEAT), false, &mut ready)?;
            parent.say(Message::Heartbeat { late: 0 });
            // All of what came: a stop may be right behind the configuration.
            for order in parent.orders() {
                match order {
                    Order::Config(bytes) => {
                        configs += 1;
                        // What was set before a reload does not outlive it.
                        if config.replace(decode(&bytes).map_err(io::Error::other)?).is_some() {
                            adjusted.drain(..).for_each(|(name, _)| parent.say(not_adjusted(&name)));
                        }
                    }
                    // They come in the order of their keys.
                    Order::Message(Message::Keep { key, bytes }) if key.starts_with(SETTINGS) => {
                        parts.extend(bytes);
                        keeping.inherited(key);
                    }
                    Order::Message(Message::Keep { key, bytes }) if teller.inherit(&key, &bytes) => {}
                    Order::Message(Message::Keep { key, bytes }) if key == succession::UNWRITTEN => {
                        unwritten = decode(&bytes).unwrap_or_default();
                        parent.say(Message::Keep { key, bytes: Vec::new() });
                    }
                    Order::Message(Message::Keep { key, bytes }) if key == SILENT => {
                        silent = Duration::from_millis(decode(&bytes).unwrap_or_default());
                        parent.say(Message::Keep { key, bytes: Vec::new() });
                    }
                    Order::Message(Message::Keep { key, bytes }) if key == WITHDRAWN => {
                        anew = decode(&bytes).ok();
                        parent.say(Message::Keep { key, bytes: Vec::new() });
                    }
                    Order::Message(Message::Keep { key, bytes }) if key.starts_with(HISTORY) => {
                        history.inherit(key.strip_prefix(HISTORY).unwrap_or_default(), &bytes);
                    }
                    Order::Message(Message::Keep { key, bytes }) if key.starts_with(COUNTERS) => {
                        let name = key.strip_prefix(COUNTERS).unwrap_or_default();
                        counters.extend(
                            decode_kept::<steadfast_vrrp::Counters>(&bytes).ok().map(|c| (name.to_string(), c)),
                        );
                        // It is worth something now, and nothing after the next crash.
                        parent.say(Message::Keep { key, bytes: Vec::new() });
                    }
                    Order::Message(Message::Keep { key, bytes }) if key.starts_with(ADJUSTED) => {
                        let name = key.strip_prefix(ADJUSTED).unwrap_or_default();
                        adjusted.extend(decode::<Adjusted>(&bytes).ok().map(|a| (name.to_string(), a)));
                    }
                    Order::Message(Message::Keep { key, bytes }) if key.starts_with('\n') => {
                        match decode::<Object>(&bytes) {
                            Ok(object) => inherited.push(object),
                            Err(e) if options.rehearse => return Err(io::Error::other(e)),
                            Err(_) => {}
                        }
                    }
                    Order::Message(Message::Keep { key, bytes }) => {
                        let name = key.split_once('\n').map_or(&*key, |(name, _)| name);
                        states.entry(name.to_string()).or_default().extend(bytes);
                        keeping.inherited(key);
                    }
                    Order::Message(Message::Stop { keep_objects }) => stop = Some(keep_objects),
                    Order::Gone if !options.withdraw => stop = Some(options.dont_release),
                    Order::Gone if config.is_none() => return Ok(None),
                    Order::Gone | Order::Message(_) => {}
                }
            }
        }
        // Who rehearses has nothing: what it was told of is another's, who lives.
        if options.rehearse && stop.is_some() {
            return Ok(None);
        }
        let known = |(name, bytes): (&String, &Vec<u8>)| {
            let read = decode_kept(bytes);
            read.inspect_err(|e| log::warn!("({name}) what the former process left cannot be read: {e}")).ok()
        };
        let snapshots: Vec<Snapshot> = states.iter().filter_map(known).collect();
        let told = states.keys().filter(|name| !name.starts_with('\t')).count();
        if options.rehearse && snapshots.len() < told {
            return Err(io::Error::other("what is handed over cannot be read"));
        }
        let config = config.unwrap_or_default();
        let (mut record, left) = Record::open(options.record.clone());
        let settings: Settings = decode_kept(&parts).unwrap_or(left.settings);
        inherited.extend(left.objects.iter().cloned());
        if options.withdraw || stop.is_some() {
            if stop != Some(true) {
                let blocks = left.any || inherited.iter().any(|o| matches!(o, Object::Link(_) | Object::Block(_)));
                let gone = release(&config, &inherited, &snapshots, settings.clone(), (stop.is_some(), blocks))?;
                // What is there while the daemon runs stays for the next life, and is to be known if nobody lives to tell it.
                if stop.is_some() {
                    record.remove();
                } else {
                    record.keep(0, inherited.iter().filter(|o| !gone.contains(*o)), &settings);
                    let keys = gone.iter().filter_map(|o| object_key(o).ok());
                    parent.say_all(keys.map(|(key, _)| Message::Keep { key, bytes: Vec::new() }));
                    parent.flush_at_the_end();
                }
            }
            return Ok(None);
        }
        let respawned = !snapshots.is_empty();
        let mut plan = translate::plan(&config);
        let told = details::Told::new(&config);
        drop(config);
        be_scheduled(&plan.scheduling);
        if options.rehearse {
            schedule::usual();
        }
        plan.names[0].iter().for_each(|name| schedule::name(name));
        // What blocks addresses under a former name goes with a real start.
        let settings = if options.rehearse { Settings::default() } else { settings };
        let announcer = options.descriptors.get(ANNOUNCER).and_then(|fd| Announcer::inherited(*fd).ok());
        let system = System::open(&plan, settings, announcer)?;
        reactor.watch(signals.fd(), SIGNALS)?;
        reactor.watch(system.mirror.fd(), MIRROR)?;
        reactor.watch(system.kernel.fd(), KERNEL)?;
        let (brother, bfd) = (Brother::new(options, 0), Brother::new(options, 1));
        for (b, token) in [(&brother, BROTHER), (&bfd, BFD)] {
            if let Some(b) = b {
                b.register(&reactor, token)?;
            }
        }
        let programs = Programs::new(options);
        programs.register(&reactor, PROGRAMS)?;
        let t = now();
        let mut out = Vec::new();
        let mut router = Router::restore(plan.take_machine(), &snapshots, t.as_nanos(), t, &mut out);
        router.stood_still(silent, &mut out);
        router.inherit_counters(&counters);
        for (name, (priority, preempt)) in &adjusted {
            if router.view(name).is_none() {
                parent.say(not_adjusted(name));
            }
            router.handle(t, Input::Adjust(name, *priority, *preempt), &mut out);
        }
        if let Some((withdrawn, why)) = anew {
            history.begins_anew(router.views().map(|v| v.config.name.as_str()), withdrawn, &why);
        }
        let reread = Reread::new(&reactor, READ, reread::read)?;
        let mut role = Role {
            parent,
            signals,
            reactor,
            system,
            router,
            plan,
            reread,
            told,
            teller,
            receivers: HashMap::new(),
            by_link: HashMap::new(),
            next_token: SOCKETS,
            readable: BTreeSet::new(),
            netlink_more: false,
            lost: Vec::new(),
            lost_since: None,
            programs,
            probes: HashMap::new(),
            processes: Processes::new(Vec::new(), (0, false)),
            watcher: None,
            brother,
            bfd,
            keeping,
            trim: Some(t + SETTLED),
            fetched: false,
            dirty: true,
            kept: 0,
            out,
            stopped: false,
            beat: t,
            alarms: Default::default(),
            count: t,
            counted: t,
            late: Duration::ZERO,
            eager: Default::default(),
            saved: 0,
            keep_objects: options.dont_release,
            beats: 0,
            listen_again: false,
            initialised: BTreeSet::new(),
            numbers: Default::default(),
            leaving: Default::default(),
            mask: options.umask,
            monitored: None,
            history,
            results: HashMap::new(),
            record,
            beats_of_links: Default::default(),
            born: t,
            succession: None,
            wanted: None,
            unwritten: Default::default(),
        };
        // A life before this one may have left nothing that is still true, and has written the files all the same.
        if respawned || !options.first_life {
            let names = role.plan.files.iter().map(|f| f.name.clone());
            role.initialised = names.filter(|name| !unwritten.files.contains(name)).collect();
        }
        let places = role.places(options);
        if options.rehearse {
            role.learn_links()?;
            confine(options, &steadfast_sys::sandbox::VRRP, &places);
            if options.testify {
                role.read_files(t, role.plan.files.iter().map(|f| f.path.clone()).collect());
                role.count_processes(t);
            }
            role.router.poll(now(), &mut role.out);
            if options.testify {
                let verdicts = snapshots.iter().flat_map(|s| &s.scripts).map(|(name, good)| (name.as_str(), *good));
                role.testify(&verdicts.collect(), now());
                role.parent.flush_at_the_end();
            }
            return Ok(None);
        }
        role.has_raised();
        role.tell_wall(t);
        role.learn_links()?;
        // What it held goes on serving until a master is heard.
        if !silent.is_zero() {
            role.router.inherit(&inherited);
        }
        if !respawned {
            if options.first_life {
                role.router.inherit(&left.objects);
            }
            if left.any {
                role.system.discard_blocks();
            }
        }
        role.configure();
        confine(options, &steadfast_sys::sandbox::VRRP, &places);
        let t = now();
        role.router.poll(t, &mut role.out);
        role.act(t);
        role.clear_leftovers(&inherited);
        drop(inherited);
        if options.address_monitoring {
            let of =
                |l: &steadfast_net::netlink::Link| (l.name.clone(), l.addresses.iter().map(|c| c.address).collect());
            role.monitored = Some(role.system.mirror.links().map(of).collect());
        }
        if options.dump {
            let snapshot = role.snapshot(t);
            role.data(&snapshot, t).lines().for_each(|l| log::info!("{l}"));
        }
        role.tell_brother_all();
        if unwritten.states {
            role.tell_states();
        }
        // Who waits for the second of two waits for both.
        (0..configs).for_each(|_| role.parent.say(Message::Ready));
        Ok(Some(role))
    }

    /// Hands links and addresses to the machine, so that it starts with what there is.
    pub(super) fn learn_links(&mut self) -> io::Result<()> {
        settle(&mut self.system, &mut self.reactor)?;
        let t = now();
        let links: Vec<Link> = self.system.mirror.links().map(link).collect();
        for l in links {
            self.router.handle(t, Input::Link(l), &mut self.out);
        }
        // The machine starts in the poll that follows; nothing of this is news to log, but for what does not go as the file has it.
        self.out.retain(|o| !matches!(o, Output::Log(level, _) if *level > log::Level::Warn));
        Ok(())
    }

    /// What earlier lives have put there and nobody holds now.
    pub(super) fn clear_leftovers(&mut self, inherited: &[Object]) {
        let left = self.router.leftovers(inherited, |a| has_address(&self.system, a));
        for (old, new) in left.changed {
            log::info!("{old} is left from an earlier run, changing it into {new}");
            self.system.replace(old, new);
        }
        left.absent.iter().for_each(|o| self.keep_object(o, false));
        for o in left.gone {
            if is_there(&self.system, &o).unwrap_or_else(|| inherited.contains(&o)) {
                log::info!("{o} is left from an earlier run, removing it");
            }
            self.system.remove_foreign(o.clone());
            self.keep_object(&o, false);
        }
    }
}

/// Nobody is to know of what a manager has set.
fn not_adjusted(name: &str) -> Message {
    Message::Keep { key: format!("{ADJUSTED}{name}"), bytes: Vec::new() }
}

/// The longest that a peer of the lowest priority waits after a priority of 0, at one advert a second.
const SKEW: Duration = Duration::from_millis(1000);

/// Reads links and addresses to the end, at most for two seconds.
fn settle(system: &mut System, reactor: &mut Reactor) -> io::Result<()> {
    let limit = now() + Duration::from_secs(2);
    let (mut ready, mut events) = (Vec::new(), Vec::new());
    while !system.mirror.settled() && now() < limit {
        system.mirror.read(DATAGRAMS, &mut events)?;
        if !system.mirror.settled() {
            reactor.wait(Some(now() + Duration::from_millis(20)), false, &mut ready)?;
        }
    }
    Ok(())
}

fn has_address(system: &System, a: &Address) -> bool {
    system.mirror.by_name(&a.interface).is_some_and(|l| l.addresses.contains(&a.shown()))
}

/// It is in the kernel, where that is known.
fn is_there(system: &System, o: &Object) -> Option<bool> {
    if let Object::Address(a) = o { Some(has_address(system, a)) } else { None }
}

/// Tells the peers of masters to take over, with a priority of 0 (RFC 9568 section 5.2.4). The addresses serve until the successor of
/// each is heard, for as long as the last of them may take at most. What is there while the daemon runs stays.
fn farewell(router: &mut Router, system: &mut System, reactor: &mut Reactor, statics: &[Object]) -> io::Result<()> {
    let t = now();
    let mut out = Vec::new();
    let links: Vec<Link> = system.mirror.links().map(link).collect();
    links.into_iter().for_each(|l| router.handle(t, Input::Link(l), &mut out));
    router.poll(t, &mut out);
    out.clear();
    let mut receivers = Vec::new();
    for listen in router.listening() {
        let Some(l) = system.mirror.by_name(&listen.interface) else { continue };
        let opened =
            Receiver::open(&l.name, &[l.index], (listen.family, listen.ah), &listen.groups, &listen.vrids, None);
        match opened.and_then(|r| reactor.watch(r.fd(), SOCKETS + receivers.len()).map(|()| r)) {
            Ok(receiver) => receivers.push(receiver),
            Err(e) => log::debug!("cannot listen on {}: {e}", listen.interface),
        }
    }
    router.handle(t, Input::Stop { keep_objects: false }, &mut out);
    let (limit, mut ready, mut told) = (t + SKEW, Vec::new(), false);
    loop {
        let t = now();
        let mut over = t >= limit;
        for o in std::mem::take(&mut out) {
            match o {
                Output::Send(s) => {
                    system.send(&s, t);
                    if !std::mem::replace(&mut told, true) {
                        log::info!("peers are told to take over");
                    }
                }
                Output::Remove(object) if !statics.contains(&object) => system.remove_foreign(object),
                Output::Stopped => over = true,
                _ => {}
            }
        }
        system.flush();
        if over {
            break;
        }
        reactor.wait(router.poll_at().map_or(Some(limit), |at| Some(at.min(limit))), false, &mut ready)?;
        // Without its answers the kernel is asked for no more.
        system.kernel.read(&system.mirror, &mut Vec::new())?;
        let t = now();
        for receiver in &mut receivers {
            let interface = receiver.interface;
            for _ in 0..PACKETS {
                let Ok(Some(p)) = receiver.receive() else { break };
                router.handle(t, Input::Packet(received(interface, p)), &mut out);
            }
        }
        router.poll(t, &mut out);
    }
    receivers.iter().for_each(|r| reactor.forget(r.fd()));
    Ok(())
}

/// Takes out of the kernel what a child has its parent keep of that; only for a parent that can start nobody who does it. Under these keys
/// there is nothing more.
pub fn remove<'a>(kept: impl Iterator<Item = (&'a str, &'a [u8])>) -> io::Result<Vec<String>> {
    let objects: Vec<Object> =
        kept.filter(|(key, _)| key.starts_with('\n')).filter_map(|(_, bytes)| decode(bytes).ok()).collect();
    let gone = release(&Config::default(), &objects, &[], Settings::default(), (false, false))?;
    Ok(gone.iter().filter_map(|o| object_key(o).ok()).map(|(key, _)| key).collect())
}

/// Takes out of the kernel what a life that ended held; `all`: also what is there while the daemon runs, for nobody comes after us, and
/// the tables of blocked traffic, where there may be some. What is certainly gone then.
fn release(
    config: &Config,
    inherited: &[Object],
    snapshots: &[Snapshot],
    settings: Settings,
    (all, blocks): (bool, bool),
) -> io::Result<HashSet<Object>> {
    let mut plan = translate::plan(config);
    let mut system = System::open(&plan, settings, None)?;
    let mut machine = plan.take_machine();
    if all {
        machine.statics.clear();
    }
    let mut reactor = Reactor::new()?;
    reactor.watch(system.mirror.fd(), MIRROR)?;
    reactor.watch(system.kernel.fd(), KERNEL)?;
    settle(&mut system, &mut reactor)?;
    let masters: Vec<Snapshot> =
        snapshots.iter().filter(|s| s.state == steadfast_core::State::Master).cloned().collect();
    if !all {
        // They are away until the next life begins.
        let away = snapshots.iter().filter(|s| s.state != steadfast_core::State::Fault);
        away.for_each(|s| log::info!("({}) Entering FAULT STATE", s.name));
    }
    if !masters.is_empty() {
        let mut leaving = Router::restore(machine.clone(), &masters, 0, now(), &mut Vec::new());
        farewell(&mut leaving, &mut system, &mut reactor, &machine.statics)?;
    }
    // It is never polled: no instance begins.
    let router = Router::new(machine, 0, now(), &mut Vec::new());
    let mut gone: HashSet<Object> = HashSet::new();
    for o in router.remains(inherited, |a| has_address(&system, a)).gone {
        if is_there(&system, &o).unwrap_or_else(|| inherited.contains(&o)) {
            log::info!("removing {o}");
        }
        gone.insert(o.clone());
        system.remove_foreign(o);
    }
    system.flush();
    let limit = now() + Duration::from_secs(10);
    let (mut ready, mut outcomes) = (Vec::new(), Vec::new());
    loop {
        system.kernel.read(&system.mirror, &mut outcomes)?;
        for o in outcomes.drain(..) {
            if let Outcome::NotRemoved(o, _) = o {
                gone.remove(&o);
            }
        }
        if system.kernel.idle() {
            break;
        }
        if now() >= limit {
            gone.clear();
            break;
        }
        reactor.wait(Some(limit), false, &mut ready)?;
    }
    if all {
        if blocks {
            system.discard_blocks();
        }
        system.close();
    }
    Ok(gone)
}
