//! Messages between the processes, as bincode frames on packet-mode pipes.
//!
//! ```text
//!  +----------------+---------------------------------------------+
//!  | length: u32 LE | bincode of Envelope { epoch, message }      |   at most 4096 bytes together
//!  +----------------+---------------------------------------------+
//! ```
//!
//! One write is one read, so a reader that dies in the middle leaves nothing half read. What a child tells its parent may be several
//! frames in one write ([`frames`]). State is sent, not history: a message
//! about an object holds all of its current state, so a lost one is mended by the next. What is larger than a frame
//! (a configuration) travels in pieces.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod child;
mod observe;
mod outbox;

pub use child::{Keeping, Link, Order, object_key};
pub use observe::{Action, Alarm, Ended, News, Reporter};
pub use outbox::Outbox;

use bincode::Options;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use steadfast_core::State;

/// Largest frame in bytes.
pub const FRAME: usize = 4096;
/// Bytes of a piece of something larger.
const PIECE: usize = 3900;
/// Largest thing that is sent in pieces.
pub const LARGEST: u64 = 256 << 20;

/// Which dump is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Dump {
    /// Everything, as text.
    Data,
    /// Counters.
    Stats,
    /// Counters, which are then set to zero.
    StatsClear,
    /// JSON.
    Json,
}

/// A script that the parent runs: argument vector, account, limit in seconds.
pub type ParentScript = (Vec<String>, Option<(u32, u32)>, u64);

/// What the parent must know of a configuration. Everything else it passes on unread.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Facts {
    /// There is something for the VRRP child to do.
    pub vrrp: bool,
    /// There is something for the checker child to do.
    pub checker: bool,
    /// There is something for the BFD child to do.
    pub bfd: bool,
    /// D-Bus is wanted (enable_dbus).
    pub dbus: bool,
    /// SNMP is wanted (enable_snmp_*).
    pub snmp: bool,
    /// Programs that run as root must be such that only root can change them (enable_script_security).
    #[serde(default)]
    pub safe_programs: bool,
    /// Those are started by the descriptor that was looked at (scripts_by_descriptor).
    #[serde(default)]
    pub by_descriptor: bool,
    /// Run before children start.
    pub startup: Option<ParentScript>,
    /// Run after children stopped.
    pub shutdown: Option<ParentScript>,
    /// How long to wait for children at a stop, in seconds.
    pub child_wait: u64,
    /// Name of this daemon among several.
    pub instance: Option<String>,
    /// Network namespace.
    pub namespace: Option<String>,
    /// Pid files go under /run/keepalived.
    pub pid_directory: bool,
    /// File creation mask.
    pub umask: Option<u32>,
    /// Where the parent's dump goes.
    pub parent_dump: String,
    /// The file that names a time to reload, and whether it stays.
    pub reload_time: Option<(String, bool)>,
    /// The file that is there while the configuration is read; an empty name is the default.
    pub reload_file: Option<String>,
    /// Where the reports on a file go that is read at a reload.
    #[serde(default)]
    pub check_log: Option<String>,
    /// Where what was read is saved.
    pub save_dir: Option<String>,
    /// Scripts keep the supplementary groups of their account.
    pub supplementary_groups: bool,
    /// Name of the parent in lists of processes.
    pub name: Option<String>,
    /// Fingerprints of the faults of the file, as [`cut_faults`] leaves them.
    pub faults: Vec<u32>,
    /// Log lines go to journald with fields.
    pub structured: bool,
    /// Words that a daemon takes over when it starts alone, where the file sets them.
    #[serde(default)]
    pub fixed: Vec<(String, String)>,
    /// Nothing is said of max_auto_priority, or 0: a start mentions it.
    #[serde(default)]
    pub no_auto_priority: bool,
}

/// The last one of a list of fingerprints that had to be cut.
const CUT: u32 = u32::MAX;

/// Keeps so many fingerprints of faults, of an ordered list: the smallest ones, so that two lists that were cut differently can be
/// compared.
pub fn cut_faults(faults: &mut Vec<u32>, most: usize) {
    if faults.len() > most {
        faults.truncate(most.saturating_sub(1));
        faults.push(CUT);
    }
}

/// A list of fingerprints has one that the known list has not. Beyond the end of a list that was cut nothing is known.
pub fn new_faults(known: &[u32], list: &[u32]) -> bool {
    // A list that was cut had more than it has now: more than were known in all.
    if list.last() == Some(&CUT) && known.last() != Some(&CUT) && list.len() >= known.len() {
        return true;
    }
    let bound = match known {
        [] => CUT,
        [.., last, CUT] => *last,
        [CUT] => 0,
        _ => CUT,
    };
    list.iter().any(|f| *f != CUT && *f <= bound && known.binary_search(f).is_err())
}

