//! Reads one call from the environment and standard input, serves it, and prints the answer or the error object.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use ironkeel_cni::call::{Call, Verb};
use ironkeel_cni::config::claimed_version;
use ironkeel_cni::error::{Code, Error, Result};
use ironkeel_cni::plugin::{self, Plugin};
use ironkeel_cni::version::SpecVersion;
use serde_json::Value;

fn main() -> ExitCode {
    let mut input = Vec::new();
    let printed = match run(&mut input) {
        Ok(None) => return ExitCode::SUCCESS,
        Ok(Some(answer)) => print(&answer).map(|()| ExitCode::SUCCESS),
        Err(error) => {
            print(&error.to_json(claimed_version(&input).as_deref())).map(|()| ExitCode::FAILURE)
        }
    };
    // Nobody reads the answer: the runtime takes that for a failure, and so do we.
    printed.unwrap_or(ExitCode::FAILURE)
}

fn run(input: &mut Vec<u8>) -> Result<Option<Value>> {
    let Some(call) = Call::read(|name| env::var(name).ok())? else {
        about();
        return Ok(None);
    };
    let program = env::args_os().next().unwrap_or_default();
    let name = Path::new(&program).file_name().unwrap_or(OsStr::new(""));
    let plugin = Plugin::named(name)?;
    if call.verb != Verb::Version {
        io::stdin().read_to_end(input).map_err(|error| {
            Error::new(Code::Io, format!("cannot read standard input: {error}"))
        })?;
    }
    plugin::serve(plugin, &call, input)
}

/// What somebody who starts the program by hand is told.
fn about() {
    let versions = SpecVersion::ALL.map(SpecVersion::as_str).join(", ");
    let mut terminal = io::stderr().lock();
    let _ = writeln!(
        terminal,
        "Ironkeel CNI plugins {}\nCNI protocol versions supported: {versions}",
        env!("CARGO_PKG_VERSION")
    );
}

fn print(answer: &Value) -> io::Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer_pretty(&mut output, answer)?;
    output.write_all(b"\n")?;
    output.flush()
}
