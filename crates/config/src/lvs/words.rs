//! Single words of virtual and real servers that have a limit or must stand alone.

use crate::diag::Class;
use crate::parse::Cx;

/// Characters of a name that the kernel takes: of a link, and of a persistence engine.
const NAME: usize = 15;

/// A link to connect by.
pub(crate) fn link(c: &mut Cx<'_>, v: &mut Option<String>) {
    let Some(w) = c.value() else { return };
    if w.text.len() > NAME {
        c.report_at(Class::General, w, format!("'{}' is too long for the name of an interface, ignoring it", w.text));
    } else {
        *v = Some(w.text.to_string());
    }
}

/// `persistence_engine`: what the kernel has no room for is cut off.
pub(crate) fn engine(c: &mut Cx<'_>, v: &mut Option<String>) {
    let Some(w) = c.value() else { return };
    let name: String = w
        .text
        .chars()
        .scan(0, |n, x| {
            *n += x.len_utf8();
            (*n <= NAME).then_some(x)
        })
        .collect();
    if name.len() < w.text.len() {
        c.report_at(Class::General, w, format!("'{}' is too long for a persistence engine, using '{name}'", w.text));
    }
    *v = Some(name);
}

/// `snmp_name`: one word, or none is taken.
pub(crate) fn snmp_name(c: &mut Cx<'_>, v: &mut Option<String>) {
    let Some(w) = c.value() else { return };
    if c.word(2).is_some() {
        c.report(Class::General, "snmp_name takes one word (in quotes where it has blanks), ignoring it");
    } else {
        *v = Some(w.text.to_string());
    }
}

/// NAT and DR have nothing behind them.
pub(super) fn no_options(c: &mut Cx<'_>) {
    if let Some(o) = c.word(2) {
        c.report_at(
            Class::General,
            o,
            format!("'{}' is an option of no tunnel, ignoring it: TUN alone has any", o.text),
        );
    }
}
