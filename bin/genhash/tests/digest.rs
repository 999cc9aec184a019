//! The program beside a small server.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Serves one answer and keeps the connection open until the other end closes it. The thread's result is the request.
fn serve(answer: &'static [u8]) -> (u16, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("socket");
    let port = listener.local_addr().expect("address").port();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("client");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("limit");
        let mut request = Vec::new();
        let mut byte = [0];
        while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
            request.push(byte[0]);
        }
        stream.write_all(answer).expect("answer");
        while stream.read(&mut byte).is_ok_and(|n| n == 1) {}
        String::from_utf8_lossy(&request).into_owned()
    });
    (port, thread)
}

fn genhash(port: u16, more: &[&str]) -> Output {
    let port = port.to_string();
    let program = env!("CARGO_BIN_EXE_genhash");
    Command::new(program).args(["-s", "127.0.0.1", "-p", &port]).args(more).output().expect("genhash")
}

#[test]
fn a_connection_that_stays_open_is_not_waited_for() {
    let (port, server) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
    let begun = Instant::now();
    let out = genhash(port, &["-u", "/page", "-V", "www.example.org", "-P", "1.1"]);
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(String::from_utf8_lossy(&out.stdout), "b1946ac92492d2347c6235b4d2611184\n");
    let request = server.join().expect("server");
    assert!(
        request.starts_with("GET /page HTTP/1.1\r\n") && request.contains("Host: www.example.org\r\n"),
        "{request}"
    );
}

#[test]
fn another_status_is_said_beside_the_digest() {
    let (port, server) = serve(b"HTTP/1.0 404 Not Found\r\nContent-Length: 6\r\n\r\nhello\n");
    let out = genhash(port, &["-u", "/nothing", "-v"]);
    assert_eq!(out.status.code(), Some(0));
    let all = "HTTP/1.0 404 Not Found\r\nContent-Length: 6\n\nhello\nb1946ac92492d2347c6235b4d2611184\n";
    assert_eq!(String::from_utf8_lossy(&out.stdout), all);
    assert!(String::from_utf8_lossy(&out.stderr).contains("status 404"));
    server.join().expect("server");
}

#[test]
fn an_answer_that_is_cut_short_is_said_beside_the_digest() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("socket");
    let port = listener.local_addr().expect("address").port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("client");
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).expect("request");
        stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 500\r\n\r\nhello\n").expect("answer");
    });
    let out = genhash(port, &["-u", "/"]);
    server.join().expect("server");
    assert_eq!(String::from_utf8_lossy(&out.stdout), "b1946ac92492d2347c6235b4d2611184\n");
    assert!(String::from_utf8_lossy(&out.stderr).contains("ends after 6 of 500 bytes"), "{out:?}");
}

#[test]
fn wrong_use_and_no_server_end_with_1() {
    let out = Command::new(env!("CARGO_BIN_EXE_genhash")).args(["-s", "127.0.0.1"]).output().expect("genhash");
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("--url"));
    let free = TcpListener::bind("127.0.0.1:0").expect("socket").local_addr().expect("address").port();
    assert_eq!(genhash(free, &["-u", "/"]).status.code(), Some(1));
}

#[test]
fn the_digest_is_of_what_the_check_takes_for_the_body() {
    // `hello` and a line end in each: bytes behind the announced length, pieces, lines that end with a line feed alone, an interim answer
    for answer in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\nand what does not belong to it"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n4\r\nllo\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\nContent-Length: 6\n\nhello\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n",
    ] {
        let (port, server) = serve(answer);
        let out = genhash(port, &["-u", "/"]);
        let said = String::from_utf8_lossy(&out.stdout);
        assert_eq!(said, "b1946ac92492d2347c6235b4d2611184\n", "{}", String::from_utf8_lossy(answer));
        server.join().expect("server");
    }
}

#[test]
fn an_answer_that_the_check_would_refuse_has_no_digest() {
    for answer in [
        &b"this is no answer of HTTP\r\n\r\nhello\n"[..],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: six\r\n\r\nhello\n",
    ] {
        let (port, server) = serve(answer);
        let out = genhash(port, &["-u", "/"]);
        assert_eq!(
            (out.status.code(), out.stdout.as_slice()),
            (Some(1), &b""[..]),
            "{}",
            String::from_utf8_lossy(answer)
        );
        assert!(String::from_utf8_lossy(&out.stderr).contains("malformed answer"));
        server.join().expect("server");
    }
}

#[test]
fn a_server_that_says_nothing_is_waited_for_so_long_and_no_longer() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("socket");
    let out = genhash(listener.local_addr().expect("address").port(), &["-u", "/", "-t", "1"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).ends_with(": timed out\n"), "{out:?}");
}
