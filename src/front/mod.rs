//! Bytes in, a question; an answer, bytes out. One module a protocol.
//!
//! A front knows how its protocol looks on the wire and nothing of what an answer means: it finds
//! the lookup, lets the policy bring the key into form, takes what the cache knows or waits within
//! the caller's budget, and writes the answer down. [`desk`] is all that it sees of the rest of
//! dipcache, [`listen`] accepts connections and drains them for every front alike.
//!
//! What must hold: a hit waits for nothing, and nothing that a client sends, or does not send, is
//! felt by another client.

pub mod desk;
pub mod call;
pub mod dns;
pub mod form;
pub mod http;
pub mod listen;
pub mod memcached;

/// By which door a request came in: a label of the metrics, and so it lives with them.
pub use crate::telemetry::FrontName as Front;
