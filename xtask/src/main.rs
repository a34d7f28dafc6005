//! Every automation of this repository.

fn main() {}
