//! A log that nobody reads: the caller goes on, and what did not fit is counted.

use std::io::{BufRead, BufReader};
use steadfast_sys::logging::{self, Options};

#[test]
fn lines_that_found_no_room_are_counted_in_the_log() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("log-{}", std::process::id()));
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("FIFO");
    // Opening it waits for a reader: nothing is written so far.
    logging::start(Options { ident: "test".into(), file: Some(path.clone()), ..Default::default() });
    let all = 5000;
    (0..all).for_each(|n| log::info!("line {n}"));
    let (tell, told) = std::sync::mpsc::channel();
    let reader = std::fs::File::open(&path).expect("reader");
    std::thread::spawn(move || BufReader::new(reader).lines().map_while(Result::ok).all(|l| tell.send(l).is_ok()));
    let mut whole = 0;
    let mut lost = None;
    while let (None, Ok(line)) = (lost, told.recv_timeout(std::time::Duration::from_secs(10))) {
        match line.strip_suffix(" log lines lost: nobody read fast enough") {
            Some(n) => lost = n.rsplit(' ').next().and_then(|n| n.parse::<i32>().ok()),
            None => assert!(line.ends_with(&format!("line {whole}")), "{line}"),
        }
        whole += i32::from(lost.is_none());
    }
    std::fs::remove_file(&path).expect("FIFO");
    assert!(whole > 1000, "{whole}");
    assert_eq!(lost.map(|n| n + whole), Some(all));
}
