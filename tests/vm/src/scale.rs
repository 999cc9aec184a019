//! How much slower the guest is than its host, by work that both can do: without acceleration every instruction of the guest is
//! translated, its kernel's as well as the programs'.

use crate::lab::service;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Hands the host's [`Pace`] to the guest.
pub const VARIABLE: &str = "STEADFAST_HOST_PACE";
/// Each work is done so often, the best time counts.
const TRIES: usize = 5;

/// A file of 100 virtual servers with 100 real servers each.
pub fn site() -> String {
    let servers =
        |v: u32| (1..=100).map(|r| format!(" real_server 10.9.{v}.{r} 80 {{\n weight 1\n }}\n")).collect::<String>();
    (0..100).map(|v| service(&format!("10.8.{v}.1 80"), "lb_kind NAT\n protocol TCP", &servers(v))).collect()
}

/// How long it takes, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// `ip -batch` puts 10,000 routes into a namespace: the kernel's work, asked for by netlink.
    pub routes: f64,
    /// `steadfastd -t` reads [`site`]: a program's own work.
    pub reading: f64,
}

/// The best time of a command line; `None` when it fails.
fn timed(command: &mut Command) -> Option<f64> {
    let begun = Instant::now();
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?;
    done.success().then(|| begun.elapsed().as_secs_f64())
}

impl Pace {
    /// Measures the machine that this runs on; `None` where no namespace can be made.
    pub fn measure(daemon: &Path, folder: &Path) -> Option<Pace> {
        let (conf, batch) = (folder.join("site.conf"), folder.join("routes"));
        std::fs::write(&conf, site()).ok()?;
        let routes: String =
            (0..10_000).map(|n| format!("route add blackhole 10.0.{}.{}\n", n / 250, n % 250)).collect();
        std::fs::write(&batch, routes).ok()?;
        let (mut pace, name) = (Pace { routes: f64::MAX, reading: f64::MAX }, format!("sfpace{}", std::process::id()));
        for _ in 0..TRIES {
            timed(Command::new("ip").args(["netns", "add", &name]))?;
            let taken = timed(Command::new("ip").args(["-n", &name, "-batch"]).arg(&batch));
            timed(Command::new("ip").args(["netns", "del", &name]))?;
            pace.routes = pace.routes.min(taken?);
            pace.reading = pace.reading.min(timed(Command::new(daemon).args(["-t", "-f"]).arg(&conf))?);
        }
        Some(pace)
    }

    /// For [`VARIABLE`].
    pub fn handed(self) -> String {
        format!("{}/{}", self.routes, self.reading)
    }

    /// What was handed.
    pub fn of_the_host() -> Option<Pace> {
        let text = std::env::var(VARIABLE).ok()?;
        let (routes, reading) = text.split_once('/')?;
        Some(Pace { routes: routes.parse().ok()?, reading: reading.parse().ok()? })
    }
}
