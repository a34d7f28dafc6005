//! Log output: text for people, JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A line of text; coloured on a terminal.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogError::Format(text.to_owned())),
        }
    }
}

impl std::fmt::Display for LogFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Not a format.
    #[error("log format {0:?}: must be text or json")]
    Format(String),
    /// `RUST_LOG` is not a filter.
    #[error("RUST_LOG {value:?}: {error}")]
    Filter {
        /// The variable's value.
        value: String,
        /// What is wrong with it.
        error: ParseError,
    },
    /// Another subscriber is installed.
    #[error("logging is set up already")]
    Twice,
}

/// Sends logs of the whole process to stderr.
///
/// `verbosity` is klog's `-v`: up to 3 is informational, 4 and 5 are debugging output of
/// Ironkeel, 6 and more also of the libraries. The environment variable `RUST_LOG`, if it is
/// not empty, decides instead.
pub fn init(format: LogFormat, verbosity: u8) -> Result<(), LogError> {
    let chosen = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = filter(&chosen, verbosity)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|_| LogError::Twice)
}

fn filter(chosen: &str, verbosity: u8) -> Result<EnvFilter, LogError> {
    let directives = if chosen.is_empty() {
        match verbosity {
            // kube logs an error for each request that fails, and ours name each failure once.
            0..=3 => "info,kube_client::client::builder=off",
            4..=5 => {
                "info,kube_client::client::builder=off,ironkeel_runtime=debug,ironkeel_controller_manager=debug"
            }
            6..=8 => "debug",
            _ => "trace",
        }
    } else {
        chosen
    };
    EnvFilter::try_new(directives).map_err(|error| LogError::Filter {
        value: directives.to_owned(),
        error,
    })
}

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;

    use super::*;

    #[test]
    fn verbosity_is_klogs() {
        for (verbosity, level) in [
            (0, LevelFilter::INFO),
            (3, LevelFilter::INFO),
            (4, LevelFilter::DEBUG),
            (6, LevelFilter::DEBUG),
            (9, LevelFilter::TRACE),
        ] {
            assert_eq!(
                filter("", verbosity).unwrap().max_level_hint(),
                Some(level),
                "-v={verbosity}"
            );
        }
    }

    #[test]
    fn the_variable_wins_and_a_wrong_one_is_named() {
        let chosen = filter("error", 9).unwrap();
        assert_eq!(chosen.max_level_hint(), Some(LevelFilter::ERROR));
        let error = filter("a=b=c", 0).unwrap_err().to_string();
        assert!(error.starts_with(r#"RUST_LOG "a=b=c": "#), "{error}");
    }

    #[test]
    fn formats_round_trip() {
        for format in [LogFormat::Text, LogFormat::Json] {
            assert_eq!(format.to_string().parse::<LogFormat>().unwrap(), format);
        }
        let error = "xml".parse::<LogFormat>().unwrap_err().to_string();
        assert_eq!(error, r#"log format "xml": must be text or json"#);
    }
}
