//! The simulator: everything that a real proxy would ask across the network, on loopback and at our orders.
//!
//! Two REST vendors for `lrn` and two for `cnam`, each with a dialect of its own ([`shape`]) over the same
//! invented facts ([`subscriber`]), and one name server for `carrier-dns` ([`crate::demo::zone`]). Each has
//! a [`Conduct`]: how it behaves and how long it takes. An [`Order`] changes it at any time; that is the whole
//! of what `PUT /v1/sim/{lookup}/{upstream}` does. Deliberately absent: state between requests. What is known
//! about a number follows from its digits.

mod order;
mod port;
mod shape;
mod subscriber;
mod vendor;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use indexmap::IndexMap;
use serde_json::{Value, json};

pub use order::{BadOrder, Conduct, Mode, Order};
pub(in crate::demo) use port::reopen;
use shape::Shape;
#[cfg(test)]
pub(in crate::demo) use subscriber::Subscriber;
use vendor::Vendor;

use super::zone::NameServer;

/// The port of the first upstream; the others follow in the order of [`CAST`].
const FIRST_PORT: u16 = 8191;

/// Who plays: lookup, upstream, part, and its latency when all is well, in milliseconds.
const CAST: &[(&str, &str, Part, u64)] = &[
    ("lrn", "vendor-a", Part::Vendor(Shape::FlatLrn), 5),
    ("lrn", "vendor-b", Part::Vendor(Shape::NestedLrn), 9),
    ("cnam", "vendor-a", Part::Vendor(Shape::FlatCnam), 12),
    ("cnam", "vendor-b", Part::Vendor(Shape::NestedCnam), 18),
    ("carrier-dns", "ns-a", Part::NameServer, 2),
];

#[derive(Clone, Copy, Debug)]
enum Part {
    Vendor(Shape),
    NameServer,
}

/// Which ports the simulated upstreams open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    /// The ones that the demo's policies name, from 8191 upwards.
    Usual,
    /// Free ones of the system's choice, so that two demos can run side by side.
    Free,
    /// The usual ones, or free ones when one of these is taken.
    UsualOrFree,
}

/// Why the simulator did not start or did not take an order.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// A port is taken.
    #[error(
        "the simulated upstream {lookup}/{upstream} cannot open {address}: end what listens there, perhaps another demo"
    )]
    Port {
        /// The lookup.
        lookup: &'static str,
        /// The upstream.
        upstream: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Nobody of this name plays.
    #[error("there is no simulated upstream {lookup}/{upstream}; there are {known}")]
    Unknown {
        /// The lookup asked for.
        lookup: String,
        /// The upstream asked for.
        upstream: String,
        /// Those that there are.
        known: String,
    },
    /// The order makes no sense.
    #[error(transparent)]
    Order(#[from] BadOrder),
}

impl SimError {
    /// The HTTP status that says whose fault it was.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unknown { .. } => 404,
            Self::Order(_) => 400,
            Self::Port { .. } => 503,
        }
    }
}

/// The simulated upstreams, running. They end when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    cast: Vec<Player>,
}

#[derive(Debug)]
struct Player {
    lookup: &'static str,
    upstream: &'static str,
    role: Role,
}

#[derive(Debug)]
enum Role {
    Vendor(Vendor),
    NameServer(NameServer),
}

impl Simulator {
    /// Opens all ports, on loopback only.
    ///
    /// # Errors
    /// [`SimError::Port`] when one is taken.
    pub async fn start(ports: Ports) -> Result<Self, SimError> {
        match (Self::open(ports).await, ports) {
            (Err(SimError::Port { .. }), Ports::UsualOrFree) => Self::open(Ports::Free).await,
            (opened, _) => opened,
        }
    }

    async fn open(ports: Ports) -> Result<Self, SimError> {
        let mut cast = Vec::with_capacity(CAST.len());
        for (&(lookup, upstream, part, latency_ms), usual) in CAST.iter().zip(FIRST_PORT..) {
            let port = if ports == Ports::Free { 0 } else { usual };
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            let conduct = Conduct { mode: Mode::Ok, latency_ms };
            let started = match part {
                Part::Vendor(shape) => Vendor::start(shape, address, conduct).await.map(Role::Vendor),
                Part::NameServer => NameServer::start(address, conduct).await.map(Role::NameServer),
            };
            let role = started.map_err(|source| SimError::Port { lookup, upstream, address, source })?;
            cast.push(Player { lookup, upstream, role });
        }
        Ok(Self { cast })
    }

