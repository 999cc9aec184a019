//! The faults.

use super::*;
use nix::sys::signal::Signal;
use steadfast_test_cluster::daemon::send;
use steadfast_test_cluster::wire::{advert, forge};

fn nothing(_: &mut Stage) {}

fn fault(name: &'static str, happen: fn(&mut Stage)) -> Fault {
    Fault { name, prepare: nothing, start: usual_start, happen, ours: false, hopeless: false }
}

/// Sends a signal to a process of A's that wrote this pid file.
fn hit(stage: &Stage, file: &str, signal: Signal) {
    if let Some(pid) = stage.a().pid_of(file) {
        send(pid, signal);
    }
}

fn kill_all(stage: &Stage) {
    // The parent first: it would start the child again.
    hit(stage, "pid", Signal::SIGKILL);
    hit(stage, "vrrp.pid", Signal::SIGKILL);
}

/// A pipe that nobody reads, full but for nothing.
fn deaf_pipe(stage: &mut Stage) -> Stdio {
    let (reader, writer) = std::io::pipe().expect("pipe");
    stage.keep.push(Box::new(reader));
    Stdio::from(writer)
}

/// Writes so many words into the daemon's log that a pipe of 64 KiB is full: a dump of its data and wrong packets do it.
fn fill_log(stage: &Stage) {
    let wrong = (0..4u8).map(|n| (1 + u32::from(n), advert(Ipv4Addr::new(10, 77, 0, 3), 50 + n))).collect();
    let forger = stage
        .host(2)
        .inside(move || forge(wrong, steadfast_test_cluster::wire::GROUP, 500, u64::MAX, Duration::from_secs(4)));
    let _ = forger.join();
    for _ in 0..20 {
        hit(stage, "pid", Signal::SIGHUP);
        stage.wait(0.1);
    }
}

