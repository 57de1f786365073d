//! All that the demo's proxy has behind it, and the policies that lead there.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::policies::pointed_at;
use super::seed::Seed;
use super::vendors::{Ports, Simulator};
use crate::admin::{Ordered, Simulated};
use crate::policy::check::{Folder, parse, read_folder};
use crate::policy::{Fault, Policy, Vars};

/// The demo's policies as they ship, for a binary that is far from its repository.
const SHIPPED: [(&str, &str); 5] = [
    ("account", include_str!("../../config/demo-policies/account.toml")),
    ("carrier-dns", include_str!("../../config/demo-policies/carrier-dns.toml")),
    ("cnam", include_str!("../../config/demo-policies/cnam.toml")),
    ("lrn", include_str!("../../config/demo-policies/lrn.toml")),
    ("rate", include_str!("../../config/demo-policies/rate.toml")),
];

/// Vendors, name server and database, running; they end when this is dropped.
#[derive(Debug)]
pub struct World {
    /// The vendors and the name server.
    pub simulator: Arc<Simulator>,
    seed: Seed,
}

impl World {
    /// Starts them all.
    ///
    /// # Errors
    /// A port that is taken, or no room for the database.
    pub async fn start(ports: Ports) -> anyhow::Result<Self> {
        Ok(Self { simulator: Arc::new(Simulator::start(ports).await?), seed: Seed::plant().await? })
    }

    /// The policies that ship, pointed at this world.
    ///
    /// # Errors
    /// Faults, which would be ours.
    pub fn shipped_policies(&self) -> Result<Vec<Policy>, Vec<Fault>> {
        let read = |(name, text): &(&str, &str)| {
            let path = format!("config/demo-policies/{name}.toml");
            parse(name, Path::new(&path), &self.pointed_at(text))
        };
        SHIPPED.iter().map(read).collect()
    }

    /// The policies of a folder, pointed at this world.
    pub fn policies_of(&self, folder: &Path, vars: &Vars) -> (Vec<Policy>, Vec<Fault>) {
        let read = read_folder(folder, vars, &|text| self.pointed_at(&text));
        (read.policies, read.faults)
    }

    fn pointed_at(&self, text: &str) -> String {
        pointed_at(text, &self.simulator.moved(), &self.seed)
    }
}

/// The policies of a folder as [`World::policies_of`] reads them, with vendors at their usual ports, running or not.
pub fn folder_over(folder: &Path, vars: &Vars, seed: &Seed) -> Folder {
    read_folder(folder, vars, &|text| pointed_at(&text, &[], seed))
}

impl Simulated for Simulator {
    fn view(&self) -> Value {
        Self::view(self)
    }

    fn order<'a>(&'a self, lookup: &'a str, upstream: &'a str, body: &'a [u8]) -> Ordered<'a> {
        Box::pin(async move {
            self.command(lookup, upstream, body).await.map_err(|refused| (refused.status(), refused.to_string()))
        })
    }
}
