//! dipcache answers the questions a phone call must ask before it can be set up, within milliseconds,
//! whatever happens behind it.
//!
//! The modules stand in the order in which a dip travels:
//!
//! - [`deadline`], [`answer`]: the words everybody uses. [`crew`]: the threads that serve.
//! - `written`: what an operator typed, with the place of every word. Policies and config stand on it.
//! - [`front`]: bytes in, a question; an answer, bytes out. One module a protocol.
//! - [`policy`]: what the operator wrote: which questions there are and what an answer means.
//! - [`lookup`]: the pipeline. Read this first: one dip from question to answer.
//! - [`cache`]: what is already known.
//! - [`upstream`]: one question to one vendor, name server or database.
//! - [`health`]: may we ask it? Breaker, seats, holds, the 1/0 flag.
//!
//! - [`replay`]: stubbed answers against a policy, without asking anybody.
//! - [`warm`]: keys are asked before anybody calls.
//!
//! Beside the way, never awaited by a call: [`events`], [`telemetry`], [`admin`].
//! Around it: [`config`], [`app`] which wires it all, [`demo`], [`cli`]. Under it all: [`allocator`].

pub mod deadline;
pub mod answer;
pub mod crew;
pub(crate) mod written;

pub mod front;
pub mod orders;
pub mod policy;
pub mod lookup;
pub mod cache;
pub mod upstream;
pub mod health;
pub mod replay;
pub mod warm;

pub mod events;
pub mod telemetry;
pub mod admin;

pub mod config;
pub mod app;
pub mod demo;
pub mod cli;

pub mod allocator;
