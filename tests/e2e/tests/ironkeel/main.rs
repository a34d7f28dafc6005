//! The cases that only our kinds or our packaging have.

mod bad_input;
mod encodings;
mod packaging;
mod reliability;
mod rollout_extensions;