/// All faults, in the order of the table.
pub fn faults() -> Vec<Fault> {
    vec![
        fault("orderly stop", |s| {
            s.a.take().expect("A").stop();
            s.wait(5.0);
        }),
        fault("power off", |s| {
            s.host(0).cable(false);
            s.a.take().expect("A").crash();
            s.host(0).ip("addr flush dev eth0");
            s.wait(6.0);
        }),
        fault("restart: stop, then start", |s| {
            s.a.take().expect("A").stop();
            s.start(0);
            s.wait(8.0);
        }),
        fault("upgrade to a new program", |s| {
            if s.kind == Kind::Steadfast {
                let new = s.a().path("new");
                std::fs::copy(s.a().path("steadfastd"), &new).expect("copy");
                std::fs::rename(new, s.a().path("steadfastd")).expect("rename");
                // What `systemctl reload` sends.
                hit(s, "pid", Signal::SIGHUP);
            } else {
                s.a.take().expect("A").stop();
                s.start(0);
            }
            s.wait(8.0);
        }),
        fault("kill -9 of the VRRP process", |s| {
            hit(s, "vrrp.pid", Signal::SIGKILL);
            s.wait(8.0);
        }),
        fault("kill -9 of the VRRP process three times, a second apart", |s| {
            for _ in 0..3 {
                hit(s, "vrrp.pid", Signal::SIGKILL);
                s.wait(1.0);
            }
            s.wait(12.0);
        }),
        fault("kill -9 of the parent", |s| {
            hit(s, "pid", Signal::SIGKILL);
            s.wait(6.0);
        }),
        Fault {
            hopeless: true,
            ..fault("kill -9 of all processes, no restart", |s| {
                kill_all(s);
                s.wait(6.0);
            })
        },
        Fault {
            ours: true,
            prepare: |s| s.extra.1 = "vrrp_address_lease 3".into(),
            ..fault("the same, with vrrp_address_lease 3", |s| {
                kill_all(s);
                s.wait(8.0);
            })
        },
        fault("kill -9 of all processes, started again after 5 s", |s| {
            kill_all(s);
            s.wait(5.0);
            s.a = None;
            s.start(0);
            s.wait(8.0);
        }),
        fault("the VRRP process hangs (SIGSTOP, for good)", |s| {
            hit(s, "vrrp.pid", Signal::SIGSTOP);
            s.wait(14.0);
        }),
        fault("all processes are frozen for 8 s", |s| {
            let all = ["pid", "vrrp.pid"];
            for p in all {
                hit(s, p, Signal::SIGSTOP);
            }
            s.wait(8.0);
            for p in all {
                hit(s, p, Signal::SIGCONT);
            }
            s.wait(8.0);
        }),
        fault("five reloads of the same file", |s| {
            for _ in 0..5 {
                hit(s, "pid", Signal::SIGHUP);
                s.wait(0.7);
            }
            s.wait(3.0);
        }),
        fault("reload that adds an address (the backup 5 s later)", |s| {
            let more =
                |p: u8, s: &Stage| s.conf(p).replace("virtual_ipaddress {\n", "virtual_ipaddress {\n 10.77.0.101/24\n");
            s.a().reload(&more(200, s));
            s.wait(5.0);
            s.b.as_ref().expect("B").reload(&more(100, s));
            s.wait(5.0);
        }),
        fault("reload of a broken file", |s| {
            let broken = s.conf(200).replace("virtual_router_id 51", "virtual_router_id");
            s.a().reload(&broken);
            s.wait(8.0);
        }),
        Fault {
            name: "a log pipe that nobody reads is full",
            ours: false,
            hopeless: false,
            prepare: nothing,
            start: |s| {
                let log = deaf_pipe(s);
                s.start_in(0, tempfile::tempdir().expect("folder"), log);
                s.start(1);
            },
            happen: |s| {
                fill_log(s);
                hit(s, "pid", Signal::SIGUSR1);
                s.wait(6.0);
            },
        },
        Fault {
            name: "the notify FIFO is full; then the address moves and returns",
            ours: false,
            hopeless: false,
            prepare: |s| {
                let folder = tempfile::tempdir().expect("folder");
                let path = folder.path().join("fifo");
                nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).expect("fifo");
                let mut end = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("open");
                // In a thread: the last write blocks for ever, which is the point.
                s.extra.1 = format!("vrrp_notify_fifo {}", path.display());
                let mut other = end.try_clone().expect("clone");
                let _ = nix::fcntl::fcntl(&other, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK));
                while other.write(&[b'x'; 512]).is_ok_and(|n| n == 512) {}
                let _ = end.flush();
                s.keep.push(Box::new((folder, end, other)));
            },
            start: usual_start,
            happen: |s| {
                s.a.take().expect("A").stop();
                s.wait(3.0);
                s.start(0);
                s.wait(8.0);
            },
        },
        Fault {
            name: "the disk is full (log, pid files, dumps)",
            ours: false,
            hopeless: false,
            prepare: nothing,
            start: |s| {
                let folder = tempfile::tempdir().expect("folder");
                let mounted = std::process::Command::new("mount")
                    .args(["-t", "tmpfs", "-o", "size=64m", "none"])
                    .arg(folder.path())
                    .status()
                    .is_ok_and(|s| s.success());
                if mounted {
                    s.keep.push(Box::new(Mounted(folder.path().into())));
                }
                let log = std::fs::File::create(folder.path().join("log")).expect("log");
                s.start_in(0, folder, Stdio::from(log));
                s.start(1);
            },
            happen: |s| {
                let _ = std::fs::write(s.a().path("ballast"), vec![0u8; 80 << 20]);
                hit(s, "pid", Signal::SIGUSR1);
                hit(s, "pid", Signal::SIGHUP);
                s.wait(3.0);
                hit(s, "vrrp.pid", Signal::SIGKILL);
                s.wait(8.0);
            },
        },
        fault("somebody deletes the address", |s| {
            s.host(0).ip(&format!("addr del {VIP}/24 dev eth0"));
            s.wait(6.0);
        }),
        fault("the same, under 40,000 route changes", |s| {
            let add: String = (0..20_000u32)
                .map(|n| format!("route add 10.{}.{}.{}/32 dev eth0\n", 100 + n / 65536, n / 256 % 256, n % 256))
                .collect();
            let text = add.clone() + &format!("addr del {VIP}/24 dev eth0\n") + &add.replace("route add", "route del");
            let file = s.a().path("batch");
            std::fs::write(&file, text).expect("batch");
            let _ = s.host(0).command("ip").arg("-force").arg("-batch").arg(file).stderr(Stdio::null()).status();
            s.wait(8.0);
        }),
        fault("the interface goes down for 0.2 s", |s| {
            s.host(0).ip("link set eth0 down");
            s.wait(0.2);
            s.host(0).ip("link set eth0 up");
            s.wait(8.0);
        }),
        fault("the interface is removed and made again", |s| {
            s.host(0).ip("link del eth0");
            s.wait(1.0);
            s.host(0).plug();
            s.wait(10.0);
        }),
        fault("wrong packets, 20 a second, for 8 s", |s| {
            let wrong = vec![(9, advert(Ipv4Addr::new(10, 77, 0, 3), 250))];
            let forger = s.host(2).inside(move || {
                forge(wrong, steadfast_test_cluster::wire::GROUP, 20, u64::MAX, Duration::from_secs(8))
            });
            let _ = forger.join();
            s.wait(5.0);
        }),
        Fault {
            name: "a track script fails for 5 s (weight -150)",
            ours: false,
            hopeless: false,
            prepare: |s| {
                let folder = tempfile::tempdir().expect("folder");
                let down = folder.path().join("down");
                s.extra = ("track_script {\n chk\n }".into(), String::new());
                s.extra.1 = format!(
                    "}}\nvrrp_script chk {{\n script \"/usr/bin/test ! -e {}.PRIORITY\"\n interval 1\n weight -150\n fall 1\n rise 1",
                    down.display()
                );
                s.keep.push(Box::new(folder));
            },
            start: usual_start,
            happen: |s| {
                let path = s.extra.1.split("! -e ").nth(1).and_then(|t| t.split('"').next());
                let down = path.expect("path").replace("PRIORITY", "200");
                std::fs::write(&down, "").expect("file");
                s.wait(5.0);
                let _ = std::fs::remove_file(&down);
                s.wait(8.0);
            },
        },
    ]
}

/// Unmounts at the end.
struct Mounted(std::path::PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
