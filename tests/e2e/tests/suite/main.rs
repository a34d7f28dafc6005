//! The cases, by what they are about.

mod replica_set;
