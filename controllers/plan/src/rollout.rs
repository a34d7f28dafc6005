//! How many pods a rollout may add and how many it may take away.

use crate::workload::{IntOrString, RollingUpdate};

/// A field that cannot be acted on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} is {value}: {rule}")]
pub struct InvalidField {
    /// Path of the field, for example `spec.strategy.rollingUpdate.maxSurge`.
    pub field: &'static str,
    /// What it says.
    pub value: String,
    /// What it has to be.
    pub rule: &'static str,
}

/// Limits of a rolling update, in pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many pods may exist beyond the wanted number.
    pub surge: i32,
    /// How many of the wanted pods may be unavailable; never more than are wanted.
    pub unavailable: i32,
}

/// Which way a percentage that hits between two numbers goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the smaller number, as for `maxUnavailable`.
    Down,
    /// To the larger number, as for `maxSurge`.
    Up,
}

const SURGE: &str = "spec.strategy.rollingUpdate.maxSurge";
const UNAVAILABLE: &str = "spec.strategy.rollingUpdate.maxUnavailable";
const BOTH: &str = "spec.strategy.rollingUpdate";
const RULE: &str = "must be a number of pods or a percentage such as 25%, and not negative";
/// `maxSurge` and `maxUnavailable` where the manifest says nothing.
const DEFAULT: &str = "25%";

/// `value` in pods, a percentage being taken of `total`; `None` when it is neither a number
/// nor a percentage, or negative.
pub fn pods(value: &IntOrString, total: i32, rounding: Rounding) -> Option<i32> {
    match value {
        IntOrString::Int(number) => (*number >= 0).then_some(*number),
        IntOrString::String(text) => {
            let percent: u32 = text
                .strip_suffix('%')
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?
                .parse()
                .ok()?;
            let hundredths = i64::from(percent) * i64::from(total.max(0));
            let number = match rounding {
                Rounding::Down => hundredths / 100,
                Rounding::Up => (hundredths + 99) / 100,
            };
            Some(i32::try_from(number).unwrap_or(i32::MAX))
        }
    }
}

/// Resolves both limits of a rolling update of `replicas` pods.
///
/// Percentages are rounded up for the surge and down for the unavailable pods. When rounding
/// leaves both at zero, one pod may be unavailable, since a surge may not fit a quota (upstream
/// `ResolveFenceposts`, 1.37).
///
/// # Errors
/// Names the field that is neither a number nor a percentage, or both fields when the manifest
/// itself forbids any surge and any unavailable pod, so that no update can ever start.
pub fn resolve(rolling: Option<&RollingUpdate>, replicas: i32) -> Result<Bounds, InvalidField> {
    let default = IntOrString::String(DEFAULT.to_owned());
    let written = |value: Option<&IntOrString>| value.unwrap_or(&default).clone();
    let max_surge = written(rolling.and_then(|rolling| rolling.max_surge.as_ref()));
    let max_unavailable = written(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()));
    let read = |field, value: &IntOrString, rounding| {
        pods(value, replicas, rounding).ok_or_else(|| InvalidField {
            field,
            value: show(value),
            rule: RULE,
        })
    };
    let surge = read(SURGE, &max_surge, Rounding::Up)?;
    let mut unavailable = read(UNAVAILABLE, &max_unavailable, Rounding::Down)?;
    if is_zero(&max_surge) && is_zero(&max_unavailable) {
        return Err(InvalidField {
            field: BOTH,
            value: format!(
                "maxSurge {} and maxUnavailable {}",
                show(&max_surge),
                show(&max_unavailable)
            ),
            rule: "one of the two must allow at least one pod",
        });
    }
    if surge == 0 && unavailable == 0 {
        unavailable = 1;
    }
    Ok(Bounds {
        surge: surge.min(i32::MAX - replicas.max(0)),
        unavailable: unavailable.min(replicas.max(0)),
    })
}

/// Whether the value is zero whatever the number of pods.
fn is_zero(value: &IntOrString) -> bool {
    pods(value, i32::MAX, Rounding::Down) == Some(0)
}

