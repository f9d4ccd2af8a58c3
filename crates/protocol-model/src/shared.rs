//! Parts of a state that many states share.
//!
//! A state holds records full of text, and an action changes little of it. Sharing the rest makes a
//! copy cheap, and keeping its hash makes telling states apart cheap.

use std::{
    hash::{Hash, Hasher},
    ops::Deref,
    sync::Arc,
};

use ahash::RandomState;

/// A value with its hash, shared between states.
#[derive(Debug)]
pub struct Shared<T>(Arc<(u64, T)>);

impl<T: Hash> Shared<T> {
    /// Shares `value`.
    pub fn new(value: T) -> Self {
        // The same in every process: a path found once can be found again.
        let hash = RandomState::with_seeds(1, 2, 3, 4).hash_one(&value);
        Self(Arc::new((hash, value)))
    }
}

impl<T> Shared<T> {
    /// An order that depends on nothing but the value: workers and devices that can be exchanged
    /// are kept in it.
    #[must_use]
    pub fn place(&self) -> u64 {
        self.0.0
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.1
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.place());
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || (self.place() == other.place() && **self == **other)
    }
}

impl<T: Eq> Eq for Shared<T> {}
