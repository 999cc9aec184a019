//! The role's start: what it is told, what the host has, and what an earlier life has left there.

use super::*;

impl Role {
    /// Waits for what the parent has to say, then builds everything. `None` when the parent wants nothing after all.
    pub(super) fn start(options: &Options, signals: Signals) -> io::Result<Option<Role>> {
        let mut reactor = Reactor::new()?;
        let mut parent = Parent::new(options)?;
        parent.register(&reactor)?;
        let mut snapshots: Vec<Snapshot> = Vec::new();
        let mut settings = Settings::default();
        let mut ready = Vec::new();
        let mut config: Option<Config> = None;
        let config = loop {
            if let Some(config) = config {
                break config;
            }
            reactor.wait(Some(now() + BEAT), false, &mut ready)?;
            parent.say(Message::Heartbeat { late: 0 });
            // All of what came: a stop may be right behind the configuration.
            for order in parent.orders() {
                match order {
                    Order::Config(bytes) => config = Some(decode(&bytes).map_err(io::Error::other)?),
                    Order::Message(Message::Keep { key, bytes }) if key == SETTINGS => {
                        settings = decode(&bytes).unwrap_or_default();
                    }
                    Order::Message(Message::Keep { bytes, .. }) => snapshots.extend(decode::<Snapshot>(&bytes).ok()),
                    Order::Message(Message::Stop { .. }) | Order::Gone => return Ok(None),
                    Order::Message(_) => {}
                }
            }
        };
        let respawned = !snapshots.is_empty();
        let mut plan = translate::plan(&config);
        drop(config);
        be_scheduled(&plan.scheduling);
        let system = System::open(&plan, settings)?;
        reactor.watch(signals.fd(), SIGNALS)?;
        reactor.watch(system.mirror.fd(), MIRROR)?;
        reactor.watch(system.kernel.fd(), KERNEL)?;
        let brother = Brother::new(options);
        if let Some(b) = &brother {
            b.register(&reactor, BROTHER)?;
        }
        let t = now();
        let mut out = Vec::new();
        let router = Router::restore(plan.take_machine(), &snapshots, t.as_nanos(), t, &mut out);
        let mut role = Role {
            parent,
            signals,
            reactor,
            system,
            router,
            plan,
            teller: Teller::default(),
            receivers: HashMap::new(),
            by_link: HashMap::new(),
            next_token: SOCKETS,
            readable: BTreeSet::new(),
            netlink_more: false,
            probes: HashMap::new(),
            processes: Processes::new(Vec::new()),
            watcher: None,
            brother,
            keeping: Keeping::default(),
            trim: Some(t + SETTLED),
            dirty: true,
            out,
            stopped: false,
            beat: t,
            count: t,
            counted: t,
            late: Duration::ZERO,
            keep_objects: options.dont_release,
            beats: 0,
            listen_again: false,
            initialised: BTreeSet::new(),
            leaving: false,
            mask: options.umask,
            monitored: None,
            history: Default::default(),
        };
        if respawned {
            role.initialised = role.plan.files.iter().map(|f| f.name.clone()).collect();
        }
        role.learn_links()?;
        role.configure();
        let t = now();
        role.router.poll(t, &mut role.out);
        role.act(t);
        role.clear_leftovers();
        if options.address_monitoring {
            let of =
                |l: &steadfast_net::netlink::Link| (l.name.clone(), l.addresses.iter().map(|c| c.address).collect());
            role.monitored = Some(role.system.mirror.links().map(of).collect());
        }
        if options.dump {
            let snapshot = dump::snapshot(&role.router, &role.plan, t, files::wall_clock());
            steadfast_status::data(&snapshot).lines().for_each(|l| log::info!("{l}"));
        }
        role.tell_brother_all();
        role.parent.say(Message::Ready);
        Ok(Some(role))
    }

    /// Reads links and addresses to the end, at most for two seconds, so that the machine starts with what there is.
    pub(super) fn learn_links(&mut self) -> io::Result<()> {
        let limit = now() + Duration::from_secs(2);
        let mut ready = Vec::new();
        let mut events = Vec::new();
        while !self.system.mirror.settled() && now() < limit {
            self.system.mirror.read(DATAGRAMS, &mut events)?;
            if !self.system.mirror.settled() {
                self.reactor.wait(Some(now() + Duration::from_millis(20)), false, &mut ready)?;
            }
        }
        let t = now();
        let links: Vec<Link> = self.system.mirror.links().map(link).collect();
        for l in links {
            self.router.handle(t, Input::Link(l), &mut self.out);
        }
        // The machine starts in the poll that follows; nothing of this is news to log.
        self.out.retain(|o| !matches!(o, Output::Log(..)));
        Ok(())
    }

    /// Addresses of ours from an earlier life that nobody handed over: who is not master does not hold them.
    pub(super) fn clear_leftovers(&mut self) {
        let mut leftovers = Vec::new();
        // An owner's address is the interface's own, and what somebody else here holds is in its place.
        let held: BTreeSet<(String, std::net::IpAddr)> = (self.router.views())
            .filter(|v| v.objects_set)
            .flat_map(|v| v.config.addresses.iter().chain(&v.config.excluded))
            .chain(self.router.static_addresses())
            .map(|a| (a.interface.clone(), a.cidr.address))
            .collect();
        for v in self.router.views().filter(|v| !v.objects_set && v.config.priority != 255) {
            for a in v.config.addresses.iter().chain(&v.config.excluded) {
                if !held.contains(&(a.interface.clone(), a.cidr.address))
                    && self.system.mirror.by_name(&a.interface).is_some_and(|l| l.addresses.contains(&a.cidr))
                {
                    leftovers.push(steadfast_core::kernel::Object::Address(a.clone()));
                }
            }
        }
        for o in leftovers {
            log::info!("{o} is left from an earlier run, removing it");
            self.system.remove(o);
        }
    }
}
