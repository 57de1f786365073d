//! 10,000 keys find the same server with us as with libmemcached, for one to seven servers.

#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/mod.rs"]
mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use dipcache::cache::shared::Ring;
use dipcache::config;

use support::process::{run, skipped};

/// Prints the server's index for each key that comes in.
const PROGRAM: &str = r#"
#include <libmemcached/memcached.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int main(int argc, char **argv) {
  memcached_st *memc = memcached_create(NULL);
  memcached_behavior_set(memc, atoi(argv[1]) ? MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED : MEMCACHED_BEHAVIOR_KETAMA, 1);
  for (int i = 2; i < argc; i++) {
    char *colon = strrchr(argv[i], ':');
    *colon = 0;
    memcached_server_add(memc, argv[i], atoi(colon + 1));
  }
  char key[512];
  while (scanf("%511s", key) == 1) printf("%u\n", memcached_generate_hash(memc, key, strlen(key)));
  return 0;
}
"#;

#[test]
fn libmemcached_finds_the_same_servers() {
    if !std::path::Path::new("/usr/include/libmemcached/memcached.h").exists() {
        return skipped("libmemcached/memcached.h", "libmemcached-dev");
    }
    let dir = tempfile::tempdir().unwrap();
    let (source, program) = (dir.path().join("ring.c"), dir.path().join("ring"));
    std::fs::write(&source, PROGRAM).unwrap();
    let mut compiler = Command::new("cc");
    compiler.arg(&source).arg("-o").arg(&program).arg("-lmemcached");
    run(compiler);

    let keys: Vec<String> = (0..10_000_u64).map(|n| format!("dip:e:cnam:{n:x}:+1303555{n:04}")).collect();
    for count in 1..=7_usize {
        // One of them on the default port, which libmemcached leaves out of a server's name.
        let servers: Vec<String> = (0..count).map(|n| format!("10.0.0.{n}:{}", 11211 + n / 2)).collect();
        for (form, argument) in [(config::Ring::Ketama, "0"), (config::Ring::KetamaWeighted, "1")] {
            let mut child = Command::new(&program)
                .arg(argument)
                .args(&servers)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            let text = keys.join("\n");
            let feeder = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
            let output = child.wait_with_output().unwrap();
            feeder.join().unwrap().unwrap();
            let theirs: Vec<usize> =
                String::from_utf8(output.stdout).unwrap().lines().map(|line| line.parse().unwrap()).collect();
            assert_eq!(theirs.len(), keys.len());
            let ring = Ring::new(&servers, form);
            let different = keys.iter().zip(&theirs).filter(|(key, theirs)| ring.find(key) != **theirs).count();
            assert_eq!(different, 0, "{count} servers, {form:?}: so many of 10000 keys go elsewhere");
        }
    }
}
