//! Numbers for people.

/// Bytes with a unit, powers of ten, three digits: `12.3 MB`.
pub fn bytes(value: f64) -> String {
    let (parts, unit) = match value {
        v if v < 999.5 => (1.0, "B"),
        v if v < 999.5e3 => (1e3, "kB"),
        v if v < 999.5e6 => (1e6, "MB"),
        v if v < 999.5e9 => (1e9, "GB"),
        _ => (1e12, "TB"),
    };
    format!("{} {unit}", number(value / parts))
}

/// A count, in thousands or millions where it is large: `303 k`.
pub(crate) fn count(value: f64) -> String {
    match value {
        v if v < 9_999.5 => number(v.round()),
        v if v < 999.5e3 => format!("{} k", number(v / 1e3)),
        v if v < 999.5e6 => format!("{} M", number(v / 1e6)),
        v => format!("{} G", number(v / 1e9)),
    }
}

/// Three digits, or all before the point, without zeros that say nothing; with an exponent where it is short so.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    let short = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    match size {
        0.0 => "0".to_owned(),
        s if !(1e-3..1e6).contains(&s) => {
            let text = format!("{value:.2e}");
            let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{}e{exponent}", short(digits.to_owned()))
        }
        s => {
            let digits = (2 - s.log10().floor() as i32).max(0) as usize;
            short(format!("{value:.digits$}"))
        }
    }
}

/// A part of 1 in percent, with two digits after the point: `93.12`.
pub(crate) fn percent(part: f64) -> String {
    format!("{:.2}", part * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(
            [0.0, 0.999e3, 999.7, 3e6, 1.25e9].map(bytes),
            ["0 B", "999 B", "1 kB", "3 MB", "1.25 GB"]
        );
        assert_eq!([0.0, 9_999.0, 303_104.0, 11.2e6].map(count), ["0", "9999", "303 k", "11.2 M"]);
        let numbers = [0.05, 1e-4, 1.5e-5, 2.5, 123.4, 4000.0, -0.25, 2e6].map(number);
        assert_eq!(numbers, ["0.05", "1e-4", "1.5e-5", "2.5", "123", "4000", "-0.25", "2e6"]);
        assert_eq!(percent(0.93125), "93.12");
    }
}
