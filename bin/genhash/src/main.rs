//! genhash: the MD5 digest of a page, for `digest` in HTTP_GET and SSL_GET.
#![forbid(unsafe_code)]

use clap::Parser;
use md5::{Digest, Md5};
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;
use steadfast_net::tls;

#[derive(Parser)]
// -V is keepalived's for the virtual host.
#[command(about = "Prints the MD5 digest of a page", disable_version_flag = true)]
struct Cli {
    /// Speak TLS; the certificate is not verified
    #[arg(short = 'S', long)]
    use_ssl: bool,
    /// Address of the server
    #[arg(short = 's', long)]
    server: IpAddr,
    /// Port of the server
    #[arg(short = 'p', long)]
    port: u16,
    /// Path of the page
    #[arg(short = 'u', long)]
    url: String,
    /// Name in the Host header, and in TLS
    #[arg(short = 'V', long)]
    use_virtualhost: Option<String>,
    /// HTTP version: 1.0, 1.0c (with Connection: close) or 1.1
    #[arg(short = 'P', long, default_value = "1.0", value_parser = ["1.0", "1.0c", "1.1"], ignore_case = true)]
    protocol: String,
    /// Limit of the connect and of each silence, in seconds
    #[arg(short = 't', long, default_value_t = 5)]
    timeout: u64,
    /// Show the head of the answer, too
    #[arg(short = 'v', long)]
    verbose: bool,
}

/// The largest answer that is taken.
const LARGEST: u64 = 1 << 30;

fn answer(cli: &Cli) -> io::Result<Vec<u8>> {
    let limit = Duration::from_secs(cli.timeout.max(1));
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(cli.server, cli.port), limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    let host = cli.use_virtualhost.clone().unwrap_or_else(|| match cli.server {
        IpAddr::V4(a) => format!("{a}:{}", cli.port),
        IpAddr::V6(a) => format!("[{a}]:{}", cli.port),
    });
    let version = if cli.protocol == "1.1" { "1.1" } else { "1.0" };
    let close = if cli.protocol == "1.0" { "" } else { "Connection: close\r\n" };
    let request =
        format!("GET {} HTTP/{version}\r\nUser-Agent: KeepAliveClient\r\n{close}Host: {host}\r\n\r\n", cli.url);
    if cli.use_ssl {
        let settings = tls::Settings {
            server: cli.server,
            name: cli.use_virtualhost.clone(),
            authorities: None,
            client: None,
            http2: false,
        };
        return tls::fetch(&settings, stream, request.as_bytes(), LARGEST);
    }
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What follows the head.
fn body(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}

fn main() {
    let cli = Cli::parse();
    let fail = |text: String| -> ! {
        eprintln!("{text}");
        std::process::exit(1)
    };
    let bytes = match answer(&cli) {
        Ok(b) => b,
        Err(e) => fail(format!("{}:{}: {e}", cli.server, cli.port)),
    };
    let Some(at) = body(&bytes) else { fail("this is no answer of HTTP".into()) };
    let (head, page) = bytes.split_at(at);
    if cli.verbose {
        println!("{}", String::from_utf8_lossy(head).trim_end());
        println!();
    }
    let digest: String = Md5::digest(page).iter().map(|b| format!("{b:02x}")).collect();
    println!("{digest}");
}

#[cfg(test)]
mod tests {
    use super::body;

    #[test]
    fn the_page_begins_after_the_head() {
        assert_eq!(body(b"HTTP/1.0 200 OK\r\nA: b\r\n\r\nx"), Some(25));
        assert_eq!(body(b"HTTP/1.0 200 OK\r\nA: b\r\n"), None);
    }
}
