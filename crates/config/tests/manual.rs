//! steadfast.conf(5): the introduction is docs/man/steadfast.conf.in, the lists are the declarations of the keywords. To write it anew:
//! STEADFAST_WRITE=1 cargo test -p steadfast-config --test manual

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use steadfast_config::diag::render_compat;
use steadfast_config::host::FakeHost;
use steadfast_config::source::Options;
use steadfast_config::{Keyword, keywords, load_text};

const MARK: &str = ".\\\" The lists are made of the declarations of the keywords.\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/man")
}

/// Text as troff takes it: no word is a macro, a request or an escape, and alternatives may be on two lines.
fn plain(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('|', "|\\:")
        .replace('-', "\\-")
        .replace('"', "\\(dq")
        .replace('`', "\\(ga")
        .replace('\'', "\\(aq")
}

/// One word of a macro's line, whatever is in it.
fn one(text: &str) -> String {
    format!("\"\\&{}\"", plain(text))
}

fn entry(k: &Keyword, page: &mut String) {
    let _ = write!(page, ".It Ic {}", one(k.word.trim_matches(['(', ')'])));
    if k.syntax != "-" {
        let _ = write!(page, " Li {}", one(k.syntax));
    }
    let _ = writeln!(page, "\n\\&{}", plain(k.doc.trim()));
    let mut bounds = Vec::new();
    if k.range != "-" {
        bounds.push(format!("Range: {}.", plain(k.range)));
    }
    if k.default != "-" {
        bounds.push(format!("Default: {}.", plain(k.default)));
    }
    if !k.supported {
        bounds.push("Not supported yet.".into());
    }
    if !bounds.is_empty() {
        let _ = writeln!(page, ".br\n\\&{}", bounds.join(" "));
    }
}

/// What long lists are about, in parts: each keyword is in the first part that has its name, or the beginning (`x*`) or end (`*x`) of it.
const SUBJECTS: &[(&str, &[(&str, &str)])] = &[
    (
        "global_defs",
        &[
            ("The host", "router_id default_interface dynamic_interfaces random_seed iproute_*"),
            (
                "Scripts and accounts",
                "script_user enable_script_security scripts_by_descriptor use_symlink_paths set_supplementary_groups umask startup_* shutdown_*",
            ),
            ("Mail", "smtp_* notification_* no_email_faults no_checker_emails"),
            ("Notification", "*notify_fifo *notify_fifo_script vrrp_notify_* fifo_* rs_init_notifies"),
            ("Gratuitous ARP and neighbour adverts", "vrrp_garp_* vrrp_gna_* vrrp_min_garp vrrp_vmac_garp_*"),
            (
                "Processes",
                "*_priority *_no_swap *_cpu_affinity *_rlimit_rttime *_rlimit_rtime *process_name process_names *_auto_priority_delay",
            ),
            ("Buffers", "*_bufs *_bufs_force vrrp_rx_*"),
            (
                "Firewall and virtual links",
                "nftables_ipvs* nftables* vmac_* disable_local_igmp vrrp_iptables vrrp_ipsets",
            ),
            ("Virtual routers", "vrrp_*"),
            ("Virtual servers", "lvs_* checker_*"),
            ("SNMP and D-Bus", "enable_* snmp_* dbus_*"),
            (
                "Reloads, dumps and logs",
                "reload_* config_save_dir include_check *_dump_file json_version data_use_instance tmp_config_directory log_*",
            ),
        ],
    ),
    (
        "vrrp_instance",
        &[
            (
                "The virtual router",
                "state interface virtual_router_id priority advert_int version also_version_2 native_ipv6",
            ),
            ("Addresses, routes, rules", "virtual_* no_virtual_ipaddress promote_secondaries accept no_accept"),
            ("Unicast and multicast", "unicast_* mcast_* check_unicast_src old_unicast_checksum track_src_ip"),
            (
                "Takeover and return",
                "nopreempt preempt preempt_delay fast_takeover soft_release *timer* lower_prio_* higher_prio_* owner_*",
            ),
            ("Tracking", "track_* dont_track_primary linkbeat_*"),
            ("Authentication", "auth*"),
            ("Virtual links", "use_* vrf vmac_xmit_base"),
            ("Gratuitous ARP and neighbour adverts", "garp_* vmac_garp_*"),
            ("Notification", "notify* smtp_alert"),
            (
                "The rest",
                "strict_mode skip_check_adv_addr v3_checksum_as_v2 debug kernel_rx_buf_size lvs_sync_daemon_interface",
            ),
        ],
    ),
    (
        "virtual_server",
        &[
            ("Balancing", "ip_family protocol lb_* lvs_* ops persistence_* (scheduler* hashed flag-* sh-* mh-* weight"),
            ("Checks", "delay_loop retry delay_before_retry warmup connect_timeout alpha ha_suspend virtualhost"),
            ("Quorum", "quorum* hysteresis omega sorry_* panic_threshold"),
            ("Servers", "real_server inhibit_on_failure slow_start drain_time"),
            ("Names and mail", "snmp_name smtp_alert"),
        ],
    ),
];

