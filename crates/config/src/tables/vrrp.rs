section! {
    /// One virtual router.
    VrrpInstance, "vrrp_instance" {
        /// Initial state; MASTER below priority 255 changes nothing.
        live "state" "MASTER|BACKUP" "-" "MASTER when priority 255, else BACKUP" => state: Option<InitialState> = None, |c, v| {
            let Some(w) = c.value() else { return };
            let new = match w.text.as_str() {
                "MASTER" => InitialState::Master,
                "BACKUP" => InitialState::Backup,
                other => {
                    let text = format!("state '{other}' is neither MASTER nor BACKUP");
                    c.report_near(w, text, ["MASTER", "BACKUP"].into_iter());
                    InitialState::Backup
                }
            };
            if v.is_some_and(|old| old != new) {
                c.report_at(Class::General, w, "another state is given already, ignoring this one");
            } else {
                *v = Some(new);
            }
        };
        /// Interface that the router runs on.
        live "interface" "IF" "at most 15 characters" "required" => interface: Option<String> = None, |c, v| {
            let Some(w) = c.value() else { return };
            if w.text.len() > 15 {
                c.report_at(Class::General, w, format!("interface name '{}' is longer than 15 characters", w.text));
            } else if w.text == "lo" || c.host.interface(&w.text) == Some(true) {
                c.report_at(Class::General, w, format!("'{}' is a loopback interface", w.text));
            } else {
                *v = Some(w.text.to_string());
            }
        };
        /// Virtual router id, unique on a link and family.
        live "virtual_router_id" "N" "1-255" "required" => virtual_router_id: Option<u8> = None, |c, v| c.some_int(v, 1, 255);
        /// Base priority; 255 is the address owner.
        live "priority" "N" "1-255" "100" => priority: Option<u8> = None, |c, v| {
            c.some_int(v, 1, 255);
            // A mistyped number is the default, never what `state MASTER` would make of no number: an address owner.
            if v.is_none() && c.word(1).is_some() {
                c.report(Class::Note, "this is no priority: 100, the default, is used instead");
                *v = Some(100);
            }
        };
        /// Seconds between adverts; version 2 takes whole seconds, version 3 hundredths.
        live "advert_int" "SECS" "0.01-255" "1" => advert_int: Option<Duration> = None, |c, v| c.seconds(v, 0.01, 255.0);
        /// Protocol version.
        live "version" "2|3" "2-3" "vrrp_version" => version: Option<u8> = None, |c, v| {
            let former = *v;
            c.some_int(v, 2, 3);
            if former.is_some() && former != *v {
                c.given_again();
            }
        };
        /// Addresses carried in adverts.
        live "virtual_ipaddress" "{ address lines }" "-" "none" => virtual_ipaddress: Vec<(Address, bool, Place)> = Vec::new(), |c, v| {
            c.list(|c| {
                let line = c.place();
                v.extend(crate::lines::address(c, Some(())).map(|(a, dev, _)| (a, dev, Place::new(line))));
            });
        };
        /// Addresses not carried in adverts.
        live "virtual_ipaddress_excluded" "{ address lines }" "-" "none" => virtual_ipaddress_excluded: Vec<(Address, bool, Place)> = Vec::new(), |c, v| {
            c.list(|c| {
                let line = c.place();
                v.extend(crate::lines::address(c, Some(())).map(|(a, dev, _)| (a, dev, Place::new(line))));
            });
        };
        /// Routes present while master.
        live "virtual_routes" "{ route lines }" "-" "none" => virtual_routes: Vec<Route> = Vec::new(), |c, v| {
            c.list(|c| v.extend(crate::lines::route(c, false).map(|r| r.0)));
        };
        /// Policy rules present while master.
        live "virtual_rules" "{ rule lines }" "-" "none" => virtual_rules: Vec<Rule> = Vec::new(), |c, v| {
            let mut next = 16384;
            c.list(|c| v.extend(crate::lines::rule(c, &mut next, false).map(|r| r.0)));
        };
        /// Source address of adverts.
        live "unicast_src_ip" "ADDR" "-" "the link's" => unicast_src: Option<IpAddr> = None, |c, v| c.address(v);
        /// Per-instance multicast group.
        live "mcast_dst_ip" "ADDR" "multicast" "global group" => mcast_dst_ip: Option<IpAddr> = None, |c, v| multicast(c, v, None);
        /// Accept adverts from listed peers only; always so here, `no` turns it off.
        live "check_unicast_src" "[BOOL]" "-" "on" => check_unicast_src: Option<bool> = None, |c, v| c.boolean(v);
        /// TTL of unicast adverts.
        live "unicast_ttl" "N" "0-255" "255" => unicast_ttl: Option<u8> = None, |c, v| c.some_int(v, 0, 255);
        /// Permanent FAULT without unicast peers.
        live "unicast_fault_no_peer" "-" "-" "off" => unicast_fault_no_peer: bool = false, |c, v| c.flag(v);
        /// FAULT while the source address is absent.
        live "track_src_ip" "-" "-" "off" => track_src_ip: bool = false, |c, v| c.flag(v);
        /// Ignore the state of the own interface.
        live "dont_track_primary" "-" "-" "off" => dont_track_primary: bool = false, |c, v| c.flag(v);
        /// Tracked interfaces.
        live "track_interface" "{ IF [weight N [reverse|noreverse]] ... }" "-253-253" "weight 0" => track_interface: Vec<Track> = Vec::new(), |c, v| tracks(c, v, 253);
        /// Tracked scripts.
        live "track_script" "{ NAME [weight N [reverse|noreverse]] ... }" "-253-253" "the script's" => track_script: Vec<Track> = Vec::new(), |c, v| tracks(c, v, 253);
        /// Tracked files.
        live "track_file" "{ NAME [weight N [reverse|noreverse]] ... }" "-254-254" "the file's" => track_file: Vec<Track> = Vec::new(), |c, v| tracks(c, v, 254);
        /// Tracked processes.
        live "track_process" "{ NAME [weight N [reverse|noreverse]] ... }" "-254-254" "the process's" => track_process: Vec<Track> = Vec::new(), |c, v| tracks(c, v, 254);
        /// Tracked virtual servers: FAULT, or a change of priority, while one lacks its quorum (steadfast's own).
        live "track_virtual_server" "{ (ADDR PORT | fwmark N | group NAME) [weight N [reverse|noreverse]] ... }" "-253-253" "weight 0" => track_service: Vec<Track> = Vec::new(), |c, v| tracks_of(c, v, 253, crate::lvs::tracked);
        /// Tracked BFD sessions.
        live "track_bfd" "{ NAME [weight N [reverse|noreverse]] ... }" "-253-253" "the session's" => track_bfd: Vec<Track> = Vec::new(), |c, v| crate::bfd::tracked(c, v);
        /// An instance may be without addresses.
        live "no_virtual_ipaddress" "-" "-" "off" => no_virtual_ipaddress: bool = false, |c, v| c.flag(v);
        /// Set the kernel's promote_secondaries switch of the link.
        live "promote_secondaries" "-" "-" "off" => promote_secondaries: bool = false, |c, v| c.flag(v);
        /// Version 3 checksum over IPv4 without pseudo-header.
        live "v3_checksum_as_v2" "[BOOL]" "-" "off" => v3_checksum_as_v2: Option<bool> = None, |c, v| c.boolean(v);
        /// Send unicast adverts of version 3 with the checksum of keepalived before 2.0, or never take it for right; without the word as the peers do.
        live "old_unicast_checksum" "[never]" "-" "auto" => old_unicast_checksum: Option<bool> = None, |c, v| match c.word(1).map(|w| w.text.as_str()) {
            None => *v = Some(true),
            Some("never") => *v = Some(false),
            Some(_) => c.report(Class::General, "old_unicast_checksum takes 'never' or nothing"),
        };
        /// Do not check the address list of the known master.
        live "skip_check_adv_addr" "[BOOL]" "-" "global" => skip_check_adv_addr: Option<bool> = None, |c, v| c.boolean(v);
        /// The RFC to the letter. Refused: an instance with unicast_peer, or without addresses. Ignored: authentication, preempt_delay,
        /// vmac_xmit_base, accept in version 2, state MASTER below priority 255, fast_takeover, soft_release. Virtual addresses take no
        /// packets, not even a ping, unless accept is given (version 3) or the priority is 255. auth_hmac is enforced, IPv6 is version 3,
        /// and its adverts need a link-local first address.
        live "strict_mode" "[BOOL]" "-" "vrrp_strict" => strict_mode: Option<bool> = None, |c, v| c.boolean(v);
        /// Do not take over from a lower-priority master.
        live "nopreempt" "-" "-" "off" => nopreempt: bool = false, |c, v| c.flag(v);
        /// Wait before preempting.
        live "preempt_delay" "SECS" "0-1000" "0" => preempt_delay: Option<Duration> = None, |c, v| c.seconds(v, 0.0, 1000.0);
        /// Debug level; keepalived has none either.
        live "debug" "LEVEL" "0-4" "0" => debug: u8 = 0, |c, v| c.int(v, 0, 4);
        /// Run on BACKUP.
        live "notify_backup" "SCRIPT [USER [GROUP]]" "-" "none" => notify_backup: Option<Script> = None, |c, v| c.script(v);
        /// Run on MASTER.
        live "notify_master" "SCRIPT [USER [GROUP]]" "-" "none" => notify_master: Option<Script> = None, |c, v| c.script(v);
        /// Run on FAULT.
        live "notify_fault" "SCRIPT [USER [GROUP]]" "-" "none" => notify_fault: Option<Script> = None, |c, v| c.script(v);
        /// Run at a stop.
        live "notify_stop" "SCRIPT [USER [GROUP]]" "-" "none" => notify_stop: Option<Script> = None, |c, v| c.script(v);
        /// Run on every change, with INSTANCE NAME STATE PRIO appended.
        live "notify" "SCRIPT [USER [GROUP]]" "-" "none" => notify: Option<Script> = None, |c, v| c.script(v);
        /// Run when a master hears a lower-priority advert.
        live "notify_master_rx_lower_pri" "SCRIPT [USER [GROUP]]" "-" "none" => notify_master_rx_lower_pri: Option<Script> = None, |c, v| c.script(v);
        /// Run when removed by a reload; alone it selects DELETED instead of FAULT.
        live "notify_deleted" "[SCRIPT [USER [GROUP]]]" "-" "none" => notify_deleted: Option<Option<Script>> = None, |c, v| {
            let mut script = None;
            if c.word(1).is_some() {
                c.script(&mut script);
            }
            *v = Some(script);
        };
        /// Mail on changes.
        live "smtp_alert" "[BOOL]" "-" "global" => smtp_alert: Option<bool> = None, |c, v| c.boolean(v);
        /// FIFO lines for priority changes.
        live "notify_priority_changes" "[BOOL]" "-" "global" => notify_priority_changes: Option<bool> = None, |c, v| c.boolean(v);
        /// Delay of the second burst of gratuitous ARPs.
        live "garp_master_delay" "SECS" "0-4294" "global" => garp_master_delay: Option<u64> = None, |c, v| c.some_int(v, 0, LONG);
        /// Period of refresh bursts; 0: none, nor the single announcements that a master repeats without this word.
        live "garp_master_refresh" "SECS" "0-4294" "global" => garp_master_refresh: Option<u64> = None, |c, v| c.some_int(v, 0, LONG);
        /// Gratuitous ARPs in a burst.
        live "garp_master_repeat" "N" ">=1" "global" => garp_master_repeat: Option<u32> = None, |c, v| c.at_least(v, 1);
        /// Gratuitous ARPs in a refresh burst.
        live "garp_master_refresh_repeat" "N" ">=1" "global" => garp_master_refresh_repeat: Option<u32> = None, |c, v| c.at_least(v, 1);
        /// Delay of the second burst after a lower-priority advert.
        live "garp_lower_prio_delay" "SECS" "0-4294" "global" => garp_lower_prio_delay: Option<u64> = None, |c, v| c.some_int(v, 0, LONG);
        /// Gratuitous ARPs after a lower-priority advert.
        live "garp_lower_prio_repeat" "N" "0-2147483647" "global" => garp_lower_prio_repeat: Option<u32> = None, |c, v| c.some_int(v, 0, i64::from(i32::MAX));
        /// Missed adverts before takeover.
        live "down_timer_adverts" "N" "1-100" "global" => down_timer_adverts: Option<u8> = None, |c, v| c.some_int(v, 1, 100);
        /// A master held up for longer than a backup of this priority waits goes to backup.
        live "timer_expired_backup" "[PRIO]" "1-254" "off" => timer_expired_backup: Option<u8> = None, |c, v| backup_of(c, v);
        /// Do not answer lower-priority adverts at once.
        live "lower_prio_no_advert" "[BOOL]" "-" "global" => lower_prio_no_advert: Option<bool> = None, |c, v| c.boolean(v);
        /// Send one advert before backing off.
        live "higher_prio_send_advert" "[BOOL]" "-" "global" => higher_prio_send_advert: Option<bool> = None, |c, v| c.boolean(v);
        /// An owner drops adverts.
        live "owner_ignore_adverts" "[BOOL]" "-" "global" => owner_ignore_adverts: Option<bool> = None, |c, v| c.boolean(v);
        /// Receive buffer of adverts.
        live "kernel_rx_buf_size" "BYTES" ">=1" "system" => kernel_rx_buf_size: Option<u32> = None, |c, v| c.some_int(v, 1, i64::from(u32::MAX));
        /// Version 2 authentication.
        live "authentication" "{ ... }" "-" "none" => authentication: Option<Authentication> = None, |c, v| {
            let mut a = Authentication::default();
            block(&mut a, c);
            *v = Some(a);
        };
        /// Authentication by a trailer, versions 2 and 3.
        live "auth_hmac" "{ ... }" "-" "none" => auth_hmac: Option<AuthHmac> = None, |c, v| {
            let mut a = AuthHmac::default();
            block(&mut a, c);
            if v.is_some() {
                c.report(Class::General, "auth_hmac is given already, ignoring this one");
            } else {
                *v = Some(a);
            }
        };
        /// With AH or auth_hmac: no takeover while adverts come in that fail authentication (steadfast's own).
        live "auth_hold" "[BOOL]" "-" "on" => auth_hold: Option<bool> = None, |c, v| c.boolean(v);
        /// Version 3 over IPv4: send adverts of version 2 beside, and heed those of routers that speak no other, while routers are moved
        /// to version 3 one by one (RFC 9568 section 8.4.2; steadfast's own). A password (auth_type PASS) is that of
        /// the adverts of version 2. Not with auth_hmac.
        live "also_version_2" "[BOOL]" "-" "off" => also_version_2: Option<bool> = None, |c, v| c.boolean(v);
        /// Takeover at once from a master of lower priority, or one that says priority 0 (steadfast's own).
        live "fast_takeover" "[BOOL]" "-" "global" => fast_takeover: Option<bool> = None, |c, v| c.boolean(v);
        /// Serve on until the successor is heard (steadfast's own).
        live "soft_release" "[BOOL]" "-" "global" => soft_release: Option<bool> = None, |c, v| c.boolean(v);
        /// Put the addresses on a macvlan with the virtual MAC.
        live "use_vmac" "[name IF|IF] [MAC] [netlink_notify_msg] [group G]" "name of at most 15 characters; MAC of 5 or 6 octets" "off" => use_vmac: Option<Vmac> = None, |c, v| crate::vmac::line(c, v);
        /// Adverts go by an ipvlan with an address of its own. IPv4 needs the address, IPv6 takes the link-local one without it.
        live "use_ipvlan" "[name IF|IF] [ADDR[/LEN]] [bridge|private|vepa] [group G]" "name of at most 15 characters" "off" => use_ipvlan: Option<Ipvlan> = None, |c, v| crate::vmac::ipvlan(c, v);
        /// VRF of the links that are made, and of unicast adverts.
        live "vrf" "IF" "a VRF" "none" => vrf: Option<String> = None, |c, v| crate::vmac::vrf(c, v);
        /// Adverts go by the base link.
        live "vmac_xmit_base" "-" "-" "off" => vmac_xmit_base: bool = false, |c, v| c.flag(v);
        /// Drop packets to virtual addresses unless owner.
        live "no_accept" "-" "-" "off" => accept: Option<bool> = None, |c, v| *v = Some(false);
    }
    also {
        /// IPv6 transport without IPv6 addresses.
        live "native_ipv6" "-" "not behind IPv4 addresses" "off" => |c, s| {
            let own = s.virtual_ipaddress.first().map(|(a, ..)| a.cidr.address);
            let ends = [own, s.src_ip, s.unicast_src, s.unicast_peer.first().map(|p| p.address)];
            if ends.into_iter().flatten().any(|a| a.is_ipv4()) {
                c.report(Class::General, format!("({}) native_ipv6 does not go with IPv4 addresses, ignoring it", s.name));
            } else {
                s.native_ipv6 = true;
            }
        };
        /// Send adverts to these addresses instead of multicast.
        live "unicast_peer" "{ ADDR [min_ttl N] [max_ttl N] ... }" "ttl 0-255" "none" => |c, s| {
            s.unicast_words = true;
            c.list(|c| {
                if let Some(p) = crate::lines::peer(c) {
                    if s.unicast_peer.iter().any(|x| x.address == p.address) {
                        c.report(Class::General, format!("peer {} is given already, ignoring this one", p.address));
                    } else {
                        s.unicast_peer.push(p);
                    }
                }
            });
        };
        /// Source address of adverts.
        live "mcast_src_ip" "ADDR" "-" "the link's" => |c, s| c.address(&mut s.src_ip);
        /// Allow preemption.
        live "preempt" "-" "-" "on" => |c, s| s.nopreempt = false;
        /// Accept packets to virtual addresses.
        live "accept" "-" "-" "on" => |c, s| s.accept = Some(true);
        /// Virtual MAC links for addresses on other interfaces.
        live "use_vmac_addr" "-" "-" "off" => |c, s| s.use_vmac_addr = true;
        /// Poll link state.
        live "linkbeat_use_polling" "-" "-" "off" => |c, s| {
            c.report(Class::Deprecated, "linkbeat_use_polling is deprecated here, use linkbeat_interfaces");
            s.linkbeat = true;
        };
        /// IPVS sync daemon bound to this instance.
        live "lvs_sync_daemon_interface" "IF" "-" "none" => |c, s| {
            if c.value().is_some() {
                c.text(&mut s.sync_interface);
                c.report(Class::Deprecated, "lvs_sync_daemon_interface is deprecated, use lvs_sync_daemon in global_defs");
            }
        };
        /// Misspelt alias of timer_expired_backup.
        live "thread_timer_expired" "[PRIO]" "1-254" "-" => |c, s| {
            c.report(Class::Deprecated, "thread_timer_expired is spelt timer_expired_backup");
            backup_of(c, &mut s.timer_expired_backup);
        };
        /// Gratuitous ARPs on other interfaces.
        live "garp_extra_if" "[all] SECS" "0-86400" "vrrp_garp_extra_if" => |c, s| extra_if(c, &mut s.garp_extra, 0);
        /// Older spelling of garp_extra_if.
        live "vmac_garp_intvl" "[all] SECS" "0-86400" "-" => |c, s| {
            c.report(Class::Deprecated, "vmac_garp_intvl is deprecated, use garp_extra_if");
            extra_if(c, &mut s.garp_extra, 0);
        };
    }
    plain {
        /// native_ipv6.
        native_ipv6: bool;
        /// use_vmac_addr.
        use_vmac_addr: bool;
        /// linkbeat_use_polling.
        linkbeat: bool;
        /// Virtual links of addresses that are not on the instance's own: the link below, IPv6, the name. The checks make them.
        address_links: Vec<(String, bool, String)>;
        /// garp_extra_if: period in seconds, on all links.
        garp_extra: Option<(u32, bool)>;
        /// lvs_sync_daemon_interface.
        sync_interface: Option<String>;
        /// Name.
        name: String;
        /// Line of the configuration.
        line: u32;
        /// Source address of adverts, by either keyword.
        src_ip: Option<IpAddr>;
        /// Where adverts go instead of the multicast group.
        unicast_peer: Vec<Peer>;
        /// A keyword of unicast operation was used.
        unicast_words: bool;
    }
}

