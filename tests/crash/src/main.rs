//! The program `ironkeel-crash`, which `cargo xtask crash` runs.

fn main() {}
