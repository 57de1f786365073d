//! A folder of policies: one file a lookup.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Parsed, Served, read_file};
use crate::policy::{Fault, Policy, Vars, Vault};

/// All that a folder of policies holds.
#[derive(Debug, Default)]
pub struct Folder {
    /// What is served.
    pub policies: Vec<Policy>,
    /// What would be served if its secrets were there.
    pub off: Vec<Off>,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// What is served though it is dangerous.
    pub warnings: Vec<Fault>,
}

/// A sound policy with `enabled = "secrets"`, some of which are not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Off {
    /// The lookup's name.
    pub lookup: String,
    /// The references that lead nowhere, such as `env:VENDOR_KEY`.
    pub missing: Vec<String>,
}

/// Reads every `*.toml` of a folder, in order of name. Good policies are there beside the faults of
/// bad ones; policies with `enabled = false` are checked and left out. Names that start with a dot
/// are not looked at.
pub fn read_dir(dir: &Path) -> (Vec<Policy>, Vec<Fault>) {
    let folder = read_folder(dir, &Vars::new(), &|text| text);
    (folder.policies, folder.faults)
}

/// As [`read_dir`], with a site's values in the place of the policies' own `[vars]`, and with each file's text changed
/// before it is looked at: the demo puts its own ports in. Lines must keep their numbers. Tells also which
/// policies wait for a secret.
pub fn read_folder(dir: &Path, vars: &Vars, change: &dyn Fn(String) -> String) -> Folder {
    let mut folder = Folder::default();
    let mut seen: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in toml_files(dir, &mut folder.faults) {
        if let Some(fault) = twice(&path, &mut seen) {
            folder.faults.push(fault);
            continue;
        }
        match read_file(&path, vars, change, &Vault::Real) {
            Ok(Parsed { policy, served: Served::Yes, warnings }) => {
                folder.policies.push(policy);
                folder.warnings.extend(warnings);
            }
            Ok(Parsed { policy, served: Served::Without(missing), .. }) => {
                folder.off.push(Off { lookup: policy.name.to_string(), missing });
            }
            Ok(Parsed { served: Served::No, .. }) => {}
            Err(more) => folder.faults.extend(more),
        }
    }
    folder.faults.extend(stray_files(dir, &seen));
    let broken = broken_links(dir, &folder.policies, &seen);
    folder.faults.extend(broken);
    folder
}

/// The lookup's name: the file's name without `.toml`.
///
/// # Errors
/// A name that would not do in a URL, a cache key and a label.
pub(super) fn lookup_name(path: &Path) -> Result<String, Fault> {
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if (1..=64).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(name);
    }
    let mend = "rename the file: small letters, digits, `-` and `_`, at most 64".to_owned();
    Err(whole_file(path, format!("the file's name makes `{name}` the lookup's name, which does not do"), mend))
}

/// Dependent steps that lead nowhere, or round in a circle. One that leads to a policy which is not
/// served, or has faults of its own, is none.
fn broken_links(dir: &Path, policies: &[Policy], seen: &BTreeMap<String, PathBuf>) -> Vec<Fault> {
    let named = |name: &str| policies.iter().find(|policy| *policy.name == *name);
    let mut faults = Vec::new();
    for policy in policies {
        let file = dir.join(format!("{}.toml", policy.name));
        let also = policy.upstreams.iter().flat_map(|upstream| upstream.also.iter().map(|also| &also.lookup));
        for lookup in policy.chain.then.iter().map(|then| &then.lookup).chain(also) {
            if !seen.contains_key(&**lookup) {
                let what = format!("it names the lookup `{lookup}`, and there is no such policy");
                faults.push(whole_file(&file, what, format!("add {lookup}.toml, or correct the name")));
            }
        }
        let mut reached: Vec<&str> = policy.chain.then.iter().map(|then| &*then.lookup).collect();
        let mut next = 0;
        while let Some(name) = reached.get(next).copied() {
            next += 1;
            let further = named(name).into_iter().flat_map(|policy| &policy.chain.then).map(|then| &*then.lookup);
            let further: Vec<&str> = further.filter(|name| !reached.contains(name)).collect();
            reached.extend(further);
        }
        if reached.contains(&&*policy.name) {
            let what = format!("its dependent steps lead back to `{}`", policy.name);
            faults.push(whole_file(&file, what, "take one [[then]] of the circle out".to_owned()));
        }
    }
    faults
}

/// The fault of a second file for one lookup, whatever the case of its name.
fn twice(path: &Path, seen: &mut BTreeMap<String, PathBuf>) -> Option<Fault> {
    let name = path.file_stem()?.to_string_lossy().to_lowercase();
    match seen.get(&name) {
        Some(first) => Some(described_twice(path, &name, first)),
        None => {
            seen.insert(name, path.to_owned());
            None
        }
    }
}

fn described_twice(path: &Path, name: &str, first: &Path) -> Fault {
    let what = format!("the lookup `{name}` is described twice, here and in {}", first.display());
    whole_file(path, what, "keep one of the two files, or rename one".to_owned())
}

/// Policies in folders below: nobody would serve them, and nobody would know why.
fn stray_files(dir: &Path, seen: &BTreeMap<String, PathBuf>) -> Vec<Fault> {
    let mut below: Vec<PathBuf> = entries(dir).unwrap_or_default().into_iter().filter(|path| path.is_dir()).collect();
    below.sort();
    let files = below.iter().flat_map(|folder| toml_files(folder, &mut Vec::new()));
    files
        .map(|path| {
            let name = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
            match seen.get(&name) {
                Some(first) => described_twice(&path, &name, first),
                None => whole_file(
                    &path,
                    format!("a policy in a folder below {} is not read", dir.display()),
                    "move it up, or give it another ending than .toml".to_owned(),
                ),
            }
        })
        .collect()
}

fn toml_files(dir: &Path, faults: &mut Vec<Fault>) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = match entries(dir) {
        Ok(entries) => entries.into_iter().filter(|path| is_toml(path) && !path.is_dir()).collect(),
        Err(error) => {
            let what = format!("the folder of policies does not read: {error}");
            faults.push(whole_file(dir, what, "create it, or set `dir` under [policies]".to_owned()));
            Vec::new()
        }
    };
    // Small letters sort behind capitals: of `Lrn.toml` and `lrn.toml` the well-named one is the first.
    files.sort_by(|a, b| b.file_name().cmp(&a.file_name()));
    files.sort_by_key(|path| path.file_name().map(|name| name.to_string_lossy().to_lowercase()));
    files
}

fn entries(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if !hidden(&path) {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn is_toml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

/// A fault of a file as a whole.
fn whole_file(path: &Path, what: String, mend: String) -> Fault {
    Fault { file: path.to_owned(), line: 1, column: 1, what, mend }
}
