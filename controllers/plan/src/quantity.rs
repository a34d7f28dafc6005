//! Amounts such as `500m` or `1Gi`, compared by value.

/// Digits beyond which an amount is not compared by value.
const MAX_DIGITS: usize = 24;

/// The amount in billionths; `None` when the text is no quantity or too large for exact
/// arithmetic. Two texts of one amount, such as `1000m` and `1`, give the same number.
pub(crate) fn nanos(text: &str) -> Option<i128> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > MAX_DIGITS {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let places = i32::try_from(fraction.len()).ok()?;
    let (binary, decimal) = scale(suffix)?;
    let exponent = decimal + 9 - places;
    let mut value = digits.checked_mul(1_i128.checked_shl(binary)?)?;
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent >= 0 {
        value = value.checked_mul(power)?;
    } else if value % power == 0 {
        value /= power;
    } else {
        return None;
    }
    Some(if negative { -value } else { value })
}

/// The suffix as a power of two (in bits) and a power of ten.
fn scale(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (-30..=30).contains(&exponent).then_some((0, exponent))?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::nanos;

    #[test]
    fn texts_of_one_amount_are_equal() {
        for (one, other) in [
            ("1", "1000m"),
            ("0.5", "500m"),
            ("1Gi", "1024Mi"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("1.5Gi", "1536Mi"),
            ("+1", "1"),
            ("-1", "-1000m"),
            ("1000000000n", "1"),
            (".5", "0.50"),
        ] {
            assert!(nanos(one).is_some(), "{one}");
            assert_eq!(nanos(one), nanos(other), "{one} {other}");
        }
        assert_ne!(nanos("1G"), nanos("1Gi"));
        assert_ne!(nanos("1"), nanos("-1"));
    }

    #[test]
    fn other_texts_have_no_value() {
        for text in [
            "",
            ".",
            "-",
            "1x",
            "abc",
            "1e",
            "1e99",
            "1 ",
            "0.0000000001",
            "1.2.3",
        ] {
            assert_eq!(nanos(text), None, "{text}");
        }
        assert_eq!(nanos(&"9".repeat(40)), None);
        assert_eq!(nanos(&format!("{}Ei", "9".repeat(24))), None);
    }
}