fn show(value: &IntOrString) -> String {
    match value {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use expect_test::{Expect, expect};

    fn value(text: &str) -> Option<IntOrString> {
        match text {
            "-" => None,
            _ => Some(text.parse().map_or_else(
                |_| IntOrString::String(text.trim_matches('\'').to_owned()),
                IntOrString::Int,
            )),
        }
    }

    /// Lines of `replicas maxSurge maxUnavailable`; `-` is absent, `'5'` is text.
    fn check(cases: &str, expected: &Expect) {
        let mut shown = String::new();
        for case in cases.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = case.split_whitespace().collect();
            let rolling = RollingUpdate {
                max_surge: value(words[1]),
                max_unavailable: value(words[2]),
            };
            let answer = match resolve(Some(&rolling), words[0].parse().unwrap()) {
                Ok(Bounds { surge, unavailable }) => format!("+{surge} -{unavailable}"),
                Err(error) => error.to_string(),
            };
            writeln!(shown, "{case}: {answer}").unwrap();
        }
        expected.assert_eq(&shown);
    }

    #[test]
    fn percentages_round_the_surge_up_and_the_unavailable_down() {
        check(
            "10 25% 25%
             1 25% 25%
             4 25% 25%
             3 - -
             100 1% 1%
             99 1% 1%
             10 100% 100%
             10 150% 150%
             0 25% 25%
             2147483647 100% 100%",
            &expect![[r"
                10 25% 25%: +3 -2
                1 25% 25%: +1 -0
                4 25% 25%: +1 -1
                3 - -: +1 -0
                100 1% 1%: +1 -1
                99 1% 1%: +1 -0
                10 100% 100%: +10 -10
                10 150% 150%: +15 -10
                0 25% 25%: +0 -0
                2147483647 100% 100%: +0 -2147483647
            "]],
        );
    }

    #[test]
    fn numbers_are_taken_as_they_are() {
        check(
            "10 3 2
             10 0 1
             10 1 0
             2 5 9
             10 0 25%",
            &expect![[r"
                10 3 2: +3 -2
                10 0 1: +0 -1
                10 1 0: +1 -0
                2 5 9: +5 -2
                10 0 25%: +0 -2
            "]],
        );
    }

    #[test]
    fn both_rounded_to_zero_lets_one_pod_be_unavailable() {
        check(
            "2 0 1%
             1 0 1%
             1 0% 25%
             0 0 1%",
            &expect![[r"
                2 0 1%: +0 -1
                1 0 1%: +0 -1
                1 0% 25%: +0 -1
                0 0 1%: +0 -0
            "]],
        );
    }

    #[test]
    fn both_written_as_zero_is_an_error() {
        check(
            "10 0 0
             10 0% 0
             10 0 0%",
            &expect![[r#"
                10 0 0: spec.strategy.rollingUpdate is maxSurge 0 and maxUnavailable 0: one of the two must allow at least one pod
                10 0% 0: spec.strategy.rollingUpdate is maxSurge "0%" and maxUnavailable 0: one of the two must allow at least one pod
                10 0 0%: spec.strategy.rollingUpdate is maxSurge 0 and maxUnavailable "0%": one of the two must allow at least one pod
            "#]],
        );
    }

    #[test]
    fn other_texts_are_named() {
        check(
            "10 abc% 1
             10 1 '5'
             10 1 -5%
             10 -1 1
             10 % 1
             10 +5% 1
             10 99999999999% 1
             10 1 ten",
            &expect![[r#"
                10 abc% 1: spec.strategy.rollingUpdate.maxSurge is "abc%": must be a number of pods or a percentage such as 25%, and not negative
                10 1 '5': spec.strategy.rollingUpdate.maxUnavailable is "5": must be a number of pods or a percentage such as 25%, and not negative
                10 1 -5%: spec.strategy.rollingUpdate.maxUnavailable is "-5%": must be a number of pods or a percentage such as 25%, and not negative
                10 -1 1: spec.strategy.rollingUpdate.maxSurge is -1: must be a number of pods or a percentage such as 25%, and not negative
                10 % 1: spec.strategy.rollingUpdate.maxSurge is "%": must be a number of pods or a percentage such as 25%, and not negative
                10 +5% 1: spec.strategy.rollingUpdate.maxSurge is "+5%": must be a number of pods or a percentage such as 25%, and not negative
                10 99999999999% 1: spec.strategy.rollingUpdate.maxSurge is "99999999999%": must be a number of pods or a percentage such as 25%, and not negative
                10 1 ten: spec.strategy.rollingUpdate.maxUnavailable is "ten": must be a number of pods or a percentage such as 25%, and not negative
            "#]],
        );
    }
}
