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
pub mod http;
pub mod listen;

/// By which door a request came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Front {
    /// [`http`].
    Http,
    /// The memcached text protocol.
    Memcached,
    /// DNS over UDP and TCP.
    Dns,
}

impl Front {
    /// The word for it in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Memcached => "memcached",
            Self::Dns => "dns",
        }
    }
}
