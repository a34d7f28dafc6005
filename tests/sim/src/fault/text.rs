//! A plan as one line: `write 7 crash; event 12 gone; time 3.5s replica 1 freeze 20s; heal 2m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

use super::{Fault, FaultPlan, Kind, Point, What};

/// A text that is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("fault {text:?}: {rule}")]
pub struct FaultError {
    text: String,
    rule: String,
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for fault in &self.faults {
            write!(f, "{separator}{fault}")?;
            separator = "; ";
        }
        if let Some(heal) = self.heal {
            write!(f, "{separator}heal {}", span(heal))?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.what)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(number) => write!(f, "write {number}"),
            Self::Event(number) => write!(f, "event {number}"),
            Self::Time(after, replica) => write!(f, "time {} replica {replica}", span(*after)),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let applied = |applied: bool| if applied { " applied" } else { "" };
        match *self {
            Self::Crash => f.write_str("crash"),
            Self::CrashAfter => f.write_str("crash-after"),
            Self::Answer {
                code,
                applied: landed,
            } => write!(f, "answer {code}{}", applied(landed)),
            Self::Silence { applied: landed } => write!(f, "silence{}", applied(landed)),
            Self::Cut { applied: landed } => write!(f, "cut{}", applied(landed)),
            Self::Repeat => f.write_str("repeat"),
            Self::Freeze { pause, late } => {
                let late = if late { " late" } else { "" };
                write!(f, "freeze {}{late}", span(pause))
            }
            Self::Close => f.write_str("close"),
            Self::Gone => f.write_str("gone"),
            Self::Hold { bookmarks } => {
                f.write_str(if bookmarks { "hold bookmarks" } else { "hold" })
            }
            Self::Delay(by) => write!(f, "delay {}", span(by)),
            Self::Stop => f.write_str("stop"),
            Self::Partition(pause) => write!(f, "partition {}", span(pause)),
            Self::Lag(pause) => write!(f, "lag {}", span(pause)),
            Self::Slow(kind, by) => write!(f, "slow {} {}", kind.plural(), span(by)),
            Self::Clock(seconds) => write!(f, "clock {seconds}"),
            Self::Outage(code, pause) => write!(f, "outage {code} {}", span(pause)),
            Self::Compact => f.write_str("compact"),
        }
    }
}

/// A duration as `1m30s`.
fn span(duration: Duration) -> String {
    SignedDuration::try_from(duration).map_or_else(
        |_| "0s".to_owned(),
        |span| format!("{span:#}").replace(' ', ""),
    )
}

impl FromStr for FaultPlan {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let mut plan = Self::default();
        for part in text.split(';').map(str::trim) {
            if part.is_empty() {
                continue;
            }
            let mut words = Words::of(part);
            if part.starts_with("heal") {
                words.next("heal")?;
                plan.heal = Some(words.duration()?);
            } else {
                plan.faults.push(words.fault()?);
            }
            words.end()?;
        }
        Ok(plan)
    }
}

struct Words<'a> {
    text: &'a str,
    rest: std::str::SplitWhitespace<'a>,
}

impl<'a> Words<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text,
            rest: text.split_whitespace(),
        }
    }

    fn wrong(&self, rule: impl Into<String>) -> FaultError {
        FaultError {
            text: self.text.to_owned(),
            rule: rule.into(),
        }
    }

    fn next(&mut self, what: &str) -> Result<&'a str, FaultError> {
        match self.rest.next() {
            Some(word) => Ok(word),
            None => Err(self.wrong(format!("{what} is missing at the end"))),
        }
    }

    fn number<T: FromStr>(&mut self, what: &str) -> Result<T, FaultError> {
        let word = self.next(what)?;
        word.parse()
            .map_err(|_| self.wrong(format!("{word:?} is no {what}")))
    }

    fn duration(&mut self) -> Result<Duration, FaultError> {
        let word = self.next("a duration")?;
        let span: Option<SignedDuration> = word.parse().ok();
        span.and_then(|span| Duration::try_from(span).ok())
            .ok_or_else(|| self.wrong(format!("{word:?} is no duration such as 1m30s")))
    }

    /// Whether the next word is this one; it is taken then.
    fn has(&mut self, word: &str) -> bool {
        let mut ahead = self.rest.clone();
        let is_next = ahead.next() == Some(word);
        if is_next {
            self.rest = ahead;
        }
        is_next
    }

    fn end(&mut self) -> Result<(), FaultError> {
        match self.rest.next() {
            None => Ok(()),
            Some(word) => Err(self.wrong(format!("{word:?} is too much"))),
        }
    }

    fn fault(&mut self) -> Result<Fault, FaultError> {
        let at = match self.next("write, event or time")? {
            "write" => Point::Write(self.number("number of a write")?),
            "event" => Point::Event(self.number("number of an event")?),
            "time" => {
                let after = self.duration()?;
                if !self.has("replica") {
                    return Err(self.wrong("a time is followed by the word replica and a number"));
                }
                Point::Time(after, self.number("number of a replica")?)
            }
            word => return Err(self.wrong(format!("{word:?} is none of write, event, time"))),
        };
        let what = self.what()?;
        if !what.fits(at) {
            return Err(self.wrong("it cannot strike there"));
        }
        Ok(Fault { at, what })
    }

    fn what(&mut self) -> Result<What, FaultError> {
        Ok(match self.next("the fault")? {
            "crash" => What::Crash,
            "crash-after" => What::CrashAfter,
            "answer" => What::Answer {
                code: self.number("HTTP status")?,
                applied: self.has("applied"),
            },
            "silence" => What::Silence {
                applied: self.has("applied"),
            },
            "cut" => What::Cut {
                applied: self.has("applied"),
            },
            "repeat" => What::Repeat,
            "freeze" => What::Freeze {
                pause: self.duration()?,
                late: self.has("late"),
            },
            "close" => What::Close,
            "gone" => What::Gone,
            "hold" => What::Hold {
                bookmarks: self.has("bookmarks"),
            },
            "delay" => What::Delay(self.duration()?),
            "stop" => What::Stop,
            "partition" => What::Partition(self.duration()?),
            "lag" => What::Lag(self.duration()?),
            "slow" => {
                let word = self.next("pods, replicasets or deployments")?;
                let kind = [Kind::Pods, Kind::Sets, Kind::Deployments]
                    .into_iter()
                    .find(|kind| kind.plural() == word)
                    .ok_or_else(|| self.wrong(format!("{word:?} is not watched")))?;
                What::Slow(kind, self.duration()?)
            }
            "clock" => What::Clock(self.number("number of seconds")?),
            "outage" => What::Outage(self.number("HTTP status")?, self.duration()?),
            "compact" => What::Compact,
            word => return Err(self.wrong(format!("{word:?} is no fault"))),
        })
    }
}
