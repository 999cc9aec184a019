//! A master, a backup, a client that asks a thousand times a second, and one fault after another: what the client lost, and how
//! often the address changed hands. The same for keepalived, where it is installed.
#![forbid(unsafe_code)]

mod list;

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use steadfast_test_cluster::client::{Asked, Client};
use steadfast_test_cluster::daemon::keepalived;
use steadfast_test_cluster::wire::{Seen, adverts};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually};

const VIP: &str = "10.77.0.100";

/// The stage of one fault.
struct Stage {
    lan: Lan,
    kind: Kind,
    a: Option<Daemon>,
    b: Option<Daemon>,
    /// Lines for the instance, lines for global_defs.
    extra: (String, String),
    /// Keeps the other ends of pipes open, and what must be taken down at the end.
    keep: Vec<Box<dyn std::any::Any>>,
}

impl Stage {
    fn new(kind: Kind) -> Stage {
        Stage { lan: Lan::new(3), kind, a: None, b: None, extra: Default::default(), keep: Vec::new() }
    }

    fn conf(&self, priority: u8) -> String {
        format!(
            "global_defs {{\n router_id R{priority}\n script_user root\n {}\n}}\nvrrp_instance VI {{\n interface eth0\n \
             virtual_router_id 51\n priority {priority}\n advert_int 1\n {}\n virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n",
            self.extra.1, self.extra.0
        )
        .replace("PRIORITY", &priority.to_string())
    }

    fn host(&self, n: usize) -> &Host {
        &self.lan.hosts[n]
    }

    /// Starts host A (0) or B (1).
    fn start(&mut self, n: usize) {
        let folder = tempfile::tempdir().expect("folder");
        let log = std::fs::File::create(folder.path().join("log")).expect("log");
        self.start_in(n, folder, Stdio::from(log));
    }

    fn start_in(&mut self, n: usize, folder: tempfile::TempDir, log: Stdio) {
        if self.kind == Kind::Steadfast {
            // A copy of its own, so that an upgrade has something to put in its place.
            std::fs::copy(steadfast_test_cluster::daemon::steadfastd(), folder.path().join("steadfastd"))
                .expect("copy");
        }
        let text = self.conf([200, 100][n]);
        let daemon = Daemon::start_in(&self.lan.hosts[n], self.kind, &text, folder, log);
        *[&mut self.a, &mut self.b][n] = Some(daemon);
    }

    fn a(&self) -> &Daemon {
        self.a.as_ref().expect("A runs")
    }

    fn wait(&self, seconds: f64) {
        std::thread::sleep(Duration::from_secs_f64(seconds));
    }
}

/// One fault.
struct Fault {
    name: &'static str,
    /// Before the daemons start.
    prepare: fn(&mut Stage),
    /// Starts the daemons; most faults take the usual way.
    start: fn(&mut Stage),
    /// What happens, with the time that it is watched.
    happen: fn(&mut Stage),
    /// Only with keywords that keepalived does not have.
    ours: bool,
    /// Nothing of ours is left that could mend it.
    hopeless: bool,
}

/// What came of it.
struct Outcome {
    asked: Asked,
    takeovers: usize,
    remark: &'static str,
}

fn usual_start(stage: &mut Stage) {
    stage.start(0);
    stage.start(1);
}

fn watch(lan: &Lan) -> (Arc<AtomicBool>, JoinHandle<Vec<Seen>>) {
    let ended = Arc::new(AtomicBool::new(false));
    let told = ended.clone();
    let h = &lan.hosts[2];
    let index = h.show("-o link show eth0").split(':').next().and_then(|n| n.trim().parse().ok()).expect("index");
    (ended, h.inside(move || adverts(index, 51, Duration::from_secs(300), || told.load(Ordering::Relaxed))))
}

fn run(fault: &Fault, kind: Kind) -> Outcome {
    let mut stage = Stage::new(kind);
    (fault.prepare)(&mut stage);
    (fault.start)(&mut stage);
    let served = eventually(Duration::from_secs(20), || stage.host(0).has(VIP));
    if !served {
        return Outcome { asked: Asked::default(), takeovers: 0, remark: "never serves" };
    }
    stage.wait(1.2);
    let (ended, seen) = watch(&stage.lan);
    let client = Client::start(stage.host(2), VIP.parse().unwrap_or(Ipv4Addr::LOCALHOST));
    stage.wait(1.5);
    (fault.happen)(&mut stage);
    let asked = client.end();
    ended.store(true, Ordering::Relaxed);
    let seen = seen.join().unwrap_or_default();
    // A loser's last word, right before the winner speaks again, is no takeover.
    // What the forger sends from the client's host is none, either.
    let spoken: Vec<&Seen> = seen.iter().filter(|s| s.priority != 0 && s.from.octets()[3] < 3).collect();
    let word = |i: usize| {
        let next = spoken.get(i + 1)?;
        Some(next.from != spoken[i].from && next.at - spoken[i].at < Duration::from_millis(50))
    };
    let senders: Vec<Ipv4Addr> = (0..spoken.len()).filter(|i| word(*i) != Some(true)).map(|i| spoken[i].from).collect();
    let takeovers = senders.windows(2).filter(|w| w[0] != w[1]).count();
    let holders = (0..2).filter(|n| stage.host(*n).has(VIP)).count();
    let remark = match holders {
        0 => "nobody holds the address",
        1 => "",
        _ => "both hold the address",
    };
    Outcome { asked, takeovers, remark }
}

fn words(o: &Outcome) -> String {
    if o.asked.sent == 0 {
        return format!("{:<32}", o.remark);
    }
    let lost = match o.asked.lost {
        0 => "nothing".to_string(),
        n => format!("{n} ({:.0} ms)", o.asked.longest_gap.as_secs_f64() * 1000.0),
    };
    let text = format!(
        "{lost}, {} {}",
        o.takeovers,
        if o.remark.is_empty() { "".into() } else { format!("**{}**", o.remark) }
    );
    format!("{:<32}", text.trim_end())
}

fn main() {
    if let Some(why) = steadfast_test_cluster::obstacle() {
        eprintln!("The faults cannot be tried here: {why}");
        std::process::exit(1);
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "-h" || a == "--help") {
        println!(
            "faults [--ours] [WORDS...]   tries each fault whose name has all of the words; --ours leaves keepalived out"
        );
        return;
    }
    let ours = arguments.iter().any(|a| a == "--ours");
    let wanted: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let faults = list::faults().into_iter().filter(|f| wanted.iter().all(|w| f.name.contains(w.as_str())));
    let peer = keepalived().filter(|_| !ours);
    println!(
        "Adverts each second, priorities 200 and 100, a client that asks 1000 times a second. Each cell: questions lost"
    );
    println!("(longest time without an answer), how often the sender of adverts changed, what was wrong at the end.\n");
    println!("| {:<58} | {:<32} | {:<32} |", "fault at the master", "steadfast", "keepalived");
    println!("|{:-<60}|{:-<34}|{:-<34}|", "", "", "");
    let mut wrong = 0;
    for fault in faults {
        let o = run(&fault, Kind::Steadfast);
        wrong += usize::from(!o.remark.is_empty() && !fault.hopeless);
        let theirs =
            if peer.is_some() && !fault.ours { words(&run(&fault, Kind::Keepalived)) } else { format!("{:<32}", "-") };
        println!("| {:<58} | {} | {theirs} |", fault.name, words(&o));
        let _ = std::io::stdout().flush();
    }
    std::process::exit(i32::from(wrong > 0));
}
