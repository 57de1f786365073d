//! `GET /v1/health?verbose`: not only 1 or 0, but why, since when, and who says so.

use serde_json::{Value, json};

use crate::admin::status::of_member;
use crate::deadline::now;
use crate::lookup::Lookup;

/// One lookup: its flag, what this node sees, and what the cluster makes of it.
pub(super) fn of_lookup(lookup: &Lookup) -> Value {
    let view = lookup.mind.view(now());
    json!({
        "health": u8::from(lookup.is_up()),
        "override": lookup.verdict.hand().as_str(),
        "this_node": u8::from(lookup.verdict.is_usable()),
        // Who decides: all nodes together, or this one by itself.
        "decides": if view.is_some() { "cluster" } else { "node" },
        "cluster": view.map(|view| json!({
            "health": u8::from(view.up),
            "epoch": view.epoch,
            "since_ms": view.since,
            "by": view.by,
            "reason": view.reason,
            "nodes": view.nodes.iter().map(|(name, vote)| (name.clone(), json!({
                "health": u8::from(vote.up),
                "abstains": vote.abstains,
                "at_ms": vote.at,
                "down": vote.down,
                "reason": vote.reason,
            }))).collect::<serde_json::Map<_, _>>(),
        })),
        "upstreams": lookup.members.iter().map(of_member).collect::<Vec<_>>(),
    })
}
