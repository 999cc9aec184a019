//! A log that nobody reads: the caller goes on, and what did not fit is counted.

use std::io::{BufRead, BufReader};
use steadfast_sys::logging::{self, Options};

#[test]
fn lines_that_found_no_room_are_counted_in_the_log() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("log-{}", std::process::id()));
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("FIFO");
    // Somebody has it open, and does not read.
    let reader = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("reader");
    logging::start(Options { ident: "test".into(), file: Some(path.clone()), ..Default::default() });
    let all = 20_000;
    (0..all).for_each(|n| log::info!("line {n}"));
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || BufReader::new(reader).lines().map_while(Result::ok).all(|l| tell.send(l).is_ok()));
    let (mut whole, mut lost, mut last) = (0, 0, -1);
    while whole + lost < all {
        let line = told.recv_timeout(std::time::Duration::from_secs(10)).expect("a line");
        if let Some(n) = line.strip_suffix(" log lines lost: nobody read fast enough") {
            lost += n.rsplit(' ').next().and_then(|n| n.parse::<i32>().ok()).expect("a number");
        } else {
            let n = line.rsplit_once("line ").and_then(|(_, n)| n.parse::<i32>().ok()).expect("a line of ours");
            assert!(n > last, "{n} after {last}");
            (whole, last) = (whole + 1, n);
        }
    }
    std::fs::remove_file(&path).expect("FIFO");
    assert!(whole > 1000 && lost > 1000, "{whole} {lost}");
    assert_eq!(whole + lost, all);
}
