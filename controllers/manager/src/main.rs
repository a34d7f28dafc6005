//! The program `ironkeel-controller-manager`.

use std::process::ExitCode;

use clap::Parser as _;
use ironkeel_controller_manager::flags::{Cli, Command};
use ironkeel_controller_manager::{run, selftest};

// musl's own allocator serialises threads; jemalloc also gives memory back after a relist.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

// One thread: it carries several thousand writes a second, which is more than an API server
// takes, and a second one costs a third more CPU, most of it for waking each other up.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Some(Command::Selftest(flags)) => selftest::run(flags).await,
        None => run::run(cli.run).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            fail(&error);
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the log may not be set up yet, and the last words must be read"
)]
fn fail(error: &anyhow::Error) {
    eprintln!("ironkeel-controller-manager: {error:#}");
}
