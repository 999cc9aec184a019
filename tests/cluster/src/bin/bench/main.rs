//! Figures of this daemon beside keepalived's, from one run. What is measured, and how, is in each section's function.
#![forbid(unsafe_code)]

mod bfd;
mod checks;
mod load;
mod table;
mod time;
mod vmac;

use steadfast_test_cluster::daemon::keepalived;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually};

const VIP: &str = "10.77.0.100";

/// One measured figure in words, and whether it meets its aim.
pub struct Figure {
    pub text: String,
    pub met: Option<bool>,
}

/// A row: what, and a figure for each daemon.
pub fn row(what: &str, kinds: &[Kind], mut measure: impl FnMut(Kind) -> Figure) {
    print!("{what:<44}");
    for kind in kinds {
        let f = measure(*kind);
        let mark = match (kind, f.met) {
            (Kind::Steadfast, Some(true)) => " [met]",
            (Kind::Steadfast, Some(false)) => " [MISSED]",
            _ => "",
        };
        print!(" | {:<34}", format!("{}{mark}", f.text));
        let _ = std::io::Write::flush(&mut std::io::stdout());
    }
    println!();
}

/// A daemon that is known to be master before anything is measured.
pub fn master(host: &Host, kind: Kind, configuration: &str) -> Daemon {
    let d = Daemon::start(host, kind, configuration);
    assert!(eventually(std::time::Duration::from_secs(30), || host.has(VIP)), "{kind:?} is not master:\n{}", d.log());
    d
}

fn first_line(command: &str, arguments: &[&str]) -> String {
    let out = std::process::Command::new(command).args(arguments).output();
    let text = out.map(|o| [o.stdout, o.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or("?").to_string()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(table::INSIDE) {
        return table::inside(&arguments.next().unwrap_or_default());
    }
    if let Some(why) = steadfast_test_cluster::obstacle() {
        eprintln!("The benchmarks cannot run here: {why}");
        std::process::exit(1);
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let quick = words.iter().any(|w| w == "--quick");
    let named: Vec<&str> = words.iter().map(String::as_str).filter(|w| !w.starts_with('-')).collect();
    let all = ["takeover", "reload", "crash", "load", "authenticated", "check", "checks", "table", "bfd", "vmac"];
    if let Some(w) = named.iter().find(|w| !all.contains(w)) {
        eprintln!("no section '{w}'; there are: {}", all.join(", "));
        std::process::exit(1);
    }
    let beside = keepalived().filter(|_| !words.iter().any(|w| w == "--alone"));
    let kinds: &[Kind] = if beside.is_some() { &[Kind::Steadfast, Kind::Keepalived] } else { &[Kind::Steadfast] };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{cores} cores, {}", first_line("uname", &["-sr"]));
    println!("steadfast: {}", steadfast_test_cluster::daemon::steadfastd().display());
    match beside {
        Some(p) => println!("keepalived: {}", first_line(&p.to_string_lossy(), &["--version"])),
        None => println!("keepalived is not installed, or left out (--alone): its column is missing"),
    }
    let titles: Vec<String> = kinds.iter().map(|k| format!(" | {:<34}", format!("{k:?}").to_lowercase())).collect();
    println!("\n{:<44}{}", "", titles.concat());
    for section in all.iter().filter(|s| named.is_empty() || named.contains(s)) {
        match *section {
            "takeover" => time::takeover(kinds, quick),
            "reload" => time::reload(kinds, quick),
            "crash" => time::crash(kinds, quick),
            "load" => load::load(kinds, quick),
            "authenticated" => load::authenticated(kinds, quick),
            "checks" => {
                checks::outcomes(kinds, quick);
                checks::checks(kinds, quick);
            }
            "table" => table::table(kinds, quick),
            "bfd" => {
                bfd::bfd(kinds, quick);
                bfd::failover(kinds, quick);
            }
            "vmac" => vmac::vmac(kinds, quick),
            _ => load::check(kinds, quick),
        }
    }
}

/// Two hosts and an observer.
pub fn lan() -> Lan {
    Lan::new(3)
}
