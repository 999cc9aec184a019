//! The event loop's two system calls: wait, and arm the timer.

use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;
use steadfast_core::Time;

/// CLOCK_MONOTONIC as a machine's time.
pub fn now() -> Time {
    let t = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap_or(TimeSpec::new(0, 0));
    let nanos = u64::try_from(t.tv_sec()).unwrap_or(0).saturating_mul(1_000_000_000);
    Time::from_nanos(nanos.saturating_add(u64::try_from(t.tv_nsec()).unwrap_or(0)))
}

/// What a wait brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ready {
    /// The token that was registered.
    pub token: usize,
    /// Readable, or ended at the other side.
    pub readable: bool,
    /// Writable.
    pub writable: bool,
    /// There is an error to be asked for, or the other side has hung up.
    pub failed: bool,
}

impl Ready {
    /// Whatever there may be: it is looked at once without having been told of.
    pub const fn perhaps(token: usize) -> Self {
        Ready { token, readable: true, writable: true, failed: true }
    }
}

/// mio's poll with one timerfd: the timeout of epoll rounds to milliseconds, a timerfd does not.
pub struct Reactor {
    poll: Poll,
    events: Events,
    timer: TimerFd,
    armed: Option<Time>,
}

const TIMER: Token = Token(usize::MAX - 1);

impl Reactor {
    /// A loop without sources. Fails when the kernel is out of descriptors.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)?;
        let fd = {
            use std::os::fd::AsFd;
            timer.as_fd().as_raw_fd()
        };
        poll.registry().register(&mut SourceFd(&fd), TIMER, Interest::READABLE)?;
        Ok(Reactor { poll, events: Events::with_capacity(256), timer, armed: None })
    }

    /// Watches a descriptor for reading. Edge-triggered: drain it to `WouldBlock`.
    pub fn watch(&self, fd: RawFd, token: usize) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&fd), Token(token), Interest::READABLE)
    }

    /// What another thread ends a wait with; one for each loop.
    pub fn waker(&self, token: usize) -> io::Result<mio::Waker> {
        mio::Waker::new(self.poll.registry(), Token(token))
    }

    /// Watches a descriptor for reading and writing.
    pub fn watch_both(&self, fd: RawFd, token: usize) -> io::Result<()> {
        self.poll.registry().register(&mut SourceFd(&fd), Token(token), Interest::READABLE | Interest::WRITABLE)
    }

    /// Stops watching. The descriptor must still be open.
    pub fn forget(&self, fd: RawFd) {
        let _ = self.poll.registry().deregister(&mut SourceFd(&fd));
    }

    /// Waits until something is ready or `until` has come; `None` waits for ever. `busy` polls without waiting, for work that a
    /// budget carried over. The result is empty when only the time has come.
    pub fn wait(&mut self, until: Option<Time>, busy: bool, ready: &mut Vec<Ready>) -> io::Result<()> {
        ready.clear();
        if until != self.armed {
            match until {
                Some(at) => {
                    // An absolute time of zero would disarm the timer.
                    let nanos = at.as_nanos().max(1);
                    let spec = TimeSpec::from_duration(Duration::from_nanos(nanos));
                    self.timer.set(Expiration::OneShot(spec), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
                }
                None => self.timer.unset()?,
            }
            self.armed = until;
        }
        let timeout = if busy { Some(Duration::ZERO) } else { None };
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(e) => return Err(e),
        }
        for e in &self.events {
            if e.token() == TIMER {
                // Arming anew empties it, and each expiry is an edge: nobody needs to read it.
                self.armed = None;
            } else {
                ready.push(Ready {
                    token: e.token().0,
                    readable: e.is_readable() || e.is_read_closed() || e.is_error(),
                    writable: e.is_writable(),
                    failed: e.is_error() || e.is_write_closed(),
                });
            }
        }
        Ok(())
    }
}
