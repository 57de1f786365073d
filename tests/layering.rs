//! Modules import what stands behind them on the way of a dip, never what stands before them; and each
//! large library stays inside the module that is there to hide it.
//!
//! Read from the source's text: only production lines count, up to a file's `mod tests`.

#![allow(clippy::expect_used)] // A test: what cannot be read fails it.

use std::fs;
use std::path::{Path, PathBuf};

/// Groups of modules, from the ground up. A module may import from its own group and from those before it.
const ORDER: &[&[&str]] = &[
    &["allocator", "deadline", "answer", "crew"],
    &["written", "policy", "config"],
    &["telemetry", "health", "events", "cache"],
    &["upstream"],
    &["lookup"],
    &["front", "warm", "orders", "admin", "replay"],
    &["app"],
    &["demo", "cli"],
    &["main"],
];

/// Libraries that may be named in these places and nowhere else. `policy/check` asks the URL parser of the client
/// that will use the URL; `cli` is a client of the running proxy.
const CONFINED: &[(&str, &[&str])] = &[
    ("libmimalloc_sys", &["allocator"]),
    ("moka", &["cache"]),
    ("memcache_async", &["cache/shared"]),
    ("reqwest", &["upstream", "policy/check", "cli"]),
    ("hickory_resolver", &["upstream"]),
    ("hickory_proto", &["upstream", "front/dns", "demo"]),
    ("sqlx", &["upstream/sql", "demo"]),
    ("axum", &["admin"]),
    ("rdkafka", &["config/events", "events/sink", "orders/control"]),
];

struct Source {
    /// Relative to `src`, without the ending: `front/http/mod`.
    place: String,
    /// Production lines with their numbers, comments left out.
    lines: Vec<(usize, String)>,
}

impl Source {
    fn module(&self) -> &str {
        self.place.split('/').next().unwrap_or_default()
    }

    /// How it names this crate: a program's main file stands outside of it.
    fn root(&self) -> &'static str {
        if self.module() == "main" { "dipcache::" } else { "crate::" }
    }

    fn is_in(&self, folder: &str) -> bool {
        self.place.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[test]
fn imports_point_down_the_way() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(own) = rank(source.module()) else {
            wrong.push(format!("src/{}.rs: module `{}` has no place in ORDER", source.place, source.module()));
            continue;
        };
        for (number, line) in &source.lines {
            for target in imported_modules(line, source.root()) {
                if rank(&target).is_none_or(|rank| rank > own) {
                    wrong.push(format!("src/{}.rs:{number}: `{}` imports `{target}`", source.place, source.module()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the way of a dip:\n{}", wrong.join("\n"));
}

#[test]
fn libraries_stay_where_they_are_hidden() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (library, folders) in CONFINED {
            if folders.iter().any(|folder| source.is_in(folder)) {
                continue;
            }
            for (number, line) in &source.lines {
                if names_library(line, library) {
                    wrong.push(format!("src/{}.rs:{number}: `{library}` belongs in {folders:?}", source.place));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "libraries outside the module that hides them:\n{}", wrong.join("\n"));
}

#[test]
fn nothing_is_unsafe_but_the_allocator() {
    // The compiler denies it, and an attribute would allow it again: the one there is says why. Looked for in all there is, tests and
    // `lib.rs` as well, but for this file, which has the word.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    ["src", "tests", "benches"].iter().for_each(|folder| collect(&root.join(folder), &mut files));
    let allows = |file: &&PathBuf| fs::read_to_string(file).expect("a source file that reads").contains("unsafe_code");
    let here = root.join(file!());
    let places: Vec<&PathBuf> = files.iter().filter(|file| **file != here).filter(allows).collect();
    assert_eq!(places, [&root.join("src/allocator.rs")]);
}

#[test]
fn every_import_form_is_seen() {
    assert_eq!(imported_modules("use crate::lookup::Lookups;", "crate::"), ["lookup"]);
    assert_eq!(imported_modules("    let now = crate::deadline::now();", "crate::"), ["deadline"]);
    assert_eq!(imported_modules("use crate::{answer::Answer, front::Front};", "crate::"), ["{"]);
    assert_eq!(imported_modules("use dipcache::cli::Cli;", "dipcache::"), ["cli"]);
    assert!(imported_modules("use moka::sync::Cache;", "crate::").is_empty());
    assert!(names_library("    pool: sqlx::SqlitePool,", "sqlx"));
    assert!(!names_library("    my_sqlx::x", "sqlx"));
}

fn rank(module: &str) -> Option<usize> {
    ORDER.iter().position(|group| group.contains(&module))
}

/// The top modules of this crate that a line names, whether in a `use` or in a path. A list in braces right
/// behind the root could run over many lines: it comes out as the module `{`, which has no place.
fn imported_modules(line: &str, root: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in line.match_indices(root) {
        let joined = line[..at].chars().next_back().is_some_and(|before| before.is_alphanumeric() || before == '_');
        let rest = &line[at + root.len()..];
        match (joined, rest.starts_with('{')) {
            (true, _) => {}
            (false, true) => found.push("{".to_owned()),
            (false, false) => found.push(first_word(rest)),
        }
    }
    found
}

fn first_word(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn names_library(line: &str, library: &str) -> bool {
    line.match_indices(&format!("{library}::")).any(|(at, _)| {
        line[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '_' && before != ':')
    })
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.retain(|file| !file.ends_with("tests.rs"));
    assert!(files.len() > 10, "only {} source files found: has src moved?", files.len());
    files.iter().map(|file| read(&root, file)).filter(|source| source.place != "lib").collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder under src") {
        let path = entry.expect("an entry under src").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
}

fn read(root: &Path, file: &Path) -> Source {
    let place = file.strip_prefix(root).expect("a file under src").with_extension("");
    let text = fs::read_to_string(file).expect("a source file that reads");
    let lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .take_while(|(_, line)| !line.trim_start().starts_with("mod tests"))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number, line.to_owned()))
        .collect();
    Source { place: place.to_string_lossy().replace('\\', "/"), lines }
}
