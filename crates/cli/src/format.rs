//! Sizes, times and numbers for people.

use std::time::Duration;

/// Bytes in MB = 10^6, for columns of a table.
pub fn megabytes(bytes: u64) -> String {
    match bytes {
        0 => "0".into(),
        1..500 => "<0.001".into(),
        _ => format!("{:.3}", bytes as f64 / 1e6),
    }
}

/// Bytes with a unit, powers of ten.
pub fn bytes(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.2} GB", value / 1e9),
    }
}

/// Milliseconds, for columns of a table.
pub fn milliseconds(seconds: f64) -> String {
    format!("{:.1}", seconds * 1e3)
}

/// Seconds with a unit.
pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1e-3 => format!("{:.0} µs", s * 1e6),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.2} s"),
        s => {
            let whole = s.round() as u64;
            format!("{} min {} s", whole / 60, whole % 60)
        }
    }
}

/// A time limit with a unit.
pub fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        s if duration.subsec_nanos() == 0 => format!("{s} s"),
        _ => seconds(duration.as_secs_f64()),
    }
}

/// A count in thousands, millions or billions.
pub fn count(count: u64) -> String {
    let value = count as f64;
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{:.1} k", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} M", value / 1e6),
        _ => format!("{:.2} G", value / 1e9),
    }
}

/// A link: its bandwidth and its round trip in seconds.
pub fn link(bits_per_second: f64, round_trip: f64) -> String {
    let (value, unit) = match bits_per_second {
        b if b < 1e3 => (b, "bit/s"),
        b if b < 1e6 => (b / 1e3, "kbit/s"),
        b if b < 1e9 => (b / 1e6, "Mbit/s"),
        b => (b / 1e9, "Gbit/s"),
    };
    // Six digits, without what binary fractions add.
    let short = |value: f64| format!("{value:.6}").trim_end_matches('0').trim_end_matches('.').to_owned();
    format!("{} {unit}, {} ms", short(value), short(round_trip * 1e3))
}

/// `1 image`, `2 images`.
pub fn plural(count: impl Into<u64>, what: &str) -> String {
    match count.into() {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        assert_eq!([0, 12, 499, 12_345_678].map(megabytes), ["0", "<0.001", "<0.001", "12.346"]);
        assert_eq!([999, 1000, 12_345_678].map(bytes), ["999 B", "1.0 kB", "12.3 MB"]);
        assert_eq!([0.0001, 0.25, 3.0, 125.4].map(seconds), ["100 µs", "250 ms", "3.00 s", "2 min 5 s"]);
        assert_eq!(duration(Duration::from_secs(60)), "60 s");
        assert_eq!([link(3e9, 0.0008), link(2e8, 0.04)], ["3 Gbit/s, 0.8 ms", "200 Mbit/s, 40 ms"]);
        assert_eq!([12, 123_456, 12_345_678].map(count), ["12", "123.5 k", "12.35 M"]);
        assert_eq!((plural(1u64, "image"), plural(0u64, "image")), ("1 image".into(), "0 images".into()));
    }
}
