//! How the world is told of a state change: argument vectors of notify scripts, FIFO lines, mail.
//!
//! The texts are pure values, and so is the dialogue with a mail server: bytes in, bytes out.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod mail;
pub mod smtp;

/// Who changed state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    /// A virtual router.
    Instance,
    /// A sync group.
    Group,
}

impl Subject {
    /// The word in scripts and FIFO lines.
    pub const fn word(self) -> &'static str {
        match self {
            Subject::Instance => "INSTANCE",
            Subject::Group => "GROUP",
        }
    }
}

/// Arguments of a generic `notify` script: its own, then TYPE NAME STATE PRIO. Groups have priority 0.
pub fn generic_arguments(own: &[String], subject: Subject, name: &str, state: &str, priority: u8) -> Vec<String> {
    let mut argv = own.to_vec();
    argv.extend([
        subject.word().to_string(),
        name.to_string(),
        state.to_string(),
        shown(subject, priority).to_string(),
    ]);
    argv
}

/// A FIFO line, newline included: `INSTANCE "NAME" STATE PRIO`. A quote or a control character in a name would break the
/// line's form for every reader, so it is replaced by `_`.
pub fn fifo_line(subject: Subject, name: &str, state: &str, priority: u8) -> String {
    let name: String = name.chars().map(|c| if c == '"' || c.is_control() { '_' } else { c }).collect();
    format!("{} \"{name}\" {state} {}\n", subject.word(), shown(subject, priority))
}

fn shown(subject: Subject, priority: u8) -> u8 {
    match subject {
        Subject::Instance => priority,
        Subject::Group => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_get_type_name_state_and_priority_after_their_own_arguments() {
        let argv = generic_arguments(&["/x/n.sh".into(), "a".into()], Subject::Instance, "VI_1", "MASTER", 150);
        assert_eq!(argv, ["/x/n.sh", "a", "INSTANCE", "VI_1", "MASTER", "150"]);
        let argv = generic_arguments(&["/x/n.sh".into()], Subject::Group, "G", "FAULT", 150);
        assert_eq!(argv, ["/x/n.sh", "GROUP", "G", "FAULT", "0"]);
    }

    #[test]
    fn a_fifo_line_is_one_line_whatever_the_name() {
        assert_eq!(fifo_line(Subject::Instance, "VI_1", "BACKUP", 100), "INSTANCE \"VI_1\" BACKUP 100\n");
        assert_eq!(fifo_line(Subject::Group, "a\"b\nc", "STOP", 9), "GROUP \"a_b_c\" STOP 0\n");
    }
}
