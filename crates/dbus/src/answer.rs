//! Calls and what they are answered.

use crate::tree::{Object, Status, Tree};
use crate::{INSTANCE, INTROSPECTABLE, PEER, PROPERTIES, VRRP, xml};
use steadfast_core::State;

/// A method call.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Object.
    pub path: &'a str,
    /// Interface; it may be left out.
    pub interface: Option<&'a str>,
    /// Method.
    pub member: &'a str,
    /// Types of its arguments, without brackets.
    pub signature: &'a str,
    /// Its first arguments, as long as they are strings.
    pub strings: &'a [String],
}

/// The value of a property.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// `(s)`: keepalived gives the name as a structure of one string, although its interface says `s`, and clients take it apart.
    Name(String),
    /// `(us)`.
    State(Status),
}

/// What a client wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// Write the data dump.
    PrintData,
    /// Write the statistics.
    PrintStats,
    /// Write the statistics, and begin to count anew.
    PrintStatsClear,
    /// Read the configuration again.
    Reload,
    /// Announce the addresses of this instance.
    Announce(String),
}

/// What a call is answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// Nothing to say.
    Empty,
    /// `s`: XML.
    Text(String),
    /// `s`: the machine id, which is asked of the system.
    MachineId,
    /// `v`.
    Value(Value),
    /// `a{sv}`.
    All(Vec<(&'static str, Value)>),
    /// Nothing, once this is on its way.
    Done(Wish),
    /// An error: its name below `org.freedesktop.DBus.Error`, and words.
    Error(&'static str, String),
}

const NO_METHOD: &str = "UnknownMethod";
const NO_ARGUMENT: &str = "InvalidArgs";

/// Signatures of the methods that there are; `None`: there is no such method.
fn signature(interface: &str, member: &str) -> Option<&'static str> {
    Some(match (interface, member) {
        (VRRP, "PrintData" | "PrintStats" | "PrintStatsClear" | "ReloadConfig") => "",
        (VRRP, "CreateInstance") => "ssuu",
        (VRRP, "DestroyInstance") => "s",
        (INSTANCE, "SendGarp") => "",
        (PROPERTIES, "Get") => "ss",
        (PROPERTIES, "GetAll") => "s",
        (PROPERTIES, "Set") => "ssv",
        (INTROSPECTABLE, "Introspect") => "",
        (PEER, "Ping" | "GetMachineId") => "",
        _ => return None,
    })
}

/// An object as far as calls are concerned.
enum Target<'a> {
    Daemon,
    Instance(&'a Object),
}

impl Tree {
    /// Answers a call.
    pub fn answer(&self, call: &Call<'_>) -> Answer {
        let target = match self.instance(call.path) {
            Some(object) => Some(Target::Instance(object)),
            None => (call.path == self.vrrp()).then_some(Target::Daemon),
        };
        let own = target.as_ref().map(|t| if matches!(t, Target::Daemon) { VRRP } else { INSTANCE });
        // Every path can be pinged and introspected, as the bus's own tools do on their way down.
        let interfaces = own.into_iter().chain(own.map(|_| PROPERTIES)).chain([INTROSPECTABLE, PEER]);
        let mut fit = interfaces.filter(|i| call.interface.is_none_or(|wanted| wanted == *i)).peekable();
        let (path, member) = (call.path, call.member);
        if fit.peek().is_none() {
            let text = match (own, call.interface) {
                (Some(_), Some(i)) => format!("No such interface “{i}” on object at path {path}"),
                _ => format!("Object does not exist at path “{path}”"),
            };
            return Answer::Error(NO_METHOD, text);
        }
        let Some((interface, expected)) = fit.find_map(|i| Some((i, signature(i, member)?))) else {
            return Answer::Error(NO_METHOD, format!("No such method “{member}”"));
        };
        if call.signature != expected {
            let text = format!("Type of message, “({})”, does not match expected type “({expected})”", call.signature);
            return Answer::Error(NO_ARGUMENT, text);
        }
        match (interface, target) {
            (INTROSPECTABLE, _) => Answer::Text(xml::introspect(self, path, own)),
            (PEER, _) if member == "Ping" => Answer::Empty,
            (PEER, _) => Answer::MachineId,
            (PROPERTIES, Some(target)) => property(&target, member, call.strings),
            (VRRP, _) => match member {
                "PrintData" => Answer::Done(Wish::PrintData),
                "PrintStats" => Answer::Done(Wish::PrintStats),
                "PrintStatsClear" => Answer::Done(Wish::PrintStatsClear),
                "ReloadConfig" => Answer::Done(Wish::Reload),
                _ => Answer::Error("NotSupported", "instances are made and removed by the configuration file".into()),
            },
            (_, Some(Target::Instance(object))) => Answer::Done(Wish::Announce(object.name.clone())),
            _ => Answer::Error(NO_METHOD, format!("No such method “{member}”")),
        }
    }
}

/// org.freedesktop.DBus.Properties.
fn property(target: &Target<'_>, member: &str, strings: &[String]) -> Answer {
    let (own, all) = match target {
        Target::Daemon => (VRRP, Vec::new()),
        Target::Instance(o) => {
            let status = o.status.unwrap_or(Status::In(State::Init));
            (INSTANCE, vec![("Name", Value::Name(o.name.clone())), ("State", Value::State(status))])
        }
    };
    let word = |n: usize| strings.get(n).map_or("", String::as_str);
    // The standard ones have no properties.
    let standard = [PROPERTIES, INTROSPECTABLE, PEER].contains(&word(0));
    if word(0) != own && !standard {
        return Answer::Error(NO_ARGUMENT, format!("No such interface “{}”", word(0)));
    }
    if member == "GetAll" {
        return Answer::All(if standard { Vec::new() } else { all });
    }
    match all.into_iter().find(|(name, _)| *name == word(1) && !standard) {
        None => Answer::Error(NO_ARGUMENT, format!("No such property “{}”", word(1))),
        Some((name, _)) if member == "Set" => Answer::Error(NO_ARGUMENT, format!("Property “{name}” is not writable")),
        Some((_, value)) => Answer::Value(value),
    }
}
