//! The calendar: what moment of the wall clock a date and a time are here.

use std::time::Duration;

/// Seconds since 1970.
fn wall() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// How long until a moment: `date` is year, month, day, and without it the next such time of day; `time` is hour, minute, second.
/// `None` when it has passed or is no moment at all.
pub fn until(date: Option<(i32, u8, u8)>, time: (u8, u8, u8), universal: bool) -> Option<Duration> {
    let now = wall();
    let (hour, minute, second) = time;
    // SAFETY: tm is plain data, for which zero is valid; the calls write to it or read from it alone.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    match date {
        Some((year, month, day)) => {
            tm.tm_year = year - 1900;
            tm.tm_mon = i32::from(month) - 1;
            tm.tm_mday = i32::from(day);
        }
        // SAFETY: as above.
        None => unsafe {
            if universal {
                libc::gmtime_r(&now, &mut tm);
            } else {
                libc::localtime_r(&now, &mut tm);
            }
        },
    }
    (tm.tm_hour, tm.tm_min, tm.tm_sec) = (i32::from(hour), i32::from(minute), i32::from(second));
    let seconds = |tm: &mut libc::tm| {
        // Whether summer time holds then is for the library to find out.
        tm.tm_isdst = -1;
        // SAFETY: as above.
        unsafe { if universal { libc::timegm(tm) } else { libc::mktime(tm) } }
    };
    let mut at = seconds(&mut tm);
    if date.is_none() && at <= now {
        tm.tm_mday += 1;
        (tm.tm_hour, tm.tm_min, tm.tm_sec) = (i32::from(hour), i32::from(minute), i32::from(second));
        at = seconds(&mut tm);
    }
    u64::try_from(at - now).ok().filter(|s| *s > 0).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_such_time_is_within_a_day_and_what_has_passed_is_none() {
        for universal in [false, true] {
            let next = until(None, (12, 0, 0), universal).expect("a moment");
            assert!(next <= Duration::from_secs(25 * 3600), "{next:?}");
            assert_eq!(until(Some((2001, 1, 1)), (0, 0, 0), universal), None);
            let far = until(Some((2100, 1, 1)), (0, 0, 0), universal).expect("a moment");
            assert!(far > Duration::from_secs(3600), "{far:?}");
        }
        // In universal time the reckoning can be checked.
        let midnight = until(None, (0, 0, 0), true).expect("midnight").as_secs() as i64;
        assert!((wall() + midnight) % 86400 <= 1, "{midnight}");
    }
}
