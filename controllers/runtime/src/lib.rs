//! The shell around the planners: watches, stores, queue, writes, lease, metrics.
