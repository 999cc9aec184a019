//! The digest is that of the page alone.

use std::io::{Read, Write};
use std::net::TcpListener;

#[test]
fn the_digest_of_a_page() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("bind");
    let port = listener.local_addr().expect("address").port();
    let server = std::thread::spawn(move || {
        let (mut c, _) = listener.accept().expect("accept");
        let mut request = [0; 1024];
        let n = c.read(&mut request).expect("request");
        c.write_all(b"HTTP/1.0 200 OK\r\nServer: test\r\n\r\nhello").expect("answer");
        String::from_utf8_lossy(&request[..n]).into_owned()
    });
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_genhash"));
    command.args(["-s", "127.0.0.1", "-p", &port.to_string(), "-u", "/page", "-V", "www.example"]);
    let out = command.output().expect("genhash");
    let request = server.join().expect("server");
    assert!(request.starts_with("GET /page HTTP/1.0\r\n") && request.contains("Host: www.example\r\n"), "{request}");
    // md5sum of "hello".
    assert_eq!(String::from_utf8_lossy(&out.stdout), "5d41402abc4b2a76b9719d911017c592\n");
    assert_eq!(out.status.code(), Some(0));
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr()).expect("port").port();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_genhash"));
    let out = command.args(["-s", "127.0.0.1", "-p", &free.to_string(), "-u", "/"]).output().expect("genhash");
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("refused"));
}
