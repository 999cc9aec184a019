section! {
    /// The file's top level.
    Root, "(root)" {
        /// Run in the named network namespace.
        live "net_namespace" "NAME" "-" "none" => net_namespace: Option<String> = None, |c, v| c.text(v);
        /// Put pid files under /run/keepalived.
        live "use_pid_dir" "-" "-" "off" => use_pid_dir: bool = false, |c, v| c.flag(v);
        /// Name of this daemon when several run.
        live "instance" "NAME" "-" "none" => instance: Option<String> = None, |c, v| c.text(v);
        /// How long the parent waits for children at a stop.
        live "child_wait_time" "SECS" "0-4294967295" "5, or the longest interval of version 3 and 4, at most 60" => child_wait_time: Option<u64> = None, |c, v| c.some_int(v, 0, 4_294_967_295);
        /// Poll link state instead of netlink.
        live "linkbeat_use_polling" "-" "-" "off" => linkbeat_use_polling: bool = false, |c, v| c.flag(v);
        /// Network namespace of the checker.
        live "net_namespace_ipvs" "[NAME]" "-" "net_namespace; without a name the first one" => net_namespace_ipvs: Option<String> = None, |c, v| c.optional_text(v);
        /// Allow ipsets in a namespace, for kernels before 3.13; sets of nftables take their place here and need no leave.
        live "namespace_with_ipsets" "-" "-" "off" => namespace_with_ipsets: bool = false, |c, v| c.flag(v);
        /// Global settings.
        live "global_defs" "{ ... }" "-" "-" => globals: GlobalDefs = GlobalDefs::default(), |c, v| block(v, c);
        /// Addresses kept configured while the daemon runs.
        live "static_ipaddress" "{ address lines }" "-" "-" => statics: Vec<(Object, Option<String>)> = Vec::new(), |c, v| {
            c.list(|c| {
                if let Some((a, _, group)) = crate::lines::address(c, None) {
                    let group = grouped(c, group);
                    v.push((Object::Address(a), group));
                }
            });
        };
        /// One virtual router.
        live "vrrp_instance" "NAME { ... }" "unique NAME" "-" => instances: Vec<VrrpInstance> = Vec::new(), |c, v| {
            let place = c.place();
            if let Some(name) = c.block_name() {
                let mut i = VrrpInstance { name, line: place.map_or(0, |p| p.line), ..Default::default() };
                block(&mut i, c);
                v.push(i);
            }
        };
        /// Instances that change state together.
        live "vrrp_sync_group" "NAME { ... }" "unique NAME" "-" => groups: Vec<SyncGroup> = Vec::new(), |c, v| {
            if let Some(name) = c.block_name() {
                let mut g = SyncGroup { name, ..Default::default() };
                block(&mut g, c);
                v.push(g);
            }
        };
        /// A script whose result is tracked.
        live "vrrp_script" "NAME { ... }" "unique NAME" "-" => scripts: Vec<VrrpScript> = Vec::new(), |c, v| {
            let place = c.place();
            if let Some(name) = c.block_name() {
                let mut s = VrrpScript { name, line: place.map_or(0, |p| p.line), ..Default::default() };
                block(&mut s, c);
                v.push(s);
            }
        };
        /// A file with a number that is tracked.
        live "track_file" "NAME { ... }" "unique NAME" "-" => files: Vec<TrackFile> = Vec::new(), |c, v| {
            track_file(c, v);
        };
        /// One IPVS virtual service.
        live "virtual_server" "(ADDR [PORT] | fwmark N | group NAME) { ... }" "-" "-" => virtual_servers: Vec<VirtualServer> = Vec::new(), |c, v| crate::lvs::virtual_server(c, v);
        /// Named list of service addresses.
        live "virtual_server_group" "NAME { ADDR[-LAST] [PORT] ... fwmark N ... }" "unique NAME" "-" => server_groups: Vec<ServerGroup> = Vec::new(), |c, v| crate::lvs::group(c, v);
        /// One BFD session.
        live "bfd_instance" "NAME { ... }" "unique NAME of at most 31 characters" "-" => bfd: Vec<BfdInstance> = Vec::new(), |c, v| crate::bfd::instance(c, v);
        /// Client certificate and authorities of TLS checks.
        live "SSL" "{ ... }" "-" "none" => ssl: Option<Ssl> = None, |c, v| crate::lvs::ssl(c, v);
        /// A process whose presence is tracked.
        live "vrrp_track_process" "NAME { ... }" "unique NAME" "-" => processes: Vec<TrackProcess> = Vec::new(), |c, v| {
            if let Some(name) = c.block_name() {
                let mut p = TrackProcess { name, ..Default::default() };
                block(&mut p, c);
                if p.process.is_none() {
                    c.report(Class::General, format!("vrrp_track_process {} names no process, ignoring it", p.name));
                } else {
                    if p.quorum_max.is_some_and(|m| m < p.quorum) {
                        c.report(Class::General, format!("vrrp_track_process {}: quorum is above quorum_max", p.name));
                    }
                    v.push(p);
                }
            }
        };
    }
    also {
        /// Routes kept configured.
        live "static_routes" "{ route lines }" "-" "-" => |c, s| {
            c.list(|c| {
                if let Some((r, group)) = crate::lines::route(c, true) {
                    s.statics.push((Object::Route(Box::new(r)), grouped(c, group)));
                }
            });
        };
        /// Policy rules kept configured.
        live "static_rules" "{ rule lines }" "-" "-" => |c, s| {
            let mut next = 16384;
            c.list(|c| {
                if let Some((r, group)) = crate::lines::rule(c, &mut next, true) {
                    s.statics.push((Object::Rule(Box::new(r)), grouped(c, group)));
                }
            });
        };
        /// Older spelling of track_file.
        live "vrrp_track_file" "NAME { ... }" "as track_file" "-" => |c, s| {
            track_file(c, &mut s.files);
        };
        /// Instances that the loss of static entries concerns: a static address, route or rule with `track_group NAME` that is not
        /// there, or whose link is down, means FAULT.
        live "track_group" "NAME { group { INSTANCE ... } }" "unique NAME" "-" => |c, s| {
            if let Some(name) = c.block_name() {
                let mut g = TrackGroup { name, ..Default::default() };
                block(&mut g, c);
                s.track_groups.push(g);
            }
        };
        /// Links whose gratuitous ARPs and neighbour advertisements are paced together.
        live "garp_group" "{ ... }" "-" "-" => |c, s| {
            let mut g = GarpGroup::default();
            let number = s.garp_groups.len().to_string();
            c.name_block("garp_group", &number);
            block(&mut g, c);
            let mut of_lines = std::mem::take(&mut g.interface);
            of_lines.append(&mut g.interfaces);
            for link in of_lines {
                // The first group that names a link has it.
                if s.garp_groups.iter().chain([&g]).any(|g| g.interfaces.contains(&link)) {
                    let at = c.places.of_member("garp_group", &number, &link);
                    let text = format!("garp_group already specified for {link}, ignoring it here");
                    c.diagnostics.push(Class::General, at, text);
                } else {
                    g.interfaces.push(link);
                }
            }
            if g.garp_interval.is_none() && g.gna_interval.is_none() {
                c.report(Class::General, "garp_group without interval, ignoring it");
            } else if g.interfaces.is_empty() {
                c.report(Class::Note, "garp_group without interfaces, ignoring it");
            } else {
                s.garp_groups.push(g);
            }
        };
        /// Interfaces polled for link state.
        live "linkbeat_interfaces" "{ IF [MII|ETHTOOL|IOCTL] ... }" "-" "-" => |c, s| c.list(|c| s.linkbeat.extend(crate::lines::linkbeat(c)));
        /// Delays before acting on link changes.
        live "interface_up_down_delays" "{ IF DOWN [UP] ... }" "0-255" "-" => |c, s| c.list(|c| s.link_delays.extend(crate::lines::link_delay(c)));
    }
    plain {
        /// track_group.
        track_groups: Vec<TrackGroup>;
        /// garp_group.
        garp_groups: Vec<GarpGroup>;
        /// interface_up_down_delays: link, after down, after up.
        link_delays: Vec<(String, Duration, Duration)>;
        /// linkbeat_interfaces.
        linkbeat: Vec<(String, Option<LinkMethod>)>;
    }
}

