//! Dates as feeds write them. A date that cannot be read is none, never a guess at now.

use crate::model::Time;

/// Longest text that can be a date.
const MAX_CHARS: usize = 100;

/// Month names by what they begin with: English, Russian, Ukrainian, German, French, Spanish and
/// Polish.
const MONTHS: [(u8, &[&str]); 12] = [
    (1, &["jan", "янв", "січ", "ene", "sty"]),
    (2, &["feb", "фев", "лют", "fév", "fev", "lut"]),
    (3, &["mar", "мар", "бер", "mär", "maer", "mrz", "marz"]),
    (4, &["apr", "апр", "кві", "avr", "abr", "kwi"]),
    (5, &["may", "май", "мая", "тра", "mai", "maj"]),
    (6, &["jun", "июн", "чер", "juin", "cze"]),
    (7, &["jul", "июл", "лип", "juil", "lip"]),
    (8, &["aug", "авг", "сер", "aoû", "aou", "ago", "sie"]),
    (9, &["sep", "сен", "вер", "set", "wrz"]),
    (10, &["oct", "окт", "жов", "okt", "paź", "paz"]),
    (11, &["nov", "ноя", "лис", "lis"]),
    (12, &["dec", "дек", "гру", "dez", "déc", "dic", "gru"]),
];

/// Named zones and their minutes east of Greenwich.
const ZONES: [(&str, i32); 32] = [
    ("Z", 0),
    ("UT", 0),
    ("UTC", 0),
    ("GMT", 0),
    ("WET", 0),
    ("WEST", 60),
    ("BST", 60),
    ("CET", 60),
    ("MEZ", 60),
    ("CEST", 120),
    ("MESZ", 120),
    ("EET", 120),
    ("EEST", 180),
    ("MSK", 180),
    ("IDT", 180),
    ("TRT", 180),
    ("GST", 240),
    ("PKT", 300),
    ("JST", 540),
    ("KST", 540),
    ("HKT", 480),
    ("SGT", 480),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("EST", -300),
    ("EDT", -240),
    ("CST", -360),
    ("CDT", -300),
    ("PST", -480),
    ("PDT", -420),
];

/// A calendar date and a time of day.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    year: i16,
    month: u8,
    day: u8,
    clock: Clock,
    offset_minutes: i32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    hour: u8,
    minute: u8,
    second: u8,
    millis: u16,
}

/// Reads a date: RFC 3339 and its usual misspellings, RFC 2822 and its usual misspellings, month
/// names of seven languages, seconds or milliseconds since 1970. Without a zone it is UTC.
pub fn read(text: &str) -> Option<Time> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_CHARS {
        return None;
    }
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return unix(text);
    }
    numeric(text).or_else(|| words(text)).and_then(Parts::time)
}

/// Reads a date that a text begins with, `2024-01-10` with an optional time of day, and answers
/// what follows it. The outer none = there is none; the inner none = no such day.
pub(super) fn leading(text: &str) -> Option<(Option<Time>, &str)> {
    let (year, month, day, rest) = day_first_four(text)?;
    let mut parts = Parts { year, month, day, ..Parts::default() };
    let mut after = rest;
    if rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Some((clock, tail)) = rest.strip_prefix(['T', 't', ' ']).and_then(clock) {
        parts.clock = clock;
        after = tail;
        if let Some((minutes, tail)) = leading_zone(tail) {
            parts.offset_minutes = minutes;
            after = tail;
        }
    }
    Some((parts.time(), after))
}

impl Parts {
    fn time(self) -> Option<Time> {
        let Clock { hour, minute, second, millis } = self.clock;
        if hour > 24 || minute > 59 || second > 60 || self.offset_minutes.abs() > 15 * 60 {
            return None;
        }
        let month = i8::try_from(self.month).ok()?;
        let day = i8::try_from(self.day).ok()?;
        let midnight = jiff::civil::Date::new(self.year, month, day).ok()?.at(0, 0, 0, 0);
        let midnight = jiff::tz::Offset::UTC.to_timestamp(midnight).ok()?.as_millisecond();
        // A leap second counts as the last ordinary one; 24:00 is the next midnight.
        let seconds = i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second.min(59));
        let offset = i64::from(self.offset_minutes) * 60;
        Some(Time::from_millis(midnight + (seconds - offset) * 1_000 + i64::from(millis)))
    }
}

