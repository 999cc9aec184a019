//! The servers and clients of the lab. A server answers a GET with its name, and any other line with its name, too, and goes on.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Serves for ever.
pub fn serve(name: &str, address: &str) {
    let listener = TcpListener::bind(address).expect("bind");
    for stream in listener.incoming().flatten() {
        let name = name.to_string();
        std::thread::spawn(move || {
            let Ok(mut answers) = stream.try_clone() else { return };
            let mut reader = BufReader::new(stream);
            let mut line = String::new();
            let mut get = false;
            while reader.read_line(&mut line).is_ok_and(|n| n > 0) {
                get |= line.starts_with("GET ");
                if get && line.trim().is_empty() {
                    let _ = write!(answers, "HTTP/1.0 200 OK\r\n\r\n{name}\n");
                    return;
                }
                if !get && writeln!(answers, "{name}").is_err() {
                    return;
                }
                line.clear();
            }
        });
    }
}

/// Asks once, over a connection of its own: the last line of the answer, which is the server's name.
fn ask_once(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(3))?;
    stream.set_read_timeout(Some(Duration::from_secs(3)))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.trim().lines().last().unwrap_or_default().to_string())
}

/// Asks so many times, a connection each: which servers answered, and how often.
pub fn ask(address: &str, times: u32) -> String {
    let address: SocketAddr = address.parse().expect("address");
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..times {
        *counts.entry(ask_once(address).unwrap_or_else(|_| "nobody".into())).or_default() += 1;
    }
    counts.iter().map(|(name, n)| format!("{name}={n}")).collect::<Vec<_>>().join(" ")
}

/// Knocks at a port where nobody listens until the file is gone: the host's refusal is the answer. How often, and how often none came
/// within a fifth of a second.
pub fn knock(address: &str, file: &str) -> String {
    let address: SocketAddr = address.parse().expect("address");
    let (mut asked, mut lost) = (0u32, 0u32);
    while std::path::Path::new(file).exists() {
        let answer = TcpStream::connect_timeout(&address, Duration::from_millis(200));
        let refused = |e: &std::io::Error| e.kind() == std::io::ErrorKind::ConnectionRefused;
        asked += 1;
        lost += u32::from(!answer.as_ref().is_err_and(refused));
        std::thread::sleep(Duration::from_millis(5));
    }
    format!("{asked} {lost}")
}

/// Asks again and again until the file is gone, a connection each: when each question began, in milliseconds of the wall clock, and who
/// answered.
pub fn pour(address: &str, file: &str) {
    let address: SocketAddr = address.parse().expect("address");
    while std::path::Path::new(file).exists() {
        let begun = wall_clock();
        println!("{begun} {}", ask_once(address).unwrap_or_else(|_| "nobody".into()));
    }
}

/// Milliseconds of the wall clock.
pub fn wall_clock() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_millis())
}

/// Keeps one connection busy for some time: `kept`, or how it ended.
pub fn hold(address: &str, during: Duration) -> String {
    let work = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address.parse().expect("address"), Duration::from_secs(3))?;
        stream.set_read_timeout(Some(Duration::from_secs(3)))?;
        let mut answers = BufReader::new(stream.try_clone()?);
        let end = Instant::now() + during;
        let mut names = BTreeMap::new();
        while Instant::now() < end {
            writeln!(stream, "still there?")?;
            let mut line = String::new();
            if answers.read_line(&mut line)? == 0 {
                return Ok("closed".into());
            }
            *names.entry(line.trim().to_string()).or_insert(0u32) += 1;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(if names.len() == 1 { "kept".into() } else { format!("{names:?}") })
    };
    work().unwrap_or_else(|e| e.to_string())
}
