//! Before a new program takes over: its children start with what they will be handed over, as far as they can without doing anything
//! to the host, and end. What each of them needs is asked for, what it is told is read, its confinement is put on. So a program that
//! cannot do its work here is found out while the one that can still does it.

use crate::cli::Options;
use crate::parent::upgrade::{Former, Handover};
use std::time::Duration;
use steadfast_core::Time;
use steadfast_ipc::{Envelope, Message, encode, frame};
use steadfast_supervisor::{Memory, Ward};
use steadfast_sys::pipe::{self, PACKET, Packet, Writer};
use steadfast_sys::spawn::{self, End, Spec};
use steadfast_sys::{handover, logging, now, schedule};

/// A child that has not come to the end of its rehearsal by then does not come to it.
const MOST: Duration = Duration::from_secs(20);
/// Between two looks at a child.
const LOOK: Duration = Duration::from_millis(2);

/// The role: exit status 0, and a word to the parent, when all children of the older program could have successors.
pub fn run(options: &Options) -> i32 {
    crate::child::start_logging(options, "Keepalived");
    if !schedule::die_with_parent(options.parent) {
        return 1;
    }
    let said = rehearse(options);
    if let Err(why) = &said {
        log::error!("{why}");
    }
    logging::flush(Duration::from_secs(1));
    i32::from(said.is_err())
}

fn rehearse(options: &Options) -> Result<(), String> {
    let bytes = handover::load(options.handover.unwrap_or(-1)).map_err(|e| format!("what is handed over: {e}"))?;
    let given: Handover = serde_json::from_slice(&bytes).map_err(|e| format!("what is handed over: {e}"))?;
    let outcome = crate::loader::load(options);
    let facts = crate::loader::facts(&outcome);
    let config = encode(&outcome.config).map_err(|e| e.to_string())?;
    for former in given.roles.into_iter().filter(|r| r.pid.is_some()) {
        let wanted = match former.name.as_str() {
            "vrrp" => facts.vrrp,
            "checker" => facts.checker,
            "bfd" => facts.bfd,
            // Observers that do not start cost no more than what they show.
            _ => false,
        };
        if wanted {
            start(options, former, &config)?;
        }
    }
    let descriptor = options.descriptors.first().copied().unwrap_or(-1);
    let writer = Writer::inherited(descriptor).map_err(|e| format!("the pipe to the parent: {e}"))?;
    let ready = frame(&Envelope { epoch: options.epoch, message: Message::Ready }).map_err(|e| e.to_string())?;
    writer.write(&ready).map_err(|e| format!("the pipe to the parent: {e:?}"))
}

/// Starts a child for as long as its rehearsal takes.
fn start(options: &Options, former: Former, config: &[u8]) -> Result<(), String> {
    let failed = |why: String| format!("its {} process {why}", former.name);
    let pipes = || pipe::pair().map_err(|e| failed(format!("has no pipe: {e}")));
    let ((from, theirs), (other, to)) = (pipes()?, pipes()?);
    let descriptors = format!("{},{}", other.fd(), theirs.fd());
    let mut argv: Vec<std::ffi::OsString> = vec!["/proc/self/exe".into()];
    argv.extend(options.words.iter().filter(|w| *w != "--rehearse").map(Into::into));
    let parent = schedule::pid().to_string();
    let words =
        ["--role", &former.name, "--rehearse", "--descriptors", &descriptors, "--epoch", "1", "--parent", &parent];
    argv.extend(words.map(Into::into));
    let keep = vec![other.fd(), theirs.fd()];
    let argv0 = std::env::args_os().next();
    let spec = Spec { argv, argv0, keep, output: true, die_with_us: true, ..Default::default() };
    let pid = spawn::spawn(&spec).map_err(|e| failed(format!("cannot be started: {e}")))?;
    drop((theirs, other));
    // What it keeps goes by the same way as later.
    let mut ward = Ward::new(Memory::Lasting, false);
    ward.inherit(former.kept.iter().cloned());
    let begun = now();
    let told = ward.started(Time::ZERO, 1, config).map_err(|e| failed(format!("cannot be told: {e}")));
    let mut buffer = [0; PACKET];
    let end = loop {
        ward.flush(|f| to.write(f).is_ok());
        while let Packet::Data(_) = from.read(&mut buffer) {}
        match spawn::end_of(pid, LOOK) {
            Some(end) => break end,
            None if told.is_err() || now().since(begun) >= MOST => {
                spawn::signal(pid, 9);
                spawn::wait_for(pid, LOOK * 500);
                told?;
                return Err(failed("does not begin".into()));
            }
            None => {}
        }
    };
    if end == End::Exited(0) { Ok(()) } else { Err(failed(format!("cannot begin (it {end})"))) }
}