/// `[PRIO]` of timer_expired_backup.
fn backup_of(c: &mut Cx<'_>, v: &mut Option<u8>) {
    *v = Some(254);
    if c.word(1).is_some() {
        c.some_int(v, 1, 254);
    }
}

/// A place that travels with the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Place {
    /// File number.
    pub file: u16,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
    /// Width.
    pub width: u32,
}

impl Place {
    pub(crate) fn new(span: Option<Span>) -> Self {
        span.map_or(Place::default(), |s| Place { file: s.file.0, line: s.line, column: s.column, width: s.width })
    }

    /// As a span of a report.
    pub fn span(self) -> Option<Span> {
        (self.line > 0).then_some(Span { file: crate::diag::FileId(self.file), line: self.line, column: self.column, width: self.width })
    }
}

section! {
    /// Version 2 authentication.
    Authentication, "vrrp_instance > authentication" {
        /// Method.
        live "auth_type" "PASS|AH" "-" "none" => auth_type: Option<AuthType> = None, |c, v| {
            let Some(w) = c.value() else { return };
            match w.text.as_str() {
                "PASS" => *v = Some(AuthType::Pass),
                "AH" => *v = Some(AuthType::Ah),
                other => c.report_near(w, format!("unknown authentication type '{other}'"), ["PASS", "AH"].into_iter()),
            }
        };
        /// Password of at most 8 characters.
        live "auth_pass" "STRING" "at most 8 characters" "-" => auth_pass: Option<Secret> = None, |c, v| {
            let Some(w) = c.value() else { return };
            if w.text.len() > 8 {
                c.report_at(Class::General, w, "password is longer than 8 characters, the rest is cut off");
            }
            *v = Some(Secret::new(w.text.bytes().take(8).collect::<Vec<_>>()));
        };
    }
    also {}
    plain {}
}

