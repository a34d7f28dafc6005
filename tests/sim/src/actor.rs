//! What acts on the cluster beside the controllers: the user, the scheduler and the kubelets.

use jiff::Timestamp;

/// Somebody who writes to the API server without network in between: its own requests are neither delayed nor lost, for
/// what is under test are the controllers.
pub trait Actor {
    /// Does what is due at `now`, by the API server's clock, and says when it wants to be called next.
    ///
    /// It is also called after every commit, its own included, until it writes nothing more. `None`: only a commit can
    /// give it work.
    fn act(&mut self, now: Timestamp) -> Option<Timestamp>;

    /// Whether everything that it means to do is done. A run is not over before.
    fn is_done(&self) -> bool;

    /// What it waits for, in words, for the report of a run that does not end.
    fn waits_for(&self) -> String;
}
