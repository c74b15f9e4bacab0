//! Instants as the server reads them in conditions.

/// A point in time: seconds since 1970 and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(i64, u32);

impl Instant {
    /// Reads RFC 3339 as strictly as the server: `T` and `Z` in capitals, an offset with a colon, no leap second; but hours below
    /// ten may have one digit.
    pub fn parse(text: &str) -> Option<Self> {
        let date = text.get(..10)?;
        let time = text.get(10..)?.strip_prefix('T')?;
        let (year, month, day) = (number(date.get(..4)?)?, number(date.get(5..7)?)?, number(date.get(8..)?)?);
        let (hour, time) = time.split_once(':')?;
        let punctuated = date.as_bytes()[4] == b'-'
            && date.as_bytes()[7] == b'-'
            && (1..=2).contains(&hour.len())
            && time.as_bytes().get(2) == Some(&b':');
        let (hour, minute, second) = (number(hour)?, number(time.get(..2)?)?, number(time.get(3..5)?)?);
        let in_range = (1..=12).contains(&month)
            && (1..=days_in(year, month)).contains(&day)
            && hour <= 23
            && minute <= 59
            && second <= 59;
        let (nanoseconds, zone) = fraction(time.get(5..)?)?;
        if !punctuated || !in_range {
            return None;
        }
        let local = days_before(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
        Some(Self(local - offset(zone)?, nanoseconds))
    }

    /// Whether no part of a second is left over; the server stores whole seconds only.
    pub fn is_whole(self) -> bool {
        self.1 == 0
    }
}

fn number(digits: &str) -> Option<i64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The nanoseconds of `.123`, and what follows it.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(rest) = text.strip_prefix(['.', ',']) else { return Some((0, text)) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, zone) = rest.split_at(end);
    if digits.is_empty() {
        return None;
    }
    let padded: String = digits.chars().chain("000000000".chars()).take(9).collect();
    Some((padded.parse().ok()?, zone))
}

/// The seconds that a zone is ahead of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (hours <= 24 && minutes <= 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// The days from 1970-01-01 to a date (Gregorian, also before its introduction).
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let past = year - 1;
    let years = past * 365 + past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400);
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    years + months + day - 1 - 719_162
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn instants_compare() {
        let instant = |text: &str| Instant::parse(text).unwrap();
        assert_eq!(instant("1970-01-01T00:00:00Z"), Instant(0, 0));
        assert_eq!(instant("2027-01-31T02:00:00+02:00"), instant("2027-01-31T00:00:00Z"));
        assert_eq!(instant("2027-01-31T9:00:00Z"), instant("2027-01-31T09:00:00Z"));
        assert!(instant("2027-01-31T00:00:00.0Z").is_whole() && !instant("2027-01-31T00:00:00.5Z").is_whole());
        assert!(instant("2027-01-31T00:00:00.5Z") > instant("2027-01-31T00:00:00.25Z"));
    }

    #[test]
    fn other_shapes_are_refused() {
        for text in [
            "",
            "2027-01-31",
            "2027-01-31T00:00Z",
            "2027-01-31 00:00:00Z",
            "2027-01-31t00:00:00Z",
            "2027-01-31T00:00:00",
            "2027-01-31T00:00:00.Z",
            "2027-02-29T00:00:00Z",
            "2027-01-31T24:00:00Z",
            "2027-01-31T000:00:00Z",
            "2027-01-31T:00:00Z",
            "2027-01-31T00:0:00Z",
            "2027-01-31T00:00:60Z",
            "2027-01-31T00:00:00+0200",
            "2027-01-31T00:00:00+25:00",
            "2027-01-31T00:00:00Zä",
            "ä027-01-31T00:00:00Z",
        ] {
            assert_eq!(Instant::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn seconds_agree_with_a_calendar(second in -62_135_596_800_i64..253_402_300_799) {
            let text = jiff::Timestamp::from_second(second).unwrap().to_string();
            prop_assert_eq!(Instant::parse(&text), Some(Instant(second, 0)), "{}", text);
        }

        #[test]
        fn no_text_breaks_it(text in "\\PC{0,30}") {
            Instant::parse(&text);
        }
    }
}