section! {
    /// Authentication by a trailer, versions 2 and 3.
    AuthHmac, "vrrp_instance > auth_hmac" {
        /// Key of an id.
        live "key" "ID VALUE|hex:HEX|file:PATH|credential:NAME" "id 1-255; 32-64 bytes; a file only its owner may read" "-" => keys: Vec<(u8, Secret)> = Vec::new(), |c, v| crate::keys::line(c, v);
        /// Key that adverts are sent with.
        live "active_key" "ID" "1-255, one of the keys" "the first key" => active_key: Option<u8> = None, |c, v| c.some_int(v, 1, 255);
        /// Greatest difference of clocks, in seconds.
        live "time_window" "SECS" "1-300" "3 advert_int, at least 5" => time_window: Option<u64> = None, |c, v| c.some_int(v, 1, 300);
        /// What an old advert is known by: the clock, or only its order.
        live "anti_replay" "time|monotonic" "-" "time" => monotonic: bool = false, |c, v| {
            crate::keys::choice(c, v, &[("time", false), ("monotonic", true)]);
        };
        /// What happens to adverts without trailer, and whether ours have one.
        live "mode" "enforce|permissive|receive-only" "-" "enforce" => mode: HmacMode = HmacMode::Enforce, |c, v| {
            let words = [
                ("enforce", HmacMode::Enforce),
                ("permissive", HmacMode::Permissive),
                ("receive-only", HmacMode::ReceiveOnly),
            ];
            crate::keys::choice(c, v, &words);
        };
    }
    also {}
    plain {}
}

