//! One verdict for many nodes.
//!
//! [`document`] is what the nodes keep in memcached for each lookup: every node's vote with its time, the
//! verdict that a quorum of the living makes of it, and what operators have ordered. [`mind`] is one node's part:
//! a few times a second it reads the document, adds what it sees and writes it back by `cas`. The node whose `cas`
//! turns the verdict owns the event; should it die before it has told, another tells, under the same id.
//!
//! No election, no gossip: whoever is first is right, and memcached says who was first. Without memcached each node
//! decides alone. Orders outlive the document: every node remembers them, and the latest wins when two memories meet.

pub mod document;
pub mod mind;

pub use document::{Document, News, Note, Orders, Vote};
pub use mind::{Beaten, Mind, Part, Turn};
