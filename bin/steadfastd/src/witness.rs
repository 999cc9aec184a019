//! How children were that do not answer: for each of them a process begins with what it had its parent keep, as its successor would,
//! says how that looks, and ends before it does anything. So the parent needs to read nothing of it, and nobody has to send what
//! nobody may ever ask for.

use crate::cli::Options;
use crate::parent::upgrade::Former;
use crate::rehearsal;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use steadfast_status::live;
use steadfast_sys::{control, handover, now, schedule};

/// All of them together have this long: who asks waits for six seconds, three of which the parent may have waited.
const MOST: Duration = Duration::from_secs(2);

/// What the parent tells.
#[derive(Serialize, Deserialize)]
pub struct Given {
    /// What it says itself.
    pub head: String,
    /// What the children said, in the order of their places.
    pub said: [String; 3],
    /// Of whom something better is to be had, at these places.
    pub silent: Vec<(usize, Former)>,
    /// What they run by.
    pub config: Vec<u8>,
    /// When what the VRRP process held was taken away, by the wall clock.
    pub withdrawn: Option<f64>,
}

/// The whole of an answer.
pub fn answer(head: &str, [vrrp, checker, bfd]: &[String; 3]) -> String {
    format!("{head}\"vrrp\":{vrrp},\"checker\":{checker},\"bfd\":{bfd}}}\n")
}

/// The role: answers the client whose socket is its only descriptor.
pub fn run(options: &Options) -> i32 {
    // Before it hears of anything secret; exec has taken back what the parent had set.
    schedule::core_dumps(options.core_dump);
    if !schedule::die_with_parent(options.parent) {
        return 1;
    }
    let client = options.descriptors.first().copied().unwrap_or(-1);
    let given = handover::load(options.handover.unwrap_or(-1)).ok();
    let Some(Given { head, mut said, silent, config, withdrawn }) =
        given.and_then(|bytes| serde_json::from_slice(&bytes).ok())
    else {
        return 1;
    };
    let end = now() + MOST;
    for (place, former) in silent {
        let left = end.since(now());
        // What was said is more than nothing.
        if left.is_zero() || former.kept.is_empty() && said.get(place).is_some_and(|text| text != "null") {
            continue;
        }
        // Of whom cannot be told so, what it said itself stands.
        if let Ok(Some(text)) = rehearsal::start(options, former, &config, (&["--testify"], left))
            && let Some(place) = said.get_mut(place)
        {
            *place = String::from_utf8_lossy(&text).into_owned();
        }
    }
    if let [vrrp, ..] = &mut said
        && let Some(since) = withdrawn
        && let Ok(mut status) = serde_json::from_str::<live::Vrrp>(vrrp)
    {
        for i in status.instances.iter_mut().filter(|i| i.state != "FAULT") {
            i.state = "FAULT".into();
            i.since = since;
            let why = "the VRRP process does not serve, and what it held was taken away";
            i.faults = vec![why.into()];
            i.history.push(live::Change { at: since, state: "FAULT".into(), cause: why.into() });
        }
        status.instances.iter_mut().for_each(|i| i.holds = false);
        *vrrp = live::to_json(&status);
    }
    i32::from(control::answer(client, answer(&head, &said).as_bytes()).is_err())
}