section! {
    /// Instances that change state together.
    SyncGroup, "vrrp_sync_group" {
        /// Members.
        live "group" "{ INSTANCE ... }" "existing instances" "-" => group: Option<Vec<String>> = None, |c, v| {
            let mut names = Vec::new();
            c.names(&mut names);
            if v.is_some() {
                c.report(Class::General, "group is given already, ignoring this one");
            }
            v.get_or_insert(names);
        };
        /// Tracking of every member.
        live "track_interface" "{ entries }" "-" "none" => track_interface: Vec<Track> = Vec::new(), |c, v| tracks(c, v, 253);
        /// Tracking of every member.
        live "track_script" "{ entries }" "-" "none" => track_script: Vec<Track> = Vec::new(), |c, v| tracks(c, v, 253);
        /// Tracking of every member.
        live "track_file" "{ entries }" "-" "none" => track_file: Vec<Track> = Vec::new(), |c, v| tracks(c, v, 254);
        /// Tracking of every member.
        live "track_process" "{ entries }" "-" "none" => track_process: Vec<Track> = Vec::new(), |c, v| tracks(c, v, 254);
        /// Tracking of every member (steadfast's own).
        live "track_virtual_server" "{ entries }" "-" "none" => track_service: Vec<Track> = Vec::new(), |c, v| tracks_of(c, v, 253, crate::lvs::tracked);
        /// Tracking of every member.
        live "track_bfd" "{ entries }" "-" "none" => track_bfd: Vec<Track> = Vec::new(), |c, v| crate::bfd::tracked(c, v);
        /// Run when the group becomes BACKUP.
        live "notify_backup" "SCRIPT [USER [GROUP]]" "-" "none" => notify_backup: Option<Script> = None, |c, v| c.script(v);
        /// Run when the group becomes MASTER.
        live "notify_master" "SCRIPT [USER [GROUP]]" "-" "none" => notify_master: Option<Script> = None, |c, v| c.script(v);
        /// Run when the group becomes FAULT.
        live "notify_fault" "SCRIPT [USER [GROUP]]" "-" "none" => notify_fault: Option<Script> = None, |c, v| c.script(v);
        /// Run at a stop.
        live "notify_stop" "SCRIPT [USER [GROUP]]" "-" "none" => notify_stop: Option<Script> = None, |c, v| c.script(v);
        /// Run on every change, with GROUP NAME STATE 0 appended.
        live "notify" "SCRIPT [USER [GROUP]]" "-" "none" => notify: Option<Script> = None, |c, v| c.script(v);
        /// Mail on changes.
        live "smtp_alert" "[BOOL]" "-" "global" => smtp_alert: Option<bool> = None, |c, v| c.boolean(v);
        /// Weighted trackers of members count.
        live "sync_group_tracking_weight" "-" "-" "off" => sync_group_tracking_weight: bool = false, |c, v| c.flag(v);
        /// What one member tracks, all do (deprecated).
        live "global_tracking" "-" "-" "off" => global_tracking: bool = false, |c, v| {
            c.flag(v);
            c.report(Class::Deprecated, "global_tracking is deprecated");
        };
        /// FIFO lines for priority changes of members.
        live "notify_priority_changes" "[BOOL]" "-" "global" => notify_priority_changes: Option<bool> = None, |c, v| c.boolean(v);
    }
    also {}
    plain {
        /// Name.
        name: String;
    }
}

