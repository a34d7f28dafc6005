//! Flags and wiring of the Ironkeel controllers.

fn main() {}
