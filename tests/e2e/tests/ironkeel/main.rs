//! The cases that only our kinds or our packaging have.

mod bad_input;
mod encodings;
mod field_records;
mod packaging;
mod reliability;
mod rollout_extensions;
