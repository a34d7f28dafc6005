//! Running other programs and saying well what went wrong.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How many of a program's last lines an error shows.
const SHOWN_LINES: usize = 25;

/// Runs a program to its end and returns what it wrote; an error carries its command line and its complaint.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let said = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {}", words(command)))?;
    if !said.status.success() {
        let complaint = String::from_utf8_lossy(&said.stderr);
        bail!(
            "{} failed ({}): {}",
            words(command),
            said.status,
            complaint.trim()
        );
    }
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

/// Like [`output`], with `input` on the program's standard input.
pub(crate) fn output_with_input(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", words(command)))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A program that ends before it has read everything says why itself.
        let _ = pipe.write_all(input.as_bytes());
    }
    let said = child.wait_with_output()?;
    if !said.status.success() {
        let complaint = String::from_utf8_lossy(&said.stderr);
        bail!(
            "{} failed ({}): {}",
            words(command),
            said.status,
            complaint.trim()
        );
    }
    Ok(String::from_utf8_lossy(&said.stdout).into_owned())
}

/// Runs a program and hands on each line of its standard error as it comes; returns its standard output.
pub(crate) fn lines(command: &mut Command, mut each: impl FnMut(&str)) -> Result<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", words(command)))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        bail!("{} has no output to read", words(command));
    };
    let rest = std::thread::spawn(move || std::io::read_to_string(stdout));
    let last = follow(stderr, &mut each);
    let status = child.wait()?;
    let stdout = rest.join().ok().transpose()?.unwrap_or_default();
    if !status.success() {
        bail!("{} failed ({status}):\n{last}", words(command));
    }
    Ok(stdout)
}

/// Runs a program and hands on each line of its standard output and standard error, in the order they come.
pub(crate) fn merged_lines(mut command: Command, mut each: impl FnMut(&str)) -> Result<()> {
    let words = words(&command);
    let (reader, writer) = std::io::pipe()?;
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let mut child = command.spawn().with_context(|| format!("start {words}"))?;
    // The command holds the pipe's other end; the reader sees no end of file while that is open.
    drop(command);
    let last = follow(reader, &mut each);
    let status = child.wait()?;
    if !status.success() {
        bail!("{words} failed ({status}):\n{last}");
    }
    Ok(())
}

/// Hands on each line and returns the last ones.
fn follow(from: impl Read, each: &mut impl FnMut(&str)) -> String {
    let mut last = VecDeque::new();
    for line in BufReader::new(from).lines() {
        let Ok(line) = line else { break };
        each(&line);
        if last.len() == SHOWN_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    Vec::from(last).join("\n")
}

/// A command line for a message.
pub(crate) fn words(command: &Command) -> String {
    let all: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    all.join(" ")
}
