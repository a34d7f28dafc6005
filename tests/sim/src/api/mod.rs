//! A model of the API server: objects, versions, deletion, subresources, admission, and a log to watch.
//!
//! Synchronous: a request is taken, committed and answered in one call, as etcd would order it. Time comes from the
//! caller. What lies between a client and this (latency, loss, lag) is `network`'s.
