//! steadfastd: virtual addresses by VRRP, watched by a parent that cannot be confused by what it does not read.
#![forbid(unsafe_code)]

mod bfd;
mod checker;
mod child;
mod cli;
mod dumps;
mod events;
mod heard;
#[cfg(test)]
mod keywords;
mod loader;
mod mail;
mod observer;
mod parent;
mod permits;
mod places;
mod programs;
mod record;
mod rehearsal;
mod repair;
mod reread;
mod runner;
mod vrrp;
mod witness;

fn main() {
    steadfast_sys::signals::faults_are_deadly();
    let arguments: Vec<String> = std::env::args_os().map(|a| a.to_string_lossy().into_owned()).collect();
    // Roles are started by way of /proc/self/exe; without this, ps and killall would know them as "exe".
    let own = arguments.first().and_then(|a| a.rsplit('/').next()).filter(|n| !n.is_empty()).unwrap_or("steadfastd");
    steadfast_sys::schedule::name(own);
    if arguments.get(1).is_some_and(|a| a == "-T" || a == "--genhash") {
        std::process::exit(genhash::run(arguments.into_iter().skip(1)));
    }
    std::process::exit(match cli::parse(&arguments) {
        cli::Request::Print(text, status) => {
            eprint!("{text}");
            status
        }
        cli::Request::Number(number) => {
            println!("{number}");
            0
        }
        cli::Request::Test(options) => loader::test(&options),
        cli::Request::Role(role, options) => match role.as_str() {
            "loader" => loader::run(&options),
            "vrrp" => vrrp::run(&options),
            "checker" => checker::run(&options),
            "runner" => runner::run(&options),
            "rehearsal" => rehearsal::run(&options),
            "witness" => witness::run(&options),
            "bfd" => bfd::run(&options),
            #[cfg(feature = "dbus")]
            "dbus" => observer::dbus::run(&options),
            #[cfg(feature = "snmp")]
            "snmp" => observer::snmp::run(&options),
            _ => 1,
        },
        cli::Request::Daemon(options) => parent::run(options),
    });
}