fn is_of(word: &str, names: &str) -> bool {
    names.split(' ').any(|n| match (n.strip_prefix('*'), n.strip_suffix('*')) {
        (Some(_), Some(_)) => word.contains(n.trim_matches('*')),
        (Some(end), _) => word.ends_with(end),
        (_, Some(start)) => word.starts_with(start),
        _ => word == n,
    })
}

/// Keywords of a section as a reader looks for them: by subject in long sections, and by name.
fn parts(section: &str) -> Vec<(&'static str, Vec<Keyword>)> {
    let mut all: Vec<Keyword> = keywords().filter(|k| k.section == section).collect();
    all.sort_by_key(|k| k.word.trim_matches(['(', ')']).to_lowercase());
    let Some((_, subjects)) = SUBJECTS.iter().find(|(name, _)| *name == section) else { return vec![("", all)] };
    let mut parts: Vec<(&str, Vec<Keyword>)> = subjects.iter().map(|(title, _)| (*title, Vec::new())).collect();
    for k in all {
        let at = subjects.iter().position(|(_, names)| is_of(k.word, names));
        parts[at.unwrap_or_else(|| panic!("{section} > {} has no subject: give it one in SUBJECTS", k.word))].1.push(k);
    }
    parts
}

fn page(frame: &str) -> String {
    let (head, tail) = frame.split_once(MARK).expect("mark");
    let mut page = head.to_string();
    let mut sections: Vec<&str> = Vec::new();
    for k in keywords() {
        if !sections.contains(&k.section) {
            sections.push(k.section);
        }
    }
    for section in sections {
        let title = if section == "(root)" { "outside blocks" } else { section };
        let _ = writeln!(page, ".Ss {}", one(title));
        for (subject, words) in parts(section) {
            if !subject.is_empty() {
                let _ = writeln!(page, ".Pp\n.Em {}", one(subject));
            }
            page.push_str(".Bl -tag -width Ds\n");
            words.iter().for_each(|k| entry(k, &mut page));
            page.push_str(".El\n");
        }
    }
    page + tail
}

#[test]
fn the_manual_has_every_keyword_with_its_range_and_default() {
    let frame = std::fs::read_to_string(folder().join("steadfast.conf.in")).expect("frame");
    let (path, page) = (folder().join("steadfast.conf.5"), page(&frame));
    if std::env::var_os("STEADFAST_WRITE").is_some() {
        std::fs::write(&path, page).expect("page");
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "stale: STEADFAST_WRITE=1 cargo test -p steadfast-config --test manual");
}

#[test]
fn long_lists_of_the_manual_are_in_parts_with_headings() {
    for (section, subjects) in SUBJECTS {
        for (title, words) in parts(section) {
            assert!(!words.is_empty(), "{section}: {title}");
            assert!(words.is_sorted_by_key(|k| k.word.trim_matches(['(', ')']).to_lowercase()), "{section}: {title}");
        }
        // No name stands there for nothing.
        for name in subjects.iter().flat_map(|(_, names)| names.split(' ')) {
            assert!(keywords().any(|k| k.section == *section && is_of(k.word, name)), "{section}: {name}");
        }
    }
    let long = |section: &str| keywords().filter(|k| k.section == section).count() > 40;
    let unparted = |k: &Keyword| long(k.section) && SUBJECTS.iter().all(|(s, _)| *s != k.section);
    let unparted: std::collections::BTreeSet<_> = keywords().filter(unparted).map(|k| k.section).collect();
    // Words of a line are looked up by name.
    assert_eq!(unparted.into_iter().collect::<Vec<_>>(), ["route line (virtual_routes, static_routes)"]);
}