section! {
    /// A script whose result is tracked.
    VrrpScript, "vrrp_script" {
        /// The command; `</path` only tests that a file can be opened.
        live "script" "COMMAND [ARGS] | </PATH" "executable found" "required" => script: Option<Script> = None, |c, v| c.command_line(v);
        /// Period.
        live "interval" "SECS" "0.000001-4294967" "1" => interval: Option<Duration> = None, |c, v| positive(c, v);
        /// Limit of one run.
        live "timeout" "SECS" "0.000001-4294967" "interval" => timeout: Option<Duration> = None, |c, v| positive(c, v);
        /// Priority change; 0: failure means FAULT.
        live "weight" "N [reverse]" "-253-253" "0" => weight: (i32, bool) = (0, false), |c, v| weight(c, v, 253);
        /// Successes to become OK.
        live "rise" "N" "1-2147483647" "1" => rise: u32 = 1, |c, v| c.int(v, 1, 2_147_483_647);
        /// Failures to become KO.
        live "fall" "N" "1-2147483647" "1" => fall: u32 = 1, |c, v| c.int(v, 1, 2_147_483_647);
        /// Account.
        live "user" "USER [GROUP]" "existing" "script_user" => user: Option<Option<User>> = None, |c, v| {
            if c.value().is_some() {
                *v = Some(c.user(1));
            }
        };
        /// Assume failed at start.
        live "init_fail" "-" "-" "off" => init_fail: bool = false, |c, v| c.flag(v);
    }
    also {}
    plain {
        /// Name.
        name: String;
        /// Line of the configuration.
        line: u32;
        /// It cannot be run: missing, insecure, or without a user.
        disabled: bool;
        /// Why it is tracked and cannot be run.
        left_out: String;
    }
}

