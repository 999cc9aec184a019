//! The child's end of the link to its parent, without the pipe.

use crate::{Assembler, Envelope, FrameError, Message, Outbox, encode, parse};
use std::hash::{DefaultHasher, Hash, Hasher};
use steadfast_core::Kept;
use steadfast_core::kernel::Object;

/// What the parent wants.
#[derive(Clone, PartialEq, Debug)]
pub enum Order {
    /// A whole configuration.
    Config(Vec<u8>),
    /// Another message.
    Message(Message),
    /// It is gone.
    Gone,
}

/// What waits to be said to the parent, and the pieces of what it says.
#[derive(Debug)]
pub struct Link {
    epoch: u64,
    outbox: Outbox,
    assembler: Assembler,
}

impl Link {
    /// The link of a child's life of this number.
    pub fn new(epoch: u64) -> Self {
        Link { epoch, outbox: Outbox::default(), assembler: Assembler::default() }
    }

    /// Queues something to say. While the pipe is full the latest state of each object waits.
    ///
    /// Fails when it does not fit into a frame.
    pub fn say(&mut self, message: Message) -> Result<(), FrameError> {
        let first = match &message {
            // Who has much to say is alive: no name sorts before this one.
            Message::Heartbeat { .. } => Some(String::new()),
            // Whoever comes after us must know of it, however much of a report is under way.
            Message::Keep { key, .. } => Some(key.clone()),
            _ => None,
        };
        let key = if let Message::News(news) = &message { Some(news.key()) } else { None };
        let envelope = Envelope { epoch: self.epoch, message };
        match (first, key) {
            (Some(key), _) => self.outbox.urgent(&key, &envelope),
            (None, Some(key)) => self.outbox.state(&key, &envelope),
            (None, None) => self.outbox.command(&envelope),
        }
    }

    /// Writes what waits, while `write` takes packets of frames; true when nothing waits any more.
    pub fn flush(&mut self, write: impl FnMut(&[u8]) -> bool) -> bool {
        self.outbox.flush_together(write)
    }

    /// Takes a frame of the parent's; `None`: a piece of something that is not whole yet.
    ///
    /// Fails when the bytes are no message, or pieces grow too large.
    pub fn hear(&mut self, frame: &[u8]) -> Result<Option<Order>, FrameError> {
        match parse(frame)?.message {
            Message::Config { last, bytes } => Ok(self.assembler.add(last, &bytes)?.map(Order::Config)),
            message => Ok(Some(Order::Message(message))),
        }
    }
}

/// What a child has its parent keep, so that only what has changed is said.
#[derive(Debug, Default)]
pub struct Keeping {
    /// By a hash of it; nothing where a predecessor said it.
    said: Kept,
}

impl Keeping {
    /// The parent keeps this of a predecessor. It is replaced by what is said next, or emptied.
    pub fn inherited(&mut self, key: String) {
        self.said.put(&key, &[]);
    }

    /// Gives back room that it has to spare.
    pub fn shrink(&mut self) {
        self.said.shrink();
    }

    /// All that is to be kept now, by key. What follows is to be said.
    pub fn difference(&mut self, present: impl IntoIterator<Item = (String, Vec<u8>)>) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut seen = Vec::with_capacity(self.said.len());
        for (key, bytes) in present {
            seen.push(hash(&key));
            let state = hash(&bytes).to_le_bytes();
            if self.said.get(&key) != Some(&state) {
                self.said.put(&key, &state);
                messages.push(Message::Keep { key, bytes });
            }
        }
        seen.sort_unstable();
        let is_gone = |key: &str| seen.binary_search(&hash(key)).is_err();
        let gone: Vec<String> = self.said.iter().map(|(k, _)| k).filter(|k| is_gone(k)).map(String::from).collect();
        for key in gone {
            self.said.remove(&key);
            messages.push(Message::Keep { key, bytes: Vec::new() });
        }
        messages
    }
}

/// What is kept of an object before it is put into the kernel, so that whoever comes after takes it away. The key begins with a line
/// break, which no name has: it outlives what the process knew.
///
/// Fails when the object does not fit into a frame.
pub fn object_key(object: &Object) -> Result<(String, Vec<u8>), FrameError> {
    let bytes = encode(object)?;
    Ok((format!("\n{:016x}", hash(&bytes)), bytes))
}

fn hash<T: Hash + ?Sized>(what: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_ten_thousand_things_to_say_is_heard_to_live() {
        let mut link = Link::new(1);
        for n in 0..10_000 {
            link.say(Message::Keep { key: format!("\n{n}"), bytes: vec![1] }).expect("fits");
        }
        link.say(Message::Heartbeat { late: 0 }).expect("fits");
        let (mut said, mut packets) = (Vec::new(), 0);
        let all = link.flush(|packet| {
            packets += 1;
            let refused = packets == 3;
            if !refused {
                said.extend(crate::frames(packet).map(|f| parse(f).expect("own frame").message));
            }
            !refused
        });
        assert!(matches!(said.as_slice(), [Message::Heartbeat { .. }, Message::Keep { .. }, ..]), "{said:?}");
        // What a full pipe did not take is said later, and nothing of it twice.
        assert!(!all);
        link.flush(|packet| {
            packets += 1;
            said.extend(crate::frames(packet).map(|f| parse(f).expect("own frame").message));
            true
        });
        assert_eq!(said.len(), 10_001);
        let keys: std::collections::BTreeSet<_> = said.iter().map(|m| format!("{m:?}")).collect();
        assert_eq!(keys.len(), 10_001);
        assert!(packets < 100, "{packets}");
    }

    #[test]
    fn only_what_changed_is_said_and_what_went_is_emptied() {
        let mut keeping = Keeping::default();
        let state = |k: &str, b: &str| (k.to_string(), b.as_bytes().to_vec());
        let keep = |k: &str, b: &str| Message::Keep { key: k.into(), bytes: b.into() };
        assert_eq!(keeping.difference([state("A", "1"), state("B", "1")]), [keep("A", "1"), keep("B", "1")]);
        assert_eq!(keeping.difference([state("A", "2"), state("B", "1")]), [keep("A", "2")]);
        assert_eq!(keeping.difference([state("A", "2")]), [keep("B", "")]);
        assert_eq!(keeping.difference([state("A", "2")]), []);
    }

    #[test]
    fn what_a_predecessor_left_is_replaced_or_emptied() {
        let mut keeping = Keeping::default();
        keeping.inherited("A".into());
        keeping.inherited("B".into());
        let keep = |k: &str, b: &str| Message::Keep { key: k.into(), bytes: b.into() };
        assert_eq!(keeping.difference([("A".to_string(), vec![b'1'])]), [keep("A", "1"), keep("B", "")]);
    }
}
