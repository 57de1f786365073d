//! From the policy as typed to the policy as run: every fault at once, each with its place and its remedy.
//!
//! [`read_dir`] reads a folder of policies, [`read`] one file, [`parse`] a text. The order within: the
//! text is parsed past its slips ([`crate::written`]), then each part is checked on its own (`inputs`,
//! `times`, `upstream` with one module a transport, `record`), and only a policy without a single fault
//! is put together. A part that is wrong stands in as its default meanwhile, so that one fault does not
//! make others.

mod folder;
mod ambient;
mod chain;
mod inputs;
mod times;
mod upstream;
mod rules;
mod decoding;
mod http;
mod url;
mod caller_url;
mod lint;
mod body;
mod pairs;
mod wire;
mod auth;
mod credentials;
mod dns;
mod sql;
mod maps;
mod table;
mod record;
mod compile;
mod parts;
mod digest;
mod warm;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::file::{EnabledWord, PolicyFile};
use super::kind::Kind;
use super::maps::Maps;
use super::{Ambient, Fault, Policy, Vars, Vault};
use crate::written::{Document, Faults, Source, Span, Spanned, file_text};
use compile::Names;
use lint::BodyIs;

#[cfg(test)]
pub(super) use auth::{further_keys, keys};
pub(crate) use compile::secret_mend;
pub use folder::{Folder, Off, read_dir, read_folder};
#[cfg(test)]
pub(super) use upstream::foreign_keys;

/// A policy, and whether it is to be served.
#[derive(Debug)]
struct Parsed {
    policy: Policy,
    served: Served,
    /// What is allowed in it and dangerous.
    warnings: Vec<Fault>,
}

/// Whether a sound policy is served.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Served {
    /// It is.
    Yes,
    /// Its `enabled` says no.
    No,
    /// Not before these references lead to a secret.
    Without(Vec<String>),
}

/// Reads one policy; its lookup's name is the file's name without `.toml`.
///
/// # Errors
/// Every fault in it.
pub fn read(path: &Path) -> Result<Policy, Vec<Fault>> {
    read_with(path, &Vars::new(), &Vault::Real)
}

/// As [`read`], with a site's values in the place of the policy's own `[vars]`, and the secrets from a vault.
///
/// # Errors
/// As [`read`].
pub fn read_with(path: &Path, vars: &Vars, vault: &Vault) -> Result<Policy, Vec<Fault>> {
    read_file(path, vars, &|text| text, vault).map(|parsed| parsed.policy)
}

fn read_file(path: &Path, vars: &Vars, change: &dyn Fn(String) -> String, vault: &Vault) -> Result<Parsed, Vec<Fault>> {
    let name = folder::lookup_name(path).map_err(|fault| vec![fault])?;
    let text = file_text(path).map_err(|fault| vec![fault])?;
    parse_text(&name, path, &change(text), vars, vault)
}

/// Reads a policy from its text. `path` is where it came from: faults name it, and files that the
/// policy names are looked up beside it.
///
/// # Errors
/// Every fault in it.
pub fn parse(name: &str, path: &Path, text: &str) -> Result<Policy, Vec<Fault>> {
    parse_over(name, path, text, &Vars::new())
}

/// As [`parse`], with a site's values in the place of the policy's own `[vars]`.
///
/// # Errors
/// Every fault in it.
pub fn parse_over(name: &str, path: &Path, text: &str, vars: &Vars) -> Result<Policy, Vec<Fault>> {
    parse_text(name, path, text, vars, &Vault::Real).map(|parsed| parsed.policy)
}

fn parse_text(name: &str, path: &Path, text: &str, vars: &Vars, vault: &Vault) -> Result<Parsed, Vec<Fault>> {
    let mut faults = Faults::new(Source::new(path, text));
    let parsed = Document::parse(text, &mut faults).and_then(|document| {
        let file = document.read::<PolicyFile>(&mut faults)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let check = Check {
            faults: &mut faults,
            folder,
            vault,
            secrets: Vec::new(),
            maps: Arc::default(),
            absent: Vec::new(),
            may_be_absent: false,
            site: vars,
            ambient: Arc::default(),
            body: BodyIs::default(),
            span: document.span(),
        };
        check.policy(name, file, &document)
    });
    match parsed {
        Some(parsed) if faults.is_empty() => Ok(Parsed { warnings: faults.take_warnings(), ..parsed }),
        _ => Err(faults.into_vec()),
    }
}

