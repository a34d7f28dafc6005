//! Panics of what runs on this thread, caught by the panic hook: a task of tokio hides them otherwise.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    static CAUGHT: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Collects the panics of this thread until it is dropped.
#[derive(Debug)]
pub(super) struct Panics(());

impl Panics {
    /// Panics on this thread are collected from now on; those of other threads are printed as before.
    pub(super) fn watch() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                let is_caught = CAUGHT.with_borrow_mut(|caught| match caught {
                    Some(caught) => {
                        caught.push(info.to_string().replace('\n', " "));
                        true
                    }
                    None => false,
                });
                if !is_caught {
                    before(info);
                }
            }));
        });
        CAUGHT.set(Some(Vec::new()));
        Self(())
    }

    /// What was caught since the last call.
    pub(super) fn take(&self) -> Vec<String> {
        let Self(()) = self;
        CAUGHT.with_borrow_mut(|caught| caught.as_mut().map(std::mem::take).unwrap_or_default())
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        CAUGHT.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_with_its_place() {
        let panics = Panics::watch();
        let result = panic::catch_unwind(|| panic!("seven {}", 7));
        assert!(result.is_err());
        let caught = panics.take();
        assert!(
            caught.len() == 1 && caught[0].contains("seven 7") && caught[0].contains("panics.rs"),
            "{caught:?}"
        );
        assert!(panics.take().is_empty());
    }
}
