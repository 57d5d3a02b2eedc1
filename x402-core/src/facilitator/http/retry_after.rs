//! `Retry-After`: seconds, or a date. Pure.

use std::time::Duration;

use crate::time::UnixSeconds;

/// How long to wait, as the header says it; nothing where it cannot be read.
pub(super) fn retry_after(value: &str, now: UnixSeconds) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number too long to be read is a long time.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    Some(date(value)?.since(now))
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form that is still written.
fn date(text: &str) -> Option<UnixSeconds> {
    let (_, rest) = text.split_once(", ")?;
    let [day, month, year, time, "GMT"] = rest.split(' ').collect::<Vec<_>>()[..] else { return None };
    let [hour, minute, second] = time.split(':').map(|part| number(part, 2)).collect::<Vec<_>>()[..] else {
        return None;
    };
    let (day, year) = (number(day, 2)?, number(year, 4)?);
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let (hour, minute, second) = (hour?, minute?, second?);
    let valid = (1970..=9999).contains(&year) && (1..=31).contains(&day);
    if !valid || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_before(year, month) + day - 1;
    Some(UnixSeconds::new(((days * 24 + hour) * 60 + minute) * 60 + second))
}

/// Days from 1970 to the first of a month, counted from March so that a leap day comes last.
const fn days_before(year: u64, month: u64) -> u64 {
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let leaps = year / 4 - year / 100 + year / 400;
    year * 365 + leaps + (month * 153 + 2) / 5 - BEFORE_1970
}

fn number(text: &str, digits: usize) -> Option<u64> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Days from March of the year 0 to January 1970.
const BEFORE_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_read() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777),
            ("Tue, 29 Feb 2000 00:00:00 GMT", 951_782_400),
            ("Wed, 01 Mar 2000 00:00:00 GMT", 951_868_800),
            ("Sun, 28 Feb 2100 23:59:59 GMT", 4_107_542_399),
            ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
        ] {
            assert_eq!(date(text), Some(UnixSeconds::new(seconds)), "{text}");
        }
    }

    #[test]
    fn seconds_and_dates_tell_how_long_to_wait() {
        let now = UnixSeconds::new(784_111_777);
        for (value, wait) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("Sun Nov  6 08:49:37 1994", None),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 06 Nov 1994 +8:49:37 GMT", None),
        ] {
            assert_eq!(retry_after(value, now), wait.map(Duration::from_secs), "{value}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(value in ".{0,40}", now in any::<u64>()) {
            let _ = retry_after(&value, UnixSeconds::new(now));
        }

        #[test]
        fn days_follow_each_other(year in 1970_u64..9999, month in 0_u64..12) {
            let next = if month == 11 { days_before(year + 1, 0) } else { days_before(year, month + 1) };
            prop_assert!((28..=31).contains(&(next - days_before(year, month))));
        }
    }
}
