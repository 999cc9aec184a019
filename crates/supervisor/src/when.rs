//! When a scheduled reload is due: the line of `reload_time_file`.

/// A moment as somebody wrote it: `HH:MM[:SS]` or `[YY]YY-MM-DD HH:MM[:SS]`, and `Z` behind it for universal time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct When {
    /// Year, month 1..=12, day 1..=31; `None`: every day.
    pub date: Option<(i32, u8, u8)>,
    /// Hour, minute, second.
    pub time: (u8, u8, u8),
    /// Universal time, not local.
    pub universal: bool,
}

impl When {
    /// Reads the first line of a file; nothing else may be on it.
    pub fn parse(text: &str) -> Option<When> {
        let line = text.lines().next()?;
        let (line, universal) = line.strip_suffix('Z').map_or((line, false), |l| (l, true));
        let (date, time) = match line.split_once(' ') {
            Some((date, time)) => (Some(date), time),
            None => (None, line),
        };
        let two = |t: &str, low: u8, high: u8| {
            let n = (t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<u8>().ok()).flatten()?;
            (low..=high).contains(&n).then_some(n)
        };
        let date = match date {
            None => None,
            Some(date) => {
                let [year, month, day] = date.split('-').collect::<Vec<_>>()[..] else { return None };
                let digits = year.bytes().all(|b| b.is_ascii_digit());
                let year = match year.len() {
                    2 if digits => 2000 + year.parse::<i32>().ok()?,
                    4 if digits => year.parse().ok()?,
                    _ => return None,
                };
                let (month, day) = (two(month, 1, 12)?, two(day, 1, 31)?);
                (day <= days(year, month)).then_some(())?;
                Some((year, month, day))
            }
        };
        let parts: Vec<&str> = time.split(':').collect();
        let time = match parts[..] {
            [h, m] => (two(h, 0, 23)?, two(m, 0, 59)?, 0),
            // 60 is a leap second.
            [h, m, s] => (two(h, 0, 23)?, two(m, 0, 59)?, two(s, 0, 60)?),
            _ => return None,
        };
        Some(When { date, time, universal })
    }
}

/// Days of a month.
fn days(year: i32, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::When;

    #[test]
    fn moments() {
        let at = |date, time, universal| Some(When { date, time, universal });
        for (text, expected) in [
            ("00:00", at(None, (0, 0, 0), false)),
            ("23:59:60Z", at(None, (23, 59, 60), true)),
            ("26-11-21 09:10:11\nmore", at(Some((2026, 11, 21)), (9, 10, 11), false)),
            ("2024-02-29 09:10Z", at(Some((2024, 2, 29)), (9, 10, 0), true)),
            ("2026-02-29 09:10", None),
            ("2026-13-01 09:10", None),
            ("2026-00-01 09:10", None),
            ("2026-04-31 09:10", None),
            ("24:00", None),
            ("09:60", None),
            ("09:10:61", None),
            ("9:10", None),
            (" 09:10", None),
            ("09:10 ", None),
            ("09:10z", None),
            ("026-11-21 09:10", None),
            ("2026-11-21  09:10", None),
            ("+9:10", None),
            ("", None),
        ] {
            assert_eq!(When::parse(text), expected, "{text}");
        }
    }
}
