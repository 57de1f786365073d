//! May we ask it?
//!
//! One [`UpstreamHealth`] an upstream: a breaker over what it answered, a hold while the vendor asks
//! to be left alone, seats for the dips in flight, and our own token bucket. Together they give a
//! [`Pass`], without which an upstream cannot be asked: a forgotten step does not compile.
//!
//! Three rules run through all of it. Whose fault it was decides what counts: a caller who leaves, a
//! seat that was not free, a policy that could not make a request are ours and no sample. A hold (429,
//! no money, bad credentials) is no failure. And a sick upstream is looked after by the clock, with a
//! probe of our own, never by waiting for traffic.

pub mod allowance;
pub mod apart;
pub mod breaker;
pub mod bucket;
pub mod failed;
pub mod hold;
mod idle;
pub mod latency;
pub mod pace;
pub mod pass;
pub mod seats;
pub mod spend;
pub mod verdict;
pub mod flags;
pub mod window;

pub use allowance::Allowance;
pub use apart::{Apart, Part};
pub use breaker::{Breaker, Change, State};
pub use failed::FailedTargets;
pub use hold::Hold;
pub use latency::Latencies;
pub use pace::Pace;
pub use pass::{Held, Pass, Refused, UpstreamHealth};
pub use seats::{Seat, Seats};
pub use spend::{Spend, Spent};
pub use verdict::{Override, Verdict};
