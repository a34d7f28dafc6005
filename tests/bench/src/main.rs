//! The program `ironkeel-bench`, which `cargo xtask bench` runs.

fn main() {}
