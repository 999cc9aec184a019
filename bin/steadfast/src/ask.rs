//! Questions to the running daemon.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use steadfast_status::live::Whole;

/// A reload of ten thousand instances takes a second; a hung daemon is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The daemon's socket: the one that was named, else the first that is there.
fn path(named: Option<&Path>) -> PathBuf {
    if let Some(p) = named {
        return p.to_path_buf();
    }
    let usual = ["/run/keepalived.control", "/run/keepalived/keepalived.control"].map(PathBuf::from);
    let [first, ..] = usual.clone();
    usual.into_iter().find(|p| p.exists()).unwrap_or(first)
}

/// One question, words with tabs between them, and the whole answer.
pub fn ask(socket: Option<&Path>, words: &[&str]) -> Result<Vec<u8>, String> {
    let path = path(socket);
    let problem = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
            format!("no daemon answers at {}: is steadfastd running? (--socket names another place)", path.display())
        }
        std::io::ErrorKind::PermissionDenied => format!("{}: only root may ask", path.display()),
        _ => format!("{}: {e}", path.display()),
    };
    let mut stream = UnixStream::connect(&path).map_err(problem)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(problem)?;
    stream.write_all(format!("{}\n", words.join("\t")).as_bytes()).map_err(problem)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(problem)?;
    if answer.is_empty() {
        return Err(format!("{}: no answer", path.display()));
    }
    Ok(answer)
}

/// Everything that the daemon says of itself, also as it said it.
pub fn status(socket: Option<&Path>) -> Result<(Whole, String), String> {
    let text = String::from_utf8_lossy(&ask(socket, &["status"])?).into_owned();
    let whole = serde_json::from_str(&text).map_err(|e| format!("the daemon's answer is of another version: {e}"))?;
    Ok((whole, text))
}

/// A request that is answered by `ok` or by a reason.
pub fn order(socket: Option<&Path>, words: &[&str]) -> Result<(), String> {
    let answer = ask(socket, words)?;
    let text = String::from_utf8_lossy(&answer).trim().to_string();
    if text == "ok" { Ok(()) } else { Err(text.strip_prefix("failed: ").unwrap_or(&text).to_string()) }
}