fn unix(digits: &str) -> Option<Time> {
    let n: i64 = digits.parse().ok()?;
    match digits.len() {
        9 | 10 => Some(Time::from_millis(n * 1_000)),
        12 | 13 => Some(Time::from_millis(n)),
        _ => None,
    }
}

/// `YYYY-MM-DD`, also with `/` or `.`, then perhaps a time of day and a zone.
fn numeric(text: &str) -> Option<Parts> {
    let (year, month, day, rest) = day_first_four(text)?;
    let mut parts = Parts { year, month, day, ..Parts::default() };
    let rest = rest.trim_start_matches(['T', 't', ' ', ',']);
    if rest.is_empty() {
        return Some(parts);
    }
    let (clock, rest) = clock(rest)?;
    parts.clock = clock;
    parts.offset_minutes = zone(rest.trim())?;
    Some(parts)
}

fn day_first_four(text: &str) -> Option<(i16, u8, u8, &str)> {
    let (year, rest) = number(text, 4, 4)?;
    let mark = rest.chars().next().filter(|c| matches!(c, '-' | '/' | '.'))?;
    let (month, rest) = number(rest.strip_prefix(mark)?, 1, 2)?;
    let (day, rest) = number(rest.strip_prefix(mark)?, 1, 2)?;
    Some((i16::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?, rest))
}

/// A number of at least and at most so many digits, and what follows.
fn number(text: &str, least: usize, most: usize) -> Option<(u32, &str)> {
    let len = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if len < least {
        return None;
    }
    let (digits, rest) = text.split_at_checked(len)?;
    Some((digits.parse().ok()?, rest))
}

/// `HH:MM[:SS[.fff]]` with an optional am or pm, and what follows.
fn clock(text: &str) -> Option<(Clock, &str)> {
    let (hour, rest) = number(text, 1, 2)?;
    let (minute, mut rest) = number(rest.strip_prefix(':')?, 2, 2)?;
    let mut clock = Clock { hour: hour as u8, minute: minute as u8, ..Clock::default() };
    if let Some((second, tail)) = rest.strip_prefix(':').and_then(|t| number(t, 2, 2)) {
        clock.second = second as u8;
        rest = tail;
        if let Some(tail) = rest.strip_prefix(['.', ',']) {
            let len = tail.bytes().take_while(u8::is_ascii_digit).count();
            let (digits, tail) = tail.split_at_checked(len)?;
            let millis: String = digits.chars().chain("000".chars()).take(3).collect();
            clock.millis = millis.parse().ok()?;
            rest = tail;
        }
    }
    if let Some((half, tail)) = rest.trim_start().split_at_checked(2) {
        let ends = !tail.starts_with(|c: char| c.is_alphanumeric());
        if half.eq_ignore_ascii_case("pm") && ends && clock.hour <= 12 {
            clock.hour = clock.hour % 12 + 12;
            rest = tail;
        } else if half.eq_ignore_ascii_case("am") && ends && clock.hour <= 12 {
            clock.hour %= 12;
            rest = tail;
        }
    }
    Some((clock, rest))
}