#[test]
fn groff_has_nothing_to_say_of_the_manuals() {
    let mut seen = 0;
    for file in std::fs::read_dir(folder()).expect("folder").flatten().map(|e| e.path()) {
        if file.extension().is_none_or(|e| e == "in") {
            continue;
        }
        let run = Command::new("groff").args(["-ww", "-mdoc", "-Tutf8"]).arg(&file).stdin(Stdio::null()).output();
        let Ok(out) = run else {
            println!("SKIPPED: warnings of the manual pages: groff is not installed");
            return;
        };
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && said.is_empty(), "{}: {said}", file.display());
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
}

/// Blocks of configuration within a page, those of each piece of it together: a line that begins with a keyword and opens a brace,
/// to its end. Who stands within another section in a file gets one around.
fn blocks(piece: &str) -> String {
    let roots: Vec<&str> = keywords().filter(|k| k.section == "(root)").map(|k| k.word).collect();
    let (mut text, mut block, mut depth) = (String::new(), String::new(), 0usize);
    for line in piece.lines() {
        let bare = line.split('#').next().unwrap_or_default().trim();
        let first = bare.split(' ').next().unwrap_or_default();
        let is_begin = line.starts_with("  ") && bare.contains('{') && keywords().any(|k| k.word == first);
        if depth == 0 && !is_begin {
            continue;
        }
        depth = (depth + bare.matches('{').count()).saturating_sub(bare.matches('}').count());
        block.push_str(line);
        block.push('\n');
        if depth == 0 {
            let first = block.split_whitespace().next().unwrap_or_default();
            text.push_str(&if roots.contains(&first) { block.clone() } else { instance(&block) });
            block.clear();
        }
    }
    text
}

/// Lines of a virtual router.
fn instance(lines: &str) -> String {
    let base = "interface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n192.0.2.1/24\n}\n";
    format!("vrrp_instance V {{\n{base}{lines}}}\n")
}

#[test]
fn samples_check_clean() {
    let read = |path: PathBuf| std::fs::read_to_string(path).expect("page");
    let frame = read(folder().join("steadfast.conf.in"));
    let samples = frame.split(".Bd -literal -offset indent\n").skip(1);
    let of_manual = samples.filter_map(|s| s.split_once(".Ed\n")).map(|(sample, _)| match sample {
        s if s.starts_with('@') => instance(s),
        s if s.starts_with('~') => instance(&format!("virtual_ipaddress_excluded {{\n{s}\n}}\n")),
        s => s.to_string(),
    });
    let mut samples: Vec<(PathBuf, String)> = of_manual.map(|s| (folder().join("steadfast.conf.in"), s)).collect();
    let docs = folder().join("..");
    let pages = std::fs::read_dir(&docs).expect("docs").flatten().map(|e| e.path());
    let pages = pages.chain([docs.join("../README.md")]).filter(|p| p.extension().is_some_and(|e| e == "md"));
    for path in pages.filter(|p| !p.ends_with("architecture.md")) {
        // What is fenced counts as indented. Headings part the pieces of a page.
        let mut fenced = false;
        let lines: Vec<String> = read(path.clone())
            .lines()
            .map(|l| {
                fenced ^= l.starts_with("```");
                if fenced { format!("    {l}") } else { l.to_string() }
            })
            .collect();
        let page = lines.join("\n");
        samples.extend(page.split("\n#").map(|piece| (path.clone(), blocks(piece))).filter(|(_, s)| !s.is_empty()));
    }
    let files: std::collections::BTreeSet<_> = samples.iter().filter_map(|(path, _)| path.file_name()).collect();
    assert!(files.len() >= 7 && samples.len() >= 9, "{} in {files:?}", samples.len());
    let (users, options) =
        ([("nobody".to_string(), (65534, 65534))].into(), Options { config_id: "lb1".into(), ..Default::default() });
    let host = FakeHost { all_interfaces: true, all_scripts: true, all_keys: true, users, ..FakeHost::default() };
    for (path, text) in samples {
        let outcome = load_text(&text, &options, &host);
        let faults = render_compat(&outcome.diagnostics, &outcome.files);
        assert!(faults.is_empty(), "{}: {faults}\n{text}", path.display());
    }
}
