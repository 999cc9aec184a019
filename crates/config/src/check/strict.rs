//! What strict mode takes away from an instance. keepalived says each, and so is it here.

use crate::diag::{Class, Diagnostics};
use crate::model::{GlobalDefs, InitialState, VrrpInstance};
use crate::places::Places;

/// Puts right what the RFCs do not have. `six`: it is of IPv6; `version`: as it is written.
pub(super) fn strict(
    i: &mut VrrpInstance,
    globals: &GlobalDefs,
    six: bool,
    version: Option<u8>,
    at: &Places,
    d: &mut Diagnostics,
) {
    let name = i.name.clone();
    let mut say = |word: &str, text: &str| {
        d.push(Class::General, at.of("vrrp_instance", &name, word), format!("({name}) strict mode: {text}"));
    };
    let owner = i.priority == Some(255);
    match i.state {
        Some(InitialState::Master) if !owner => {
            say("state", "state MASTER needs priority 255, using BACKUP");
            i.state = Some(InitialState::Backup);
        }
        Some(InitialState::Backup) if owner => say("state", "priority 255 is master from the beginning, using MASTER"),
        _ => {}
    }
    if owner {
        i.state = Some(InitialState::Master);
    }
    if six && version == Some(2) {
        say("version", "there is no version 2 over IPv6, using version 3");
    }
    if i.down_timer_adverts.is_none() && globals.down_timer_adverts.is_some_and(|n| n != 3) {
        say("", "it has its own down_timer_adverts, ignoring that of global_defs");
    }
    let first = i.virtual_ipaddress.first().map(|(a, ..)| a.cidr.address);
    if let Some(std::net::IpAddr::V6(first)) = first.filter(|_| six)
        && !first.is_unicast_link_local()
    {
        // RFC 9568 section 5.2.9. The instance runs all the same, as with keepalived.
        say("virtual_ipaddress", &format!("the first IPv6 address must be link-local, and {first} is not"));
    }
}