impl Facts {
    /// There is nothing to do.
    pub fn is_empty(&self) -> bool {
        !self.vrrp && !self.checker && !self.bfd
    }
}

/// A program that a runner is to start. It travels in pieces.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The client's number for it.
    pub id: u64,
    /// Argument vector.
    pub argv: Vec<String>,
    /// User and group; `None` keeps the daemon's.
    pub user: Option<(u32, u32)>,
    /// With the supplementary groups of that account.
    pub groups: bool,
    /// Start it only if nobody but root can change the file or a folder above it.
    pub safe: bool,
    /// Nobody is interested any more when the client is gone: it is ended then.
    pub probe: bool,
    /// What it writes is wanted, the last line of it.
    pub heard: bool,
    /// It waits for those of earlier turns in this queue. Those of one turn run side by side.
    pub queue: Option<(String, u64)>,
}

/// How a program ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum JobEnd {
    /// Exit status.
    Exited(i32),
    /// Signal number.
    Signalled(i32),
    /// It could not be started: why.
    NotStarted(String),
    /// It could not be started for want of descriptors, memory or processes, which says nothing of it: of what.
    Unable(String),
}

/// A message. New ones come at the end: the parent of a new program reads the last words of the old one's children by these numbers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Message {
    /// The sender's loop turns; how late its worst turn since the last one was, in microseconds.
    Heartbeat {
        /// Worst lateness.
        late: u64,
    },
    /// What the parent must know.
    Facts(Box<Facts>),
    /// A piece of the text that was read, to be saved.
    Saved(Vec<u8>),
    /// A piece of a configuration.
    Config {
        /// The last one.
        last: bool,
        /// Bytes.
        bytes: Vec<u8>,
    },
    /// Opaque state of an object, kept by the parent for the sender's successor.
    Keep {
        /// Which object.
        key: String,
        /// All of its state; empty: the object is gone.
        bytes: Vec<u8>,
    },
    /// Release everything and end.
    Stop {
        /// Leave addresses and routes where they are.
        keep_objects: bool,
    },
    /// Write a dump.
    Dump(Dump),
    /// Say how you are.
    Ask,
    /// How the sender is: a piece of a text that the parent passes on unread.
    Status {
        /// The last one.
        last: bool,
        /// Bytes.
        bytes: Vec<u8>,
    },
    /// The operator drains a real server, or ends that. Names as in logs.
    Drain {
        /// Virtual server.
        service: String,
        /// Real server.
        server: String,
        /// Drain, or end draining.
        on: bool,
    },
    /// The configuration is in effect.
    Ready,
    /// The sender has just begun, and asks its brother for all that it would say to it.
    Hello,
    /// A virtual server has its quorum, or has not. From the checker to the VRRP child.
    Service {
        /// Name, as trackers name it.
        name: String,
        /// It has.
        quorum: bool,
    },
    /// A BFD session is up, or is not. From the BFD child to the others.
    Session {
        /// Name.
        name: String,
        /// It is.
        up: bool,
    },
    /// To the parent: the sender has programs to start, and needs its runner.
    Runner {
        /// There is one, and it does not answer.
        hangs: bool,
    },
    /// To a runner: signal the process group of a program.
    Signal {
        /// Which.
        job: u64,
        /// Signal number.
        signal: i32,
    },
    /// From a runner: a program has ended.
    Ended {
        /// Which.
        job: u64,
        /// How.
        end: JobEnd,
        /// The last line that it wrote, where that is wanted.
        said: String,
    },
    /// State of a virtual router, between children.
    Instance {
        /// Name.
        name: String,
        /// State.
        state: State,
        /// Effective priority.
        priority: u8,
    },
    /// From an observer to its parent, and from there to the children: say all that there is to know.
    Survey,
    /// What a child answers to that, and what the observer is given: a piece of it. Without any bytes: there is no such child now.
    Report {
        /// Who says it.
        of: Reporter,
        /// The last one.
        last: bool,
        /// Bytes.
        bytes: Vec<u8>,
    },
    /// Something has changed. From the children by way of the parent to the observers.
    News(News),
    /// A client of an observer wants something done.
    Act(Action),
    /// A part of the reports on the text that was read.
    Reports(Vec<u8>),
    /// To a child: an upgrade is near; what changes all the time is to be kept now, too.
    Save,
    /// From the loader: a part of the list of programs that the configuration names, for runners.
    Programs(Vec<u8>),
}

/// A message with the number of the sender's life; what an earlier life left in a pipe is dropped.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// Number of the start of the child that the pipe belongs to.
    pub epoch: u64,
    /// The message.
    pub message: Message,
}

