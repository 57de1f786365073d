//! What is already known.
//!
//! [`Entry`] is an answer as it is kept; [`local::LocalCache`] holds entries in this process. Freshness
//! is ours and not the cache library's: an entry carries its own times, so that one past its life is
//! still there to be served while its upstream is sick, and the library has only to bound the size.
//! [`shared`] is the memory that many nodes have in common; it may die, hang or lie at any moment. [`snapshot`] is
//! what a process leaves behind for the next one.

pub mod entry;
pub mod local;
pub mod shared;
pub mod snapshot;
mod stored;

pub use entry::Entry;
pub use local::LocalCache;
pub use shared::SharedCache;