/// Seconds; 0 counts as 1 and is reported.
fn positive(c: &mut Cx<'_>, v: &mut Option<Duration>) {
    let Some(w) = c.value() else { return };
    match c.duration(w, 0.0, 4_294_967.0) {
        Some(d) if d.is_zero() => {
            c.report_at(Class::General, w, format!("{}0 is too short, using 1", c.named()));
            *v = Some(Duration::from_secs(1));
        }
        Some(d) => *v = Some(d),
        None => {}
    }
}

section! {
    /// A file with a number that is tracked.
    TrackFile, "track_file" {
        /// Path.
        live "file" "PATH" "-" "required" => file: Option<String> = None, |c, v| {
            if v.is_some() {
                c.given_again();
            }
            c.text(v);
        };
        /// Factor of the number; 0: a number other than 0 means FAULT.
        live "weight" "N [reverse]" "-254-254" "1" => weight: (i32, bool) = (1, false), |c, v| weight(c, v, 254);
        /// Make the file.
        live "init_file" "[VALUE] [overwrite]" "-254-254" "off" => init_file: Option<(i64, bool)> = None, |c, v| {
            let mut value = 0;
            let mut overwrite = false;
            for w in c.words().iter().skip(1) {
                if w.text == "overwrite" {
                    overwrite = true;
                } else if let Some(n) = c.number(w, i64::MIN, i64::MAX) {
                    if !(-254..=254).contains(&n) {
                        c.report_at(Class::General, w, format!("{n} is beyond any weight (-254 to 254)"));
                    }
                    value = n;
                }
            }
            *v = Some((value, overwrite));
        };
    }
    also {}
    plain {
        /// Name.
        name: String;
    }
}

