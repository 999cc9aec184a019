//! Before a new program takes over: its children start with what they will be handed over, as far as they can without doing anything
//! to the host, and end. What each of them needs is asked for, what it is told is read, its confinement is put on. So a program that
//! cannot do its work here is found out while the one that can still does it.

use crate::cli::Options;
use crate::parent::upgrade::{Former, Handover};
use std::time::Duration;
use steadfast_core::Time;
use steadfast_ipc::{Assembler, Envelope, Facts, Message, frame, parse};
use steadfast_supervisor::{Memory, Ward};
use steadfast_sys::pipe::{self, PACKET, Packet, Writer};
use steadfast_sys::spawn::{self, End, Spec};
use steadfast_sys::{handover, logging, now, schedule};

/// A child that has not come to the end of its rehearsal by then does not come to it.
const MOST: Duration = Duration::from_secs(20);
/// Between two looks at a child.
const LOOK: Duration = Duration::from_millis(2);
/// The same while it has something to read or to say.
const SHORT: Duration = Duration::from_micros(200);

/// The role: exit status 0, and a word to the parent, when all children of the older program could have successors.
pub fn run(options: &Options) -> i32 {
    // Before it hears of anything secret; exec has taken back what the parent had set.
    schedule::core_dumps(options.core_dump);
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
    let descriptor = options.descriptors.first().copied().unwrap_or(-1);
    let writer = Writer::inherited(descriptor).map_err(|e| format!("the pipe to the parent: {e}"))?;
    // Who says nothing is a program that knows no rehearsal.
    let word = Envelope { epoch: options.epoch, message: Message::Heartbeat { late: 0 } };
    let word = frame(&word).map_err(|e| e.to_string())?;
    writer.write(&word).map_err(|e| format!("the pipe to the parent: {e:?}"))?;
    let bytes = handover::load(options.handover.unwrap_or(-1)).map_err(|e| format!("what is handed over: {e}"))?;
    let given: Handover = serde_json::from_slice(&bytes).map_err(|e| format!("what is handed over: {e}"))?;
    let (facts, config) = read(options)?;
    for former in given.roles.into_iter().filter(|r| r.pid.is_some()) {
        let wanted = match former.name.as_str() {
            "vrrp" => facts.vrrp,
            "checker" => facts.checker,
            "bfd" => facts.bfd,
            // Observers that do not start cost no more than what they show.
            _ => false,
        };
        if wanted {
            start(options, former, &config, (&[], MOST))?;
        }
    }
    Ok(())
}

/// A process of this program in a role.
fn spec(options: &Options, role: &str, more: &[&str], keep: Vec<i32>) -> Spec {
    let list = keep.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let parent = schedule::pid().to_string();
    let ident = format!("{}_rehearsal", options.ident);
    let mut argv: Vec<std::ffi::OsString> = vec!["/proc/self/exe".into()];
    argv.extend(options.words.iter().map(Into::into));
    let words = ["--role", role, "--descriptors", &list, "--epoch", "1", "--parent", &parent, "--ident", &ident];
    argv.extend(words.iter().chain(more).map(Into::into));
    Spec { argv, argv0: std::env::args_os().next(), keep, die_with_us: true, ..Default::default() }
}

/// What the file says now, by a loader of its own: who starts programs is not confined as a loader is. What there is to report has
/// been reported.
fn read(options: &Options) -> Result<(Facts, Vec<u8>), String> {
    let failed = |why: String| format!("the configuration cannot be read once more: {why}");
    let (from, theirs) = pipe::pair().map_err(|e| failed(e.to_string()))?;
    let pid = spawn::spawn(&spec(options, "loader", &["--rehearse"], vec![theirs.fd()]))
        .map_err(|e| failed(e.to_string()))?;
    drop(theirs);
    let (mut assembler, mut facts, mut config) = (Assembler::default(), None, None);
    let mut buffer = [0; PACKET];
    let mut end = None;
    loop {
        let mut heard = false;
        while let Packet::Data(n) = from.read(&mut buffer) {
            heard = true;
            match parse(buffer.get(..n).unwrap_or_default()).map_err(|e| failed(e.to_string()))?.message {
                Message::Facts(f) => facts = Some(*f),
                Message::Config { last, bytes } => {
                    config = assembler.add(last, &bytes).map_err(|e| failed(e.to_string()))?.or(config);
                }
                _ => {}
            }
        }
        // What it said last has been heard.
        if let Some(end) = end {
            return match (end, facts, config) {
                (End::Exited(0), Some(facts), Some(config)) => Ok((facts, config)),
                _ => Err(failed(format!("the loader {end}"))),
            };
        }
        end = spawn::end_of(pid, if heard { SHORT } else { LOOK });
    }
}

/// Starts a child for as long as its rehearsal takes; what it says of its state.
pub fn start(
    options: &Options,
    former: Former,
    config: &[u8],
    (more, most): (&[&str], Duration),
) -> Result<Option<Vec<u8>>, String> {
    let failed = |why: String| format!("its {} process {why}", former.name);
    let pipes = || pipe::pair().map_err(|e| failed(format!("has no pipe: {e}")));
    let ((from, theirs), (other, to)) = (pipes()?, pipes()?);
    let more: Vec<&str> = ["--rehearse"].into_iter().chain(more.iter().copied()).collect();
    let mut spec = spec(options, &former.name, &more, vec![other.fd(), theirs.fd()]);
    spec.output = true;
    let pid = spawn::spawn(&spec).map_err(|e| failed(format!("cannot be started: {e}")))?;
    drop((theirs, other));
    // What it keeps goes by the same way as later.
    let mut ward = Ward::new(Memory::Lasting, false);
    ward.inherit(former.kept.iter().cloned());
    let begun = now();
    let told = ward.started(Time::ZERO, 1, config).map_err(|e| failed(format!("cannot be told: {e}")));
    let mut buffer = [0; PACKET];
    let (mut assembler, mut said, mut end) = (Assembler::default(), None, None);
    let end = loop {
        let mut busy = false;
        ward.flush(|f| {
            busy = to.write(f).is_err();
            !busy
        });
        while let Packet::Data(n) = from.read(&mut buffer) {
            if let Ok(Envelope { message: Message::Status { last, bytes }, .. }) =
                parse(buffer.get(..n).unwrap_or_default())
            {
                busy = true;
                said = assembler.add(last, &bytes).ok().flatten().or(said);
            }
        }
        // What it said last has been heard.
        if let Some(end) = end {
            break end;
        }
        end = spawn::end_of(pid, if busy { SHORT } else { LOOK });
        if end.is_none() && (told.is_err() || now().since(begun) >= most) {
            spawn::signal(pid, 9);
            spawn::wait_for(pid, LOOK * 500);
            told?;
            return Err(failed("does not begin".into()));
        }
    };
    if end == End::Exited(0) { Ok(said) } else { Err(failed(format!("cannot begin (it {end})"))) }
}