/// Minutes east of Greenwich: a name, an offset, or both; nothing and unknown names are UTC, as
/// RFC 2822 has it. None = this is no zone at all.
fn zone(text: &str) -> Option<i32> {
    let text = text.split('(').next().unwrap_or_default().trim();
    let at = text.find(['+', '-', '\u{2212}']).unwrap_or(text.len());
    let (name, offset) = text.split_at(at);
    let name = name.trim();
    if !name.chars().all(|c| c.is_alphabetic() || ".[]/_ ".contains(c)) {
        return None;
    }
    if offset.is_empty() {
        let known = ZONES.iter().find(|(z, _)| z.eq_ignore_ascii_case(name));
        return Some(known.map_or(0, |(_, minutes)| *minutes));
    }
    let sign = if offset.starts_with('+') { 1 } else { -1 };
    let digits = offset.trim_start_matches(['+', '-', '\u{2212}']).trim();
    let (hours, minutes) = match digits.split_once(':') {
        Some((h, m)) => (number(h, 1, 2)?.0, number(m, 2, 2)?.0),
        None => match (digits.len(), digits.parse::<u32>().ok()?) {
            (1 | 2, h) => (h, 0),
            (3 | 4, hm) => (hm / 100, hm % 100),
            _ => return None,
        },
    };
    let total = i32::try_from(hours * 60 + minutes).ok()?;
    (minutes < 60).then_some(sign * total)
}

/// A zone right behind a time of day: `Z`, `UTC`, `+02:00`.
fn leading_zone(text: &str) -> Option<(i32, &str)> {
    for (name, minutes) in [("Z", 0), (" UTC", 0), (" GMT", 0)] {
        if let Some(rest) = text.strip_prefix(name)
            && !rest.starts_with(char::is_alphanumeric)
        {
            return Some((minutes, rest));
        }
    }
    let (sign, rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let (hours, rest) = number(rest, 2, 2)?;
    let (minutes, rest) = number(rest.strip_prefix(':').unwrap_or(rest), 2, 2)?;
    (minutes < 60).then_some((sign * i32::try_from(hours * 60 + minutes).ok()?, rest))
}

/// Words and numbers in nearly any order: `Wed, 10 Jan 24 7:04 EST`, `10. Januar 2024`.
fn words(text: &str) -> Option<Parts> {
    let mut found = Found::default();
    let text = text.split('(').next().unwrap_or_default();
    for token in text.split(|c: char| c.is_whitespace() || c == ',').filter(|t| !t.is_empty()) {
        found.take(token);
    }
    let (day, month, year) = (found.day?, found.month?, found.year?);
    let clock = found.clock.unwrap_or_default();
    Some(Parts { year, month, day, clock, offset_minutes: found.zone.unwrap_or(0) })
}

#[derive(Default)]
struct Found {
    day: Option<u8>,
    month: Option<u8>,
    year: Option<i16>,
    clock: Option<Clock>,
    zone: Option<i32>,
}

impl Found {
    fn take(&mut self, token: &str) {
        if self.clock.is_none() && token.contains(':') {
            if let Some((clock, rest)) = clock(token) {
                self.clock = Some(clock);
                if !rest.is_empty() {
                    self.zone = zone(rest);
                }
            }
            return;
        }
        if let Some(clock) = &mut self.clock {
            match token.to_ascii_lowercase().as_str() {
                "pm" if clock.hour <= 12 => clock.hour = clock.hour % 12 + 12,
                "am" if clock.hour <= 12 => clock.hour %= 12,
                _ if self.is_full() => self.zone = zone(token).or(self.zone),
                _ => self.part(token),
            }
            return;
        }
        self.part(token);
    }

    fn is_full(&self) -> bool {
        self.day.is_some() && self.month.is_some() && self.year.is_some()
    }

    fn part(&mut self, token: &str) {
        let pieces: Vec<&str> = token.split(['-', '.', '/']).filter(|p| !p.is_empty()).collect();
        if let [day, month, year] = pieces[..]
            && let (Some(d), Some(y)) = (digits(day), digits(year))
        {
            // Day, month, year with dots is one custom; with slashes there are two, so it is none.
            let numbered = if token.contains('.') { digits(month) } else { None };
            let month = month_of(month).or(numbered.and_then(|m| u8::try_from(m).ok()));
            self.day = u8::try_from(d).ok();
            self.month = month;
            self.year = year_of(y, year.len());
            return;
        }
        if let Some(month) = month_of(token) {
            // A weekday can look like a month ("mar."); the one behind the day is the month.
            if self.month.is_none() || self.day.is_some() {
                self.month = Some(month);
            }
            return;
        }
        let len = token.bytes().take_while(u8::is_ascii_digit).count();
        let Some((n, rest)) = number(token, 1, 4) else { return };
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            return;
        }
        match self.day {
            None if len <= 2 => self.day = u8::try_from(n).ok(),
            _ => self.year = self.year.or(year_of(n, len)),
        }
    }
}

