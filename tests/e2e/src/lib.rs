//! End-to-end tests, run against Ironkeel's kinds and against upstream's.
