//! The process that starts programs for a child, asked by one that is not who it was.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};
use steadfast_ipc::{Envelope, Job, JobEnd, Message, encode, frame, parse, pieces};
use steadfast_sys::pipe::{self, PACKET, Packet, Writer};
use steadfast_sys::spawn::{self, Spec};

fn say(to: &Writer, bytes: &[u8]) {
    for message in pieces(bytes) {
        let f = frame(&Envelope { epoch: 0, message }).expect("frame");
        assert!(to.write(&f).is_ok());
    }
}

/// A runner serves one child, which may have been taken over by somebody: it starts what the configuration names, as the account that
/// stands there, and nothing else.
#[test]
fn a_runner_starts_what_the_configuration_names_and_nothing_else() {
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let pairs = [(); 3].map(|()| pipe::pair().expect("pipe"));
    let [(from_client, client), (answers, to_client), (from_parent, parent)] = pairs;
    let keep = vec![from_client.fd(), to_client.fd(), from_parent.fd()];
    let list = keep.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let own = std::process::id().to_string();
    let words = ["--role", "runner", "--descriptors", &list, "--epoch", "1", "--parent", &own];
    let argv = std::iter::once(env!("CARGO_BIN_EXE_steadfastd")).chain(words).map(Into::into).collect();
    let pid = spawn::spawn(&Spec { argv, keep, die_with_us: true, ..Default::default() }).expect("runner");
    drop((from_client, to_client, from_parent));
    let own = folder.path().metadata().expect("folder");
    let user = Some((own.uid(), own.gid()));
    let job = |id, words: [&str; 2], user| Job {
        id,
        argv: words.map(str::to_string).to_vec(),
        user,
        groups: false,
        safe: false,
        probe: false,
        heard: false,
        queue: None,
    };
    let ask = |j: &Job| say(&client, &encode(j).expect("job"));
    let mut buffer = [0; PACKET];
    let mut end_of = |wanted: u64| {
        let limit = Instant::now() + Duration::from_secs(20);
        while Instant::now() < limit {
            if let Packet::Data(n) = answers.read(&mut buffer) {
                for f in steadfast_ipc::frames(&buffer[..n]) {
                    match parse(f).expect("message").message {
                        Message::Ended { job, end, .. } if job == wanted => return end,
                        Message::Ended { job, end, .. } => panic!("{job} {end:?}"),
                        _ => {}
                    }
                }
            } else {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        panic!("{wanted} does not end");
    };
    // The list is on its way when it is asked.
    ask(&job(1, ["/bin/touch", &at("named")], user));
    let programs = vec![(vec!["/bin/touch".to_string(), at("named")], user, false)];
    say(&parent, &encode(&(false, false, programs)).expect("list"));
    assert_eq!(end_of(1), JobEnd::Exited(0));
    assert!(Path::new(&at("named")).exists());
    for (id, words, user) in
        [(2, ["/bin/touch", &at("other") as &str], user), (3, ["/bin/touch", &at("named") as &str], None)]
    {
        ask(&job(id, words, user));
        assert_eq!(end_of(id), JobEnd::NotStarted("the configuration names no such program".into()), "{id}");
    }
    assert!(!Path::new(&at("other")).exists());
    spawn::signal(pid, 9);
    spawn::wait_for(pid, Duration::from_secs(5));
}
