//! The programs that take part in a run: started here, in a folder of their own, on free ports, and ended here.

mod program;
mod proxy;
mod memcached;
mod kafka;
mod needed;

pub use kafka::Kafka;
pub use memcached::Memcached;
pub use needed::{Needed, Unavailable};
pub use program::{Program, Spent, free_port};
pub(crate) use proxy::merge;
pub use proxy::{Proxy, Site};
