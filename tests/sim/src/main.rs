//! The program `ironkeel-sim`, which `cargo xtask sim` runs.

fn main() {}