section! {
    /// garp_group.
    GarpGroup, "garp_group" {
        /// Gap between gratuitous ARPs.
        live "garp_interval" "SECS" "0.000001-4294" "0" => garp_interval: Option<Duration> = None, |c, v| c.seconds(v, 0.000_001, 4294.0);
        /// Gap between neighbour advertisements.
        live "gna_interval" "SECS" "0.000001-4294" "0" => gna_interval: Option<Duration> = None, |c, v| c.seconds(v, 0.000_001, 4294.0);
        /// A link.
        live "interface" "IF" "-" "-" => interface: Vec<String> = Vec::new(), |c, v| c.link_of_block(v);
        /// The links.
        live "interfaces" "{ IF ... }" "-" "-" => interfaces: Vec<String> = Vec::new(), |c, v| c.names(v);
    }
    also {}
    plain {}
}

section! {
    /// track_group.
    TrackGroup, "track_group" {
        /// Members.
        live "group" "{ INSTANCE ... }" "existing instances" "-" => group: Vec<String> = Vec::new(), |c, v| c.names(v);
    }
    also {}
    plain {
        /// Its name.
        name: String;
    }
}

/// The group of a static object's line: one that is defined above.
fn grouped(c: &mut Cx<'_>, group: Option<String>) -> Option<String> {
    let name = group?;
    if c.is_defined("track_group", &name) {
        return Some(name);
    }
    let help = crate::diag::suggest(&name, c.defined("track_group")).map(|s| format!("did you mean `{s}`?"));
    let at = c.words().iter().find(|w| w.text == name).map(|w| w.span);
    c.diagnostics.push_help(Class::General, at, format!("track_group {name} is not defined above, ignoring it"), help);
    None
}

fn track_file(c: &mut Cx<'_>, files: &mut Vec<TrackFile>) {
    let Some(name) = c.block_name() else { return };
    let mut f = TrackFile { name, ..Default::default() };
    block(&mut f, c);
    match &f.file {
        None => c.report(Class::General, format!("track_file {} names no file, ignoring it", f.name)),
        Some(p) if ["/proc/", "/sys/"].iter().any(|d| p.starts_with(d)) => {
            let text = "is on a file system that tells nobody of changes, ignoring it";
            c.report(Class::General, format!("track_file {} {text}", f.name));
        }
        Some(_) => files.push(f),
    }
}