    /// Gives an order; when this returns, it is obeyed.
    ///
    /// # Errors
    /// [`SimError::Unknown`], or [`SimError::Port`] when a closed port cannot be opened again.
    pub async fn set(&self, lookup: &str, upstream: &str, order: Order) -> Result<(), SimError> {
        let player = self.find(lookup, upstream)?;
        player.role.obey(order).await.map_err(|source| SimError::Port {
            lookup: player.lookup,
            upstream: player.upstream,
            address: player.role.address(),
            source,
        })
    }

    /// Gives an order as it came over HTTP, and tells what the upstream does from now on.
    ///
    /// # Errors
    /// As [`Simulator::set`], and [`SimError::Order`] when the body is not understood.
    pub async fn command(&self, lookup: &str, upstream: &str, body: &[u8]) -> Result<Value, SimError> {
        let player = self.find(lookup, upstream)?;
        self.set(lookup, upstream, Order::parse(body)?).await?;
        Ok(player.role.view())
    }

    /// What everybody does and has done: `{"lrn":{"vendor-a":{"mode":"ok","latency_ms":5,"requests":12},…},…}`.
    pub fn view(&self) -> Value {
        let mut lookups: IndexMap<&str, IndexMap<&str, Value>> = IndexMap::new();
        for player in &self.cast {
            lookups.entry(player.lookup).or_default().insert(player.upstream, player.role.view());
        }
        json!(lookups)
    }

    /// How the upstreams of a lookup behave, by name.
    pub fn modes(&self, lookup: &str) -> Vec<(&'static str, Mode)> {
        let of_lookup = self.cast.iter().filter(|player| player.lookup == lookup);
        of_lookup.map(|player| (player.upstream, player.role.conduct().mode)).collect()
    }

    /// Where each upstream listens, by lookup and upstream; a name server on UDP and TCP.
    pub fn addresses(&self) -> BTreeMap<(&'static str, &'static str), SocketAddr> {
        self.cast.iter().map(|player| ((player.lookup, player.upstream), player.role.address())).collect()
    }

    /// The address that the demo's policies name for each upstream, and the one where it listens.
    pub fn moved(&self) -> Vec<(SocketAddr, SocketAddr)> {
        let usual = (FIRST_PORT..).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        usual.zip(self.cast.iter().map(|player| player.role.address())).collect()
    }

    fn find(&self, lookup: &str, upstream: &str) -> Result<&Player, SimError> {
        self.cast.iter().find(|player| player.lookup == lookup && player.upstream == upstream).ok_or_else(|| {
            let known: Vec<_> =
                self.cast.iter().map(|player| format!("{}/{}", player.lookup, player.upstream)).collect();
            SimError::Unknown { lookup: lookup.to_owned(), upstream: upstream.to_owned(), known: known.join(", ") }
        })
    }
}

impl Role {
    async fn obey(&self, order: Order) -> std::io::Result<()> {
        match self {
            Self::Vendor(vendor) => vendor.obey(order).await,
            Self::NameServer(server) => server.obey(order).await,
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Vendor(vendor) => vendor.address(),
            Self::NameServer(server) => server.address(),
        }
    }

    fn conduct(&self) -> Conduct {
        match self {
            Self::Vendor(vendor) => vendor.conduct(),
            Self::NameServer(server) => server.conduct(),
        }
    }

    fn requests(&self) -> u64 {
        match self {
            Self::Vendor(vendor) => vendor.requests(),
            Self::NameServer(server) => server.requests(),
        }
    }

    fn view(&self) -> Value {
        let Conduct { mode, latency_ms } = self.conduct();
        json!({ "mode": mode, "latency_ms": latency_ms, "requests": self.requests() })
    }
}

#[cfg(test)]
mod tests;
