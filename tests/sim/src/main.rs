//! The program `ironkeel-sim`, which `cargo xtask sim` runs.

mod cli;

use std::process::ExitCode;

use clap::Parser as _;

// The product's own: a run is made of small allocations, and this one saves a part of its time.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match cli::run(&cli::Flags::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            cli::complain(&error);
            ExitCode::FAILURE
        }
    }
}
