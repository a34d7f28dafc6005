//! What really happened: every commit of a namespace, in order, with its writer.

mod attribute;
mod judge;
mod ledger;
mod observer;
mod story;

pub use attribute::commits;
pub use judge::judge;
pub use ledger::{Deed, Ledger};
pub use observer::{Observer, Seen, State};
pub use story::{line, story};
