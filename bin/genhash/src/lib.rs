//! The digest of a page, for `digest` in HTTP_GET and SSL_GET. A page is fetched as the check fetches it: the same request, the same
//! end of the answer.
#![forbid(unsafe_code)]

use clap::Parser;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;
use steadfast_checkers::dialogue::{Failure, Http, Step};
use steadfast_checkers::{HttpCheck, HttpVersion, Target, Tls, Url};
use steadfast_net::tls;

#[derive(Parser)]
// -V is keepalived's for the virtual host.
#[command(name = "genhash", about = "Prints the MD5 digest of a page", disable_version_flag = true)]
struct Cli {
    /// Speak TLS; the certificate is not verified
    #[arg(short = 'S', long)]
    use_ssl: bool,
    /// Name in TLS (SNI); without it that of the virtual host
    #[arg(short = 'I', long, value_name = "NAME")]
    use_sni: Option<String>,
    /// Address of the server
    #[arg(short = 's', long)]
    server: IpAddr,
    /// Port of the server
    #[arg(short = 'p', long)]
    port: u16,
    /// Path of the page
    #[arg(short = 'u', long)]
    url: String,
    /// Name in the Host header
    #[arg(short = 'V', long, value_name = "NAME")]
    use_virtualhost: Option<String>,
    /// Mark of the packets (CAP_NET_ADMIN)
    #[arg(short = 'm', long, value_name = "MARK")]
    fwmark: Option<u32>,
    /// HTTP version: 1.0, 1.0c (with Connection: close) or 1.1
    #[arg(short = 'P', long, default_value = "1.0", value_parser = ["1.0", "1.0c", "1.1"], ignore_case = true)]
    protocol: String,
    /// Limit of the connect and of each silence, in seconds
    #[arg(short = 't', long, default_value_t = 5)]
    timeout: u64,
    /// Show the answer, head and body, too
    #[arg(short = 'v', long)]
    verbose: bool,
}

/// The largest answer that is taken.
const LARGEST: usize = 1 << 30;

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn connect(cli: &Cli, address: SocketAddr, limit: Duration) -> io::Result<Box<dyn Stream>> {
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    if let Some(mark) = cli.fwmark {
        socket.set_mark(mark)?;
    }
    socket.connect_timeout(&address.into(), limit)?;
    socket.set_read_timeout(Some(limit))?;
    socket.set_write_timeout(Some(limit))?;
    let stream = TcpStream::from(socket);
    if !cli.use_ssl {
        return Ok(Box::new(stream));
    }
    let name = cli.use_sni.clone().or_else(|| cli.use_virtualhost.clone());
    let settings =
        tls::Settings { server: cli.server, name, proven: None, authorities: None, client: None, http2: false };
    Ok(Box::new(tls::stream(&settings, stream)?))
}

/// What came, head and body, and the digest of the body as the check of the daemon takes it: up to where it takes it to be over.
fn answer(cli: &Cli) -> io::Result<(Vec<u8>, [u8; 16])> {
    let limit = Duration::from_secs(cli.timeout.max(1));
    let address = SocketAddr::new(cli.server, cli.port);
    let version = match cli.protocol.to_ascii_lowercase().as_str() {
        "1.1" => HttpVersion::V11,
        "1.0c" => HttpVersion::V10Close,
        _ => HttpVersion::V10,
    };
    // Which digest it has is the question; any status will do.
    let url = Url {
        path: cli.url.clone(),
        host: cli.use_virtualhost.clone(),
        digest: Some([0; 16]),
        status: vec![(0, u16::MAX)],
        ..Url::default()
    };
    // Which port is the usual one, and is left out of the Host header, depends on it.
    let tls = cli.use_ssl.then(|| Tls::default().into());
    let check = HttpCheck { target: Target::new(address), tls, version, urls: [url.clone()].into() };
    let mut exchange = Http::new(&check, &url, None);
    let mut stream = connect(cli, address, limit)?;
    stream.write_all(&exchange.request())?;
    let (mut bytes, mut part) = (Vec::new(), [0; 16384]);
    loop {
        let n = match stream.read(&mut part) {
            Ok(n) => n,
            // Many servers end TLS without close_notify.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && !bytes.is_empty() => 0,
            Err(e) => return Err(e),
        };
        let came = part.get(..n).unwrap_or_default();
        bytes.extend_from_slice(came);
        let step = if n == 0 { exchange.eof(true) } else { exchange.data(came) };
        let short = exchange.short().filter(|_| n == 0);
        if let Some((announced, came)) = short {
            eprintln!("note: the answer ends after {came} of {announced} bytes: this is the digest of what came");
        }
        match step {
            Step::Done(Err(Failure::Digest(digest)), _) => return Ok((bytes, digest)),
            Step::Done(Err(failure), _) => return Err(io::Error::other(failure.to_string())),
            // This is what an unlikely body has.
            Step::Done(Ok(_), _) => return Ok((bytes, [0; 16])),
            Step::More | Step::Send(_) => {}
        }
        if bytes.len() > LARGEST {
            return Err(io::Error::other("the answer does not end"));
        }
    }
}

/// What follows the head.
fn body(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

/// The status in the first line.
fn status(head: &[u8]) -> Option<u16> {
    String::from_utf8_lossy(head.get(..64).unwrap_or(head)).split(' ').nth(1)?.parse().ok()
}

/// Runs the program with these arguments, its name first; returns its exit status.
pub fn run(arguments: impl IntoIterator<Item = String>) -> i32 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(e) => {
            let _ = e.print();
            return i32::from(e.use_stderr());
        }
    };
    let (bytes, digest) = match answer(&cli) {
        Ok(answer) => answer,
        Err(e) => {
            let text = e.to_string();
            let plain = cli.use_ssl && text.contains("InvalidContentType");
            let silent = matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
            let text = match (plain, silent) {
                (true, _) => "it does not speak TLS on this port",
                (_, true) => "timed out",
                _ => text.as_str(),
            };
            eprintln!("{}: {text}", SocketAddr::new(cli.server, cli.port));
            return 1;
        }
    };
    let head = bytes.get(..body(&bytes).unwrap_or(bytes.len())).unwrap_or_default();
    if cli.verbose {
        // As it is: a page may be of bytes that are no text.
        let page = bytes.get(head.len()..).unwrap_or_default();
        let end: &[u8] = if page.ends_with(b"\n") { b"" } else { b"\n" };
        let head = String::from_utf8_lossy(head);
        let all = [head.trim_end().as_bytes(), b"\n\n", page, end].concat();
        // Who listens may have heard enough.
        if io::stdout().write_all(&all).is_err() {
            return 1;
        }
    }
    if let Some(code) = status(head).filter(|code| !(200..300).contains(code)) {
        eprintln!("note: the server answers with status {code}: this is the digest of what it says then");
    }
    println!("{}", digest.iter().map(|b| format!("{b:02x}")).collect::<String>());
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_begins_after_the_head() {
        assert_eq!(body(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nx"), Some(25));
        assert_eq!(body(b"HTTP/1.0 200 OK\r\nA: b\r\n"), None);
    }

    #[test]
    fn the_status_is_the_second_word() {
        assert_eq!(status(b"HTTP/1.0 404 Not Found\r\n\r\n"), Some(404));
        assert_eq!(status(b"ICY"), None);
    }
}
