//! Runs programs: output to a log, lines to a listener, failures with their last words.

use std::collections::VecDeque;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

use crate::workspace;

/// How many of a program's last lines an error repeats.
const LAST_WORDS: usize = 20;

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its exit status.
    pub(crate) status: ExitStatus,
    /// Its last lines.
    pub(crate) last_words: String,
}

/// A command that runs in the root of the repository, without what `cargo run` put into our environment.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(workspace::root());
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    command
}

/// The `cargo` that runs us, else the one on the PATH.
pub(crate) fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The log of one command of ours, emptied.
pub(crate) fn fresh_log(name: &str) -> Result<PathBuf> {
    let log = workspace::target().join(format!("xtask-{name}.log"));
    match fs::remove_file(&log) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", log.display()))
        }
        _ => Ok(log),
    }
}

/// Runs `command` to its end, appends what it writes on both streams to `log` and hands it line by line to `on_line`.
pub(crate) fn run_logged(
    mut command: Command,
    log: &Path,
    on_line: &mut dyn FnMut(&str),
) -> Result<Ended> {
    let name = shown(&command);
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("opening {}", log.display()))?;
    writeln!(file, "$ {name}")?;

    let (reader, writer) = io::pipe().context("creating a pipe")?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut child = command
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    // The command holds the writing ends too: without this the pipe would never end.
    drop(command);

    let mut last = VecDeque::with_capacity(LAST_WORDS);
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes)? > 0 {
        file.write_all(&bytes)?;
        let line = String::from_utf8_lossy(&bytes);
        let line = line.trim_end();
        on_line(line);
        if last.len() == LAST_WORDS {
            last.pop_front();
        }
        last.push_back(line.to_owned());
        bytes.clear();
    }
    let status = child
        .wait()
        .with_context(|| format!("waiting for {name}"))?;
    Ok(Ended {
        status,
        last_words: Vec::from(last).join("\n"),
    })
}

/// Runs `command` as [`run_logged`] does; a failure is an error that holds the last lines and names the log.
pub(crate) fn run(command: Command, log: &Path, on_line: &mut dyn FnMut(&str)) -> Result<()> {
    let name = shown(&command);
    let ended = run_logged(command, log, on_line)?;
    if !ended.status.success() {
        bail!(
            "{name}: {}\n{}\nall of it: {}",
            ended.status,
            ended.last_words,
            workspace::shown(log)
        );
    }
    Ok(())
}

/// What `command` writes to standard output; a failure is an error that holds what it wrote to standard error.
pub(crate) fn read(mut command: Command) -> Result<String> {
    let name = shown(&command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {name}"))?;
    if !output.status.success() {
        bail!(
            "{name}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{name} wrote no UTF-8"))
}

/// Whether `command` succeeds; what it writes is dropped.
pub(crate) fn succeeds(mut command: Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether `command` succeeds with `input` on its standard input; what it writes is dropped.
pub(crate) fn feed(mut command: Command, input: &str) -> bool {
    let child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return false;
    };
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends before it read everything tells by its status what it made of it.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait().is_ok_and(|status| status.success())
}

/// The file that the PATH has for `program`.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// A command as a person would type it, with the program's file name only.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy();
    let mut words = vec![program.into_owned()];
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        // A focus expression of a hundred names helps nobody.
        if argument.chars().count() > 200 {
            words.push(argument.chars().take(197).chain("...".chars()).collect());
        } else {
            words.push(argument.into_owned());
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = command("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_streams_reach_the_listener_and_the_log() {
        let folder = workspace::target().join("xtask-tests");
        let log = folder.join(format!("shell-{}.log", std::process::id()));
        let mut lines = Vec::new();
        let ended = run_logged(sh("echo out; echo err >&2; exit 3"), &log, &mut |line| {
            lines.push(line.to_owned());
        })
        .unwrap();
        lines.sort();
        assert_eq!(lines, ["err", "out"]);
        assert_eq!(ended.status.code(), Some(3));
        let logged = fs::read_to_string(&log).unwrap();
        assert!(logged.starts_with("$ sh -c"), "{logged}");
        assert!(logged.contains("out\n") && logged.contains("err\n"));
        fs::remove_file(&log).unwrap();
    }

    #[test]
    fn a_failure_repeats_what_the_program_said() {
        let error = read(sh("echo no such thing >&2; exit 1")).unwrap_err();
        assert!(error.to_string().contains("no such thing"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = read(command("ironkeel-has-no-such-program")).unwrap_err();
        assert!(
            error.to_string().contains("ironkeel-has-no-such-program"),
            "{error}"
        );
    }
}