fn digits(text: &str) -> Option<u32> {
    number(text, 1, 4).filter(|(_, rest)| rest.is_empty()).map(|(n, _)| n)
}

fn year_of(n: u32, len: usize) -> Option<i16> {
    let full = match len {
        2 if n < 70 => 2_000 + n,
        2 => 1_900 + n,
        4 => n,
        _ => return None,
    };
    i16::try_from(full).ok()
}

fn month_of(token: &str) -> Option<u8> {
    let name = token.to_lowercase();
    let found = MONTHS.iter().find(|(_, names)| names.iter().any(|n| name.starts_with(n)));
    found.map(|(month, _)| *month)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_feeds_write_them() {
        for (text, want) in [
            ("Wed, 10 Jan 2024 07:04:05 GMT", "2024-01-10T07:04:05.000Z"),
            ("Tue, 10 Jan 24 7:04 EST", "2024-01-10T12:04:00.000Z"),
            ("10 Jan 2024 07:04 +0200", "2024-01-10T05:04:00.000Z"),
            ("10 Jan 2024 07:04:00 +2:00", "2024-01-10T05:04:00.000Z"),
            ("10 Jan 2024 07:04 GMT+2", "2024-01-10T05:04:00.000Z"),
            ("10 Jan 2024 07:04 -0330 (NST)", "2024-01-10T10:34:00.000Z"),
            ("10 Jan 99", "1999-01-10T00:00:00.000Z"),
            ("Jan 10, 2024 07:04 PM", "2024-01-10T19:04:00.000Z"),
            ("Jan 10 2024 12:04am", "2024-01-10T00:04:00.000Z"),
            ("10-Jan-2024 07:04:05", "2024-01-10T07:04:05.000Z"),
            ("10.01.2024 07:04", "2024-01-10T07:04:00.000Z"),
            ("10. Januar 2024 07:04 Uhr", "2024-01-10T07:04:00.000Z"),
            ("mar., 9 janv. 2024 07:04 CET", "2024-01-09T06:04:00.000Z"),
            ("10 de enero de 2024", "2024-01-10T00:00:00.000Z"),
            ("10 stycznia 2024", "2024-01-10T00:00:00.000Z"),
            ("Ср, 10 янв 2024 10:04:00 MSK", "2024-01-10T07:04:00.000Z"),
            ("середа, 10 січня 2024 р. 07:04", "2024-01-10T07:04:00.000Z"),
            ("2024-01-10", "2024-01-10T00:00:00.000Z"),
            ("2024-01-10T07:04Z", "2024-01-10T07:04:00.000Z"),
            ("2024-01-10T07:04:05.1239+01:00", "2024-01-10T06:04:05.123Z"),
            ("2024-01-10 07:04", "2024-01-10T07:04:00.000Z"),
            ("2024-01-10 07:04:05 +0100", "2024-01-10T06:04:05.000Z"),
            ("2024/1/9 7:04 JST", "2024-01-08T22:04:00.000Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z"),
            ("2024-01-10T24:00:00Z", "2024-01-11T00:00:00.000Z"),
            ("1704870245", "2024-01-10T07:04:05.000Z"),
            ("1704870245123", "2024-01-10T07:04:05.123Z"),
        ] {
            assert_eq!(read(text).map(|t| t.to_string()).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "yesterday",
            "2024",
            "2024-02-30",
            "2024-13-01",
            "30 Feb 2024",
            "07:04",
            "01/10/2024",
            "2024-01-10T25:00",
            "10 Jan",
            "99999999999999999999",
            "+",
            ":::",
            "1:",
            "-",
            "年月日",
            "2024-01-10T07:04+99:00",
            &"1 ".repeat(500),
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