/// One policy's check, under way.
struct Check<'a> {
    faults: &'a mut Faults,
    /// Where files that the policy names are looked up.
    folder: &'a Path,
    /// Where the secrets come from.
    vault: &'a Vault,
    /// Values that the fingerprint must know of although the text does not hold them.
    secrets: Vec<String>,
    /// References that lead to no secret yet.
    absent: Vec<String>,
    /// `enabled = "secrets"`: such references are no fault.
    may_be_absent: bool,
    /// The policy's own value maps, which its expressions carry along.
    maps: Arc<Maps>,
    /// A site's values in the place of the policy's own `[vars]`.
    site: &'a Vars,
    /// The policy's `[vars]` and `[secrets]`, for its templates.
    ambient: Arc<Ambient>,
    /// What the body is that the expressions of the upstream at hand see.
    body: BodyIs,
    /// The top of the file.
    span: Span,
}

/// Where a key stands, if it is there.
fn at<T>(value: &Option<Spanned<T>>) -> Option<Span> {
    value.as_ref().map(Spanned::span)
}

impl Check<'_> {
    fn policy(mut self, name: &str, file: PolicyFile, document: &Document<'_>) -> Option<Parsed> {
        let enabled = self.faults.or(file.enabled, EnabledWord::Yes);
        self.may_be_absent = enabled == EnabledWord::WithSecrets;
        let kind = self.faults.value(file.kind).map_or(Kind::Raw, |kind| kind.into_inner().0);
        let describe = self.faults.or(file.describe, String::new());
        self.maps = Arc::new(self.maps(file.maps.unwrap_or_default()));
        self.ambient = self.ambient(file.vars.unwrap_or_default(), file.secrets.unwrap_or_default());
        let (inputs, applies_when) = self.inputs(file.input);
        let names = Names::of(&inputs);
        let applies_when = applies_when.and_then(|gate| self.expr(&gate, names.question()));

        let mut budget_file = file.budget.unwrap_or_default();
        let chain = chain::ChainFile {
            answer: budget_file.answer.take(),
            hedge_max: budget_file.hedge_max.take(),
            order: budget_file
                .order
                .as_ref()
                .and_then(|order| Some(Spanned::new(order.span(), order.get_ref().0.clone().ok()?))),
            hedge_after: budget_file.hedge_after.as_ref().and_then(|after| after.get_ref().0.clone().ok()),
            class: file.class,
            merge: file.merge,
            then: file.then,
            cost: file.cost,
        };
        let cache_file = file.cache.unwrap_or_default();
        self.emergency_lives(&chain.class, &cache_file);
        let budget = self.budget(budget_file);
        let never_stale = self.never_stale(kind, &inputs, &cache_file);
        let mut cache = self.cache(cache_file);
        if never_stale {
            (cache.stale, cache.revalidate) = (Duration::ZERO, Duration::ZERO);
        }
        let mut breaker = self.breaker(file.breaker.unwrap_or_default(), &budget);
        if chain::is_emergency(&chain.class) {
            chain::for_emergency(&mut cache, &mut breaker);
        }
        let upstreams = self.upstreams(file.upstream, kind, &names, &budget);
        let fallback = file.fallback.and_then(|fallback| self.fallback(fallback, &names));
        let chain = self.chain(name, chain, &names, &upstreams);
        let warm = self.warm(file.warm, &cache);
        let field_order = record::field_order(&upstreams, fallback.as_deref(), &chain.then);
        let text_field = self.text_field(file.answer.unwrap_or_default(), kind, &field_order);

        let shape = digest::shape(document, &self.ambient.vars);
        let fingerprint = digest::fingerprint(name, document, &self.ambient.vars, &self.secrets);
        let policy = Policy {
            name: name.into(),
            kind,
            describe,
            inputs: inputs?,
            applies_when,
            budget,
            cache,
            breaker,
            fallback,
            text_field,
            field_order,
            upstreams,
            chain,
            warm,
            shape,
            fingerprint,
        };
        let served = match enabled {
            EnabledWord::No => Served::No,
            _ if self.absent.is_empty() => Served::Yes,
            _ => Served::Without(self.absent),
        };
        Some(Parsed { policy, served, warnings: Vec::new() })
    }

    /// A value that must be there, in the table at `table`.
    fn required<T>(
        &mut self,
        value: Option<Spanned<T>>,
        table: &Span,
        key: &str,
        given: bool,
        mend: &str,
    ) -> Option<Spanned<T>> {
        if value.is_none() && !given {
            self.faults.missing(table, key, format!("`{key}` is missing"), mend);
        }
        value
    }
}
