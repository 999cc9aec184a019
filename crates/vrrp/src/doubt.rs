//! A router is heard whose adverts prove nothing. "I hear nobody that I may believe" is not "there is nobody": to take over then
//! would make a second master, by a wrong clock, a mistyped key or a restart alone.
//!
//! * The check is right, the stamp is not fresh: ask, by an advert of the least priority. A living master answers; if nobody
//!   does, it was a recording, and the takeover goes on.
//! * The check is wrong or missing: nothing can be asked. The takeover is held back for as long as such adverts come, as if they
//!   were a master's, and an alarm is raised. Whoever prefers it otherwise says so (`auth_hold no`).

use crate::Output;
use crate::machine::Standing;
use crate::router::Router;
use log::Level;
use std::time::Duration;
use steadfast_core::Time;

/// Priority of an advert that asks: every master answers it.
pub(crate) const QUESTION: u8 = 1;
/// Questions that nobody answered before a backup believes that nobody is there.
const TRIES: u32 = 2;
/// Between two alarms.
const ALARM: Duration = Duration::from_secs(60);

impl Router {
    pub(crate) fn set_wall(&mut self, now: Time, wall: Duration) {
        let wall = i128::try_from(wall.as_nanos()).unwrap_or(i128::MAX / 2) - i128::from(now.as_nanos());
        // two clocks are never read at one moment
        if (wall - self.wall).unsigned_abs() < 1_000_000 {
            return;
        }
        self.wall = wall;
        for x in self.slots.iter_mut().flatten().filter(|x| x.config.keyed()) {
            let heard = x.state == steadfast_core::State::Master;
            x.guard.set_wall(wall, heard, now, &x.config);
        }
    }

    /// An advert came whose check is right and whose stamp is not fresh.
    pub(crate) fn on_doubt(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot(i) else { return };
        match x.standing() {
            // whoever it was, if it lives it hears this, and what it says next is later
            Standing::Master => self.reply(i, now, out),
            Standing::Backup => {
                let interval = x.timing_interval();
                let fresh = x.last_heard.is_some_and(|t| now.since(t) < interval + interval / 2);
                if !fresh && x.guard.may_ask(now, interval / 2) {
                    self.ask(i, now, out);
                }
            }
            _ => {}
        }
    }

    /// Sends a question. False: nobody would believe it, or it cannot be sent.
    fn ask(&mut self, i: u32, now: Time, out: &mut Vec<Output>) -> bool {
        let Some(x) = self.slot_mut(i) else { return false };
        let believed = x.config.hmac.is_none() || x.config.trailer().is_some();
        let sent = believed && x.emit(QUESTION, now, out);
        if sent {
            x.guard.ask(now);
        }
        sent
    }

    /// The master-down timer has run out by silence. True: there is somebody all the same, and the timer is armed anew.
    pub(crate) fn held_back(&mut self, i: u32, now: Time, out: &mut Vec<Output>) -> bool {
        let Some(x) = self.slot(i) else { return false };
        if !x.config.keyed() || x.zero_heard.is_some() || x.fast.is_some() {
            return false;
        }
        let (down, answer) = (x.master_down(), x.answer_time());
        let Some(s) = x.guard.sighting.clone().filter(|s| now.since(s.last) < down) else { return false };
        let tries = x.guard.tries;
        if s.authentic && tries >= TRIES {
            let text = format_args!("{} does not answer: its adverts are a recording", s.source);
            self.log(Level::Warn, i, text, out);
            return false;
        }
        let asked = s.authentic && self.ask(i, now, out);
        if asked {
            if let Some(x) = self.slot_mut(i) {
                x.guard.tries = tries + 1;
            }
            self.set_timer(i, crate::keys::Which::Down, now + answer);
            return true;
        }
        let Some(x) = self.slot_mut(i) else { return false };
        if !x.config.auth_hold {
            return false;
        }
        if x.guard.alarm.is_none_or(|t| now.since(t) >= ALARM) {
            x.guard.alarm = Some(now);
            let text = format_args!(
                "not taking over: adverts of {} come in, but fail authentication ({}), {} of them in {:.1} s. If it is no master, silence it",
                s.source,
                s.why,
                s.count,
                now.since(s.since).as_secs_f64()
            );
            self.log(Level::Error, i, text, out);
        }
        self.set_timer(i, crate::keys::Which::Down, s.last + down);
        true
    }
}