section! {
    /// A process whose presence is tracked.
    TrackProcess, "vrrp_track_process" {
        /// Program and arguments.
        live "process" "COMMAND [ARGS]" "-" "required" => process: Option<Script> = None, |c, v| {
            if v.is_some() {
                c.given_again();
            }
            c.command_line(v);
        };
        /// How arguments are compared.
        live "param_match" "[initial|partial]" "-" "not" => param_match: Option<String> = None, |c, v| match c.word(1) {
            Some(w) if !matches!(w.text.as_str(), "initial" | "partial") => {
                c.report_at(Class::General, w, format!("param_match '{}' is neither initial nor partial, ignoring it", w.text));
            }
            _ => c.optional_text(v),
        };
        /// Priority change; 0: a missing process means FAULT.
        live "weight" "N [reverse]" "-254-254" "0" => weight: (i32, bool) = (0, false), |c, v| weight(c, v, 254);
        /// Least number running.
        live "quorum" "N" "1-65535" "1" => quorum: u32 = 1, |c, v| c.int(v, 1, 65535);
        /// Greatest number running.
        live "quorum_max" "N" "0-65535" "unlimited" => quorum_max: Option<u32> = None, |c, v| c.some_int(v, 0, 65535);
        /// Delay before a loss or a gain counts.
        live "delay" "SECS" "0.000001-3600" "0" => delay: Option<Duration> = None, |c, v| c.seconds(v, 0.000_001, 3600.0);
        /// Delay before a loss counts.
        live "terminate_delay" "SECS" "0.000001-3600" "0" => terminate_delay: Option<Duration> = None, |c, v| c.seconds(v, 0.000_001, 3600.0);
        /// Delay before a gain counts.
        live "fork_delay" "SECS" "0.000001-3600" "0" => fork_delay: Option<Duration> = None, |c, v| c.seconds(v, 0.000_001, 3600.0);
        /// Compare with the command line instead of the process name.
        live "full_command" "-" "-" "off" => full_command: bool = false, |c, v| c.flag(v);
    }
    also {}
    plain {
        /// Name.
        name: String;
    }
}
