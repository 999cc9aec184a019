//! Where a process is that does not answer: what it waits for in the kernel, and where in its program it is.

use crate::{files, spawn};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Looks at one that runs.
const SAMPLES: usize = 3;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(3);
/// For one that runs to stop.
const PATIENCE: Duration = Duration::from_millis(20);
/// Words of the stack that are looked at, and callers that are named at most.
const WORDS: usize = 512;
const CALLERS: usize = 6;

/// Where it is, in the kernel and in its program. One that runs is stopped for the looks at it, and runs on afterwards.
pub fn trace(pid: i32) -> String {
    let at = files::whereabouts(pid);
    let mut looks: Vec<Look> = Vec::new();
    for n in 0..SAMPLES {
        if n > 0 {
            std::thread::sleep(PAUSE);
        }
        looks.extend(look(pid));
    }
    if !looks.iter().any(|l| l.ran) {
        looks.dedup();
    }
    let mut callers = String::new();
    let mut places = Vec::new();
    for l in looks {
        let more = if l.callers == callers { String::new() } else { format!(" (on its stack {})", l.callers) };
        places.push(l.place + &more);
        callers = l.callers;
    }
    if places.is_empty() {
        return format!("{at}, place in the program not readable");
    }
    format!("{at}, in the program at {}", places.join(", then "))
}

/// What was seen at one time.
#[derive(PartialEq, Eq)]
struct Look {
    place: String,
    callers: String,
    ran: bool,
}

fn read(pid: i32, name: &str) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default()
}

fn look(pid: i32) -> Option<Look> {
    let first = read(pid, "syscall");
    if first.trim() != "running" {
        return place(pid, &first, false);
    }
    spawn::signal(pid, libc::SIGSTOP);
    let until = Instant::now() + PATIENCE;
    let stopped = || read(pid, "stat").rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']));
    while !stopped() && Instant::now() < until {
        std::thread::sleep(Duration::from_micros(100));
    }
    let place = place(pid, &read(pid, "syscall"), true);
    spawn::signal(pid, libc::SIGCONT);
    place
}

/// What the kernel says of a process that does not run (`NUMBER ARGUMENTS SP PC`), by file and address in it.
fn place(pid: i32, syscall: &str, ran: bool) -> Option<Look> {
    let (stack, at) = registers(syscall)?;
    let maps = read(pid, "maps");
    let place = locate(&maps, at)?;
    // No frame is laid out for a reader: of the words of its stack those that point into its program are callers, or were.
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let program = program.to_string_lossy();
    let mut words = vec![0u8; WORDS * 8];
    let memory = std::fs::File::open(format!("/proc/{pid}/mem"));
    let got = memory.and_then(|m| m.read_at(&mut words, stack)).unwrap_or(0);
    let words = words.get(..got).unwrap_or_default().as_chunks::<8>().0.iter().map(|w| u64::from_ne_bytes(*w));
    let own =
        |word: u64| mapping(&maps, word).filter(|m| m.code && m.path == program).and_then(|_| locate(&maps, word));
    let mut callers: Vec<String> = words.filter_map(own).collect();
    callers.dedup();
    callers.truncate(CALLERS);
    Some(Look { place, callers: callers.join(" "), ran })
}

/// Stack pointer and program counter, which stand last.
fn registers(syscall: &str) -> Option<(u64, u64)> {
    let mut words = syscall.split_whitespace().rev();
    let mut word = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    let at = word()?;
    Some((word()?, at))
}

/// A line of /proc/PID/maps.
struct Mapping<'a> {
    start: u64,
    code: bool,
    path: &'a str,
}

fn mapping(maps: &str, address: u64) -> Option<Mapping<'_>> {
    maps.lines().find_map(|line| {
        let mut words = line.splitn(6, ' ');
        let (start, end) = words.next()?.split_once('-')?;
        let (start, end) = (u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?);
        let code = words.next()?.contains('x');
        let path = words.nth(3).unwrap_or("").trim();
        (start..end).contains(&address).then_some(Mapping { start, code, path })
    })
}

/// `FILE+0xADDRESS`, as `addr2line -e FILE 0xADDRESS` wants it: counted from where the file's beginning lies, which is address 0 of a
/// program that can lie anywhere, as ours, and of a library.
fn locate(maps: &str, address: u64) -> Option<String> {
    let m = mapping(maps, address)?;
    let name = m.path.rsplit_once('/').map_or(m.path, |(_, name)| name);
    let of_it = |line: &&str| !name.is_empty() && line.splitn(6, ' ').nth(5).map(str::trim) == Some(m.path);
    let first = maps.lines().find(of_it).and_then(|l| u64::from_str_radix(l.split_once('-')?.0, 16).ok());
    let name = if name.is_empty() { "memory without a file" } else { name };
    Some(format!("{name}+{:#x}", address - first.unwrap_or(m.start).min(address)))
}

#[cfg(test)]
mod tests;
