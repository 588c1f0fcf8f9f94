//! Numbers with a unit on the command line.

/// Bits per second: `100Mbit`, `2.5 Gbit/s`, `64kbps`.
pub fn bandwidth(text: &str) -> Result<f64, String> {
    const UNITS: [(&str, f64); 4] = [("bit", 1.0), ("kbit", 1e3), ("mbit", 1e6), ("gbit", 1e9)];
    let wrong = |why: &str| format!("{text:?} is no bandwidth: {why}; write such as 100Mbit or 2.5Gbit");
    let (number, unit) = split(text);
    let unit = unit.to_lowercase();
    let name = unit.strip_suffix("/s").unwrap_or(&unit);
    let name = name.strip_suffix("bps").map_or_else(|| name.to_owned(), |prefix| format!("{prefix}bit"));
    let scale = UNITS.iter().find(|(unit, _)| *unit == name);
    let &(_, scale) = scale.ok_or_else(|| wrong("the unit is one of bit, kbit, Mbit and Gbit"))?;
    let value = number.parse::<f64>().map_err(|_| wrong("there is no number"))? * scale;
    if (1.0..=1e15).contains(&value) { Ok(value) } else { Err(wrong("it is between 1 bit and 10^6 Gbit")) }
}

/// Seconds: `20ms`, `0.8 ms`, `150us`, `1s`.
pub fn time(text: &str) -> Result<f64, String> {
    const UNITS: [(&str, f64); 4] = [("us", 1e6), ("µs", 1e6), ("ms", 1e3), ("s", 1.0)];
    let wrong = |why: &str| format!("{text:?} is no time: {why}; write such as 20ms or 0.5s");
    let (number, unit) = split(text);
    let parts = UNITS.iter().find(|(name, _)| *name == unit);
    let &(_, parts) = parts.ok_or_else(|| wrong("the unit is one of us, ms and s"))?;
    let value = number.parse::<f64>().map_err(|_| wrong("there is no number"))? / parts;
    if (0.0..=3600.0).contains(&value) { Ok(value) } else { Err(wrong("it is between 0 and 3600 s")) }
}

/// The number that `text` begins with, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+'))).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidths() {
        for text in ["100Mbit", "100 Mbit/s", "100mbps", "0.1Gbit", "100000kbit", "+100.0Mbit"] {
            assert_eq!(bandwidth(text), Ok(100e6), "{text}");
        }
        assert_eq!(bandwidth("9600bit"), Ok(9600.0));
        for wrong in
            ["", "100", "Mbit", "100MB", "100MB/s", "-1Mbit", "0Mbit", "1e3Mbit", "1.2.3Mbit", "9999999Gbit"]
        {
            assert!(bandwidth(wrong).unwrap_err().contains("100Mbit"), "{wrong}");
        }
    }

    #[test]
    fn times() {
        for text in ["20ms", "20 ms", "0.02s", "20000us", "20000µs"] {
            assert_eq!(time(text), Ok(0.02), "{text}");
        }
        assert_eq!(time("0ms"), Ok(0.0));
        for wrong in ["", "20", "ms", "20min", "-1ms", "2h", "nans", "3601s"] {
            assert!(time(wrong).unwrap_err().contains("20ms"), "{wrong}");
        }
    }
}