/// Why bytes are no message.
#[derive(Debug)]
pub enum FrameError {
    /// The length field does not fit the bytes.
    Length,
    /// The body cannot be read or written.
    Body(bincode::Error),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Length => f.write_str("frame length does not fit"),
            FrameError::Body(e) => write!(f, "frame body: {e}"),
        }
    }
}

impl std::error::Error for FrameError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            FrameError::Length => None,
            FrameError::Body(e) => Some(e),
        }
    }
}

fn options(limit: u64) -> impl Options {
    bincode::DefaultOptions::new().with_limit(limit).reject_trailing_bytes()
}

/// Writes a frame.
pub fn frame(envelope: &Envelope) -> Result<Vec<u8>, FrameError> {
    let body = options(FRAME as u64 - 4).serialize(envelope).map_err(FrameError::Body)?;
    let length = u32::try_from(body.len()).map_err(|_| FrameError::Length)?;
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(body);
    Ok(bytes)
}

/// Reads a frame.
pub fn parse(bytes: &[u8]) -> Result<Envelope, FrameError> {
    let (length, body) = bytes.split_first_chunk::<4>().ok_or(FrameError::Length)?;
    if u32::from_le_bytes(*length) as usize != body.len() || bytes.len() > FRAME {
        return Err(FrameError::Length);
    }
    options(FRAME as u64 - 4).deserialize(body).map_err(FrameError::Body)
}

/// The frames of a packet, one or more; what is no frame comes last, as it is, for [`parse`] to refuse.
pub fn frames(packet: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = packet;
    std::iter::from_fn(move || {
        let length = rest.first_chunk::<4>().map(|l| u32::from_le_bytes(*l) as usize);
        let whole = length.and_then(|l| rest.split_at_checked(l.checked_add(4)?));
        let (frame, others) = whole.unwrap_or((rest, &[]));
        rest = others;
        (!frame.is_empty()).then_some(frame)
    })
}

/// Anything as bytes, to travel in pieces or as opaque state.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, FrameError> {
    options(LARGEST).serialize(value).map_err(FrameError::Body)
}

/// The reverse.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    options(LARGEST).deserialize(bytes).map_err(FrameError::Body)
}

/// Bytes that a younger program may have appended to what an older one kept.
const APPENDED: usize = 16;

/// The reverse, of state that an older program may have kept: what was appended to it since then is nought. Fields of such state are only
/// ever appended, and only such whose nought says nothing.
pub fn decode_kept<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    decode(bytes).or_else(|e| {
        // Nothing was kept: that is not something of which all is nought.
        if bytes.is_empty() {
            return Err(e);
        }
        let mut longer = bytes.to_vec();
        let mut one_more = || {
            longer.push(0);
            decode(&longer).ok()
        };
        (0..APPENDED).find_map(|_| one_more()).ok_or(e)
    })
}

/// Cuts something large into messages.
pub fn pieces(bytes: &[u8]) -> impl Iterator<Item = Message> + '_ {
    let count = bytes.len().div_ceil(PIECE).max(1);
    (0..count).map(move |n| Message::Config {
        last: n + 1 == count,
        bytes: bytes.get(n * PIECE..bytes.len().min((n + 1) * PIECE)).unwrap_or_default().to_vec(),
    })
}

/// Cuts what a child says of itself into messages.
pub fn status_pieces(bytes: &[u8]) -> impl Iterator<Item = Message> + '_ {
    pieces(bytes).map(|m| match m {
        Message::Config { last, bytes } => Message::Status { last, bytes },
        other => other,
    })
}

/// Cuts a report into messages.
pub fn report_pieces(of: Reporter, bytes: &[u8]) -> impl Iterator<Item = Message> + '_ {
    pieces(bytes).map(move |m| match m {
        Message::Config { last, bytes } => Message::Report { of, last, bytes },
        other => other,
    })
}

/// Puts pieces together; `Some` with the last one, `Err` when it grows too large.
#[derive(Default, Debug)]
pub struct Assembler(Vec<u8>);

