//! A disk of a few megabytes that can be filled up: memory, mounted where only those see it who enter its namespace.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The disk. It goes with its value, and so does what is on it.
pub struct SmallDisk {
    /// Holds the namespace open.
    holder: Child,
    place: tempfile::TempDir,
}

impl SmallDisk {
    /// A disk of this size, as `mount` writes it; `None` where we may not mount one.
    pub fn of(size: &str) -> Option<Self> {
        let place = super::process::directory_for("");
        let script = "mount -t tmpfs -o size=$1 tmpfs $2 && echo mounted && exec sleep infinity";
        let holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", size])
            .arg(place.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn();
        let mounted = holder.ok().and_then(|mut holder| {
            let mut said = String::new();
            BufReader::new(holder.stdout.take()?).read_line(&mut said).ok()?;
            let disk = Self { holder, place };
            (said.trim() == "mounted").then_some(disk)
        });
        if mounted.is_none() {
            println!("SKIPPED: no small disk can be mounted here (unshare --user --mount)");
        }
        mounted
    }

    /// Where it is, for those who have entered.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// What enters: to be followed by a program and its arguments.
    pub fn door(&self) -> (PathBuf, Vec<String>) {
        let holder = self.holder.id().to_string();
        let words = ["--preserve-credentials", "--user", "--mount", "--target", &holder];
        ("nsenter".into(), words.map(str::to_owned).into())
    }

    fn filler(&self) -> PathBuf {
        let inside = self.path().strip_prefix("/").expect("a temporary directory's whole path");
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside).join("filler")
    }

    /// Leaves no byte free.
    pub fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("the disk is ours");
        for size in [1 << 20, 4096, 1] {
            let block = vec![1; size];
            while filler.write_all(&block).is_ok() {}
        }
    }

    /// Gives back what [`SmallDisk::fill`] took.
    pub fn clear(&self) {
        std::fs::remove_file(self.filler()).expect("it was filled");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
