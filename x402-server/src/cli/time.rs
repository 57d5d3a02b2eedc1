//! Points in time as people write and read them.

use std::time::Duration;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use x402_core::time::UnixSeconds;

/// Reads `2026-11-21T08:00:00Z`, `2026-11-21` (midnight UTC), seconds since 1970, or how long ago: `90s`, `30m`, `2h`,
/// `7d`, `4w`.
pub(super) fn read(text: &str, now: UnixSeconds) -> Result<UnixSeconds, &'static str> {
    if let Some(ago) = length(text) {
        return Ok(now.before(ago));
    }
    if let Ok(seconds) = text.parse() {
        return Ok(UnixSeconds::new(seconds));
    }
    let time = match text.parse::<Date>() {
        Ok(date) if text.len() == DATE => date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()),
        _ => text.parse::<Timestamp>(),
    };
    let seconds = time.map(|time| u64::try_from(time.as_second()));
    seconds.ok().and_then(Result::ok).map(UnixSeconds::new).ok_or(WANTED)
}

fn length(text: &str) -> Option<Duration> {
    let unit = match text.chars().last()? {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        'w' => 7 * 24 * 60 * 60,
        _ => return None,
    };
    let count = &text[..text.len() - 1];
    let digits = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let count: u64 = if digits { count.parse().ok()? } else { return None };
    Some(Duration::from_secs(count.checked_mul(unit)?))
}

/// As `2026-11-21T08:00:00Z`; what is beyond all calendars as seconds.
pub(super) fn text(time: UnixSeconds) -> String {
    let stamp = i64::try_from(time.get()).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    stamp.map_or_else(|| time.to_string(), |stamp| stamp.to_string())
}

const DATE: usize = "2026-11-21".len();
const WANTED: &str =
    "wanted a time such as 2026-11-21T08:00:00Z or 2026-11-21, or how long ago, such as 2h or 7d";

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_800_000_000);

    #[test]
    fn times_are_read_as_people_write_them() {
        for (written, seconds) in [
            ("2027-01-15T08:00:00Z", 1_800_000_000),
            ("2027-01-15T09:00:00+01:00", 1_800_000_000),
            ("2027-01-15", 1_799_971_200),
            ("1800000000", 1_800_000_000),
            ("0", 0),
            ("90s", 1_799_999_910),
            ("2h", 1_799_992_800),
            ("7d", 1_799_395_200),
            ("4w", 1_797_580_800),
            ("99999999999d", 0),
        ] {
            assert_eq!(read(written, NOW).map(UnixSeconds::get), Ok(seconds), "{written}");
        }
        for wrong in [
            "",
            "h",
            "-2h",
            "2 h",
            "1.5h",
            "yesterday",
            "2027-13-01",
            "2027-01-15T08:00:00",
            "1969-12-31",
            "é",
        ] {
            assert!(read(wrong, NOW).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_shown_as_they_are_read() {
        assert_eq!(text(NOW), "2027-01-15T08:00:00Z");
        assert_eq!(read(&text(NOW), UnixSeconds::new(0)), Ok(NOW));
        assert_eq!(text(UnixSeconds::MAX), u64::MAX.to_string());
    }
}