impl Assembler {
    /// Takes a piece.
    pub fn add(&mut self, last: bool, bytes: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        if (self.0.len() + bytes.len()) as u64 > LARGEST {
            self.0 = Vec::new();
            return Err(FrameError::Length);
        }
        self.0.extend_from_slice(bytes);
        Ok(last.then(|| std::mem::take(&mut self.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn beat(late: u64) -> Envelope {
        Envelope { epoch: 7, message: Message::Heartbeat { late } }
    }

    #[test]
    fn what_an_older_program_kept_lacks_what_was_appended_since_then() {
        let older = encode(&(7u32, "VI".to_string())).expect("bytes");
        type Younger = (u32, String, u32, Option<String>, Vec<u8>);
        let younger: Younger = decode_kept(&older).expect("state");
        assert_eq!(younger, (7, "VI".into(), 0, None, Vec::new()));
        assert_eq!(decode_kept::<(u32, String)>(&older).expect("state"), (7, "VI".into()));
        // Of what is longer nothing is made.
        assert!(decode_kept::<Younger>(&[older, vec![1; 40]].concat()).is_err());
        assert!(decode_kept::<Younger>(&[]).is_err(), "nothing was kept");
    }

    #[test]
    fn a_full_pipe_keeps_commands_and_only_the_latest_state() {
        let mut outbox = Outbox::default();
        outbox.command(&beat(1)).expect("frame");
        for late in 2..100 {
            outbox.state("VI_1", &beat(late)).expect("frame");
        }
        assert!(!outbox.flush(|_| false));
        let mut seen = Vec::new();
        assert!(outbox.flush(|f| {
            seen.push(parse(f).expect("own frame"));
            true
        }));
        assert_eq!(seen, [beat(1), beat(99)]);
    }

    /// A pipe that is full after each frame loses nothing, whatever was at its end.
    #[test]
    fn a_pipe_that_is_full_again_and_again_loses_nothing() {
        let mut outbox = Outbox::default();
        for n in 1..=3 {
            outbox.urgent(&format!("u{n}"), &beat(n)).expect("frame");
            outbox.command(&beat(10 + n)).expect("frame");
            outbox.state(&format!("s{n}"), &beat(20 + n)).expect("frame");
        }
        let mut seen = Vec::new();
        let mut turns = 0;
        loop {
            let mut room = turns % 2;
            let empty = outbox.flush(|f| {
                let taken = room > 0;
                if taken {
                    room -= 1;
                    seen.push(parse(f).expect("own frame"));
                }
                taken
            });
            turns += 1;
            if empty || turns > 100 {
                break;
            }
        }
        assert_eq!(seen, [1, 2, 3, 11, 12, 13, 21, 22, 23].map(beat));
    }

    #[test]
    fn what_a_successor_must_know_does_not_wait_for_a_long_report() {
        let mut link = Link::new(7);
        let keep = Message::Keep { key: "\naddress".into(), bytes: vec![1] };
        let news =
            |priority| Message::News(News::Instance { name: "V".into(), state: State::Master, priority, end: None });
        let report = report_pieces(Reporter::Vrrp, &[0; 20_000]).collect::<Vec<_>>();
        let pieces = report.len();
        assert!(pieces > 3);
        report.into_iter().for_each(|piece| link.say(piece).expect("fits"));
        link.say(news(7)).expect("fits");
        link.say(keep.clone()).expect("fits");
        let mut said = Vec::new();
        link.flush(|packet| {
            said.extend(frames(packet).map(|f| parse(f).expect("own frame").message));
            true
        });
        // What is newer than a report comes after it.
        assert_eq!((said.first(), said.last(), said.len()), (Some(&keep), Some(&news(7)), pieces + 2));
    }

    #[test]
    fn what_an_upgrade_reads_keeps_its_number() {
        let number = |message| encode(&message).expect("message").first().copied();
        assert_eq!(number(Message::Heartbeat { late: 0 }), Some(0));
        assert_eq!(number(Message::Keep { key: String::new(), bytes: Vec::new() }), Some(4));
    }

    proptest! {
        #[test]
        fn a_packet_is_all_of_its_frames_and_what_is_none_is_refused(sizes in prop::collection::vec(0usize..300, 0..9), junk in prop::collection::vec(any::<u8>(), 0..9)) {
            let whole: Vec<Vec<u8>> = sizes.iter().map(|n| frame(&Envelope { epoch: 1, message: Message::Config { last: false, bytes: vec![7; *n] } }).expect("fits")).collect();
            let mut packet = whole.concat();
            packet.extend(&junk);
            let parts: Vec<&[u8]> = frames(&packet).collect();
            prop_assert_eq!(parts.concat(), packet.clone());
            prop_assert!(parts.iter().zip(&whole).all(|(a, b)| a == b));
            prop_assert!(parts.iter().all(|p| !p.is_empty()));
        }

        #[test]
        fn large_things_travel_in_pieces(bytes in prop::collection::vec(any::<u8>(), 0..20_000)) {
            let mut assembler = Assembler::default();
            let mut got = None;
            for message in pieces(&bytes) {
                let f = frame(&Envelope { epoch: 1, message }).expect("fits");
                prop_assert!(f.len() <= FRAME);
                if let Message::Config { last, bytes } = parse(&f).expect("own frame").message {
                    got = assembler.add(last, &bytes).expect("small");
                }
            }
            prop_assert_eq!(got, Some(bytes));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
            let _ = parse(&bytes);
            let _ = decode::<Facts>(&bytes);
        }
    }
}
