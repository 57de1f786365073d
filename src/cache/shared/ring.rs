//! Which server has a key: libmemcached's ketama ring, point for point.
//!
//! Two published crates draw rings of their own that agree with nobody else's, so the forty lines are here. Every
//! other client of the same servers (PHP, pylibmc, libmemcached's tools) must find the same server as we do.
//! `tests/shared_ring.rs` compares 10,000 keys with the real library.

use md5::{Digest, Md5};

use crate::config::Ring as Form;

/// The points of all servers, in order.
#[derive(Debug)]
pub struct Ring {
    /// The point and the server that it belongs to.
    points: Vec<(u32, usize)>,
    form: Form,
}

impl Ring {
    /// The ring of these servers, as `host:port` each, all of one weight.
    pub fn new(servers: &[String], form: Form) -> Self {
        let mut points = Vec::with_capacity(servers.len() * 160);
        for (index, server) in servers.iter().enumerate() {
            // libmemcached leaves the default port out of the name.
            let name = server.strip_suffix(":11211").unwrap_or(server);
            match form {
                Form::Ketama => {
                    points.extend((0..100).map(|step| (one_at_a_time(&format!("{name}-{step}")), index)));
                }
                Form::KetamaWeighted => {
                    for step in 0..40 {
                        let digest = digest(&format!("{name}-{step}"));
                        points.extend((0..4).map(|part| (quarter(&digest, part), index)));
                    }
                }
            }
        }
        points.sort_unstable();
        Self { points, form }
    }

    /// The index of the server that has this key; 0 on an empty ring.
    pub fn find(&self, key: &str) -> usize {
        let hash = match self.form {
            Form::Ketama => one_at_a_time(key),
            Form::KetamaWeighted => quarter(&digest(key), 0),
        };
        let at = self.points.partition_point(|(point, _)| *point < hash);
        self.points.get(at).or_else(|| self.points.first()).map_or(0, |(_, server)| *server)
    }
}

/// Bob Jenkins' hash, which libmemcached takes unless it is told otherwise or its ring is weighted.
fn one_at_a_time(text: &str) -> u32 {
    let mixed = text.bytes().fold(0_u32, |hash, byte| {
        let hash = hash.wrapping_add(u32::from(byte));
        let hash = hash.wrapping_add(hash << 10);
        hash ^ (hash >> 6)
    });
    let mixed = mixed.wrapping_add(mixed << 3);
    let mixed = mixed ^ (mixed >> 11);
    mixed.wrapping_add(mixed << 15)
}

fn digest(text: &str) -> [u8; 16] {
    Md5::digest(text.as_bytes()).into()
}

/// One of the four numbers in a digest.
fn quarter(digest: &[u8; 16], part: usize) -> u32 {
    let at = part % 4 * 4;
    u32::from_le_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(ports: std::ops::Range<u16>) -> Vec<String> {
        ports.map(|port| format!("127.0.0.1:{port}")).collect()
    }

    #[test]
    fn a_fourth_server_takes_its_share_and_moves_nothing_else() {
        for form in [Form::Ketama, Form::KetamaWeighted] {
            let (three, four) = (Ring::new(&servers(1..4), form), Ring::new(&servers(1..5), form));
            let keys: Vec<String> = (0..10_000).map(|n| format!("dip:{n}")).collect();
            let moved: Vec<_> = keys.iter().filter(|key| three.find(key) != four.find(key)).collect();
            assert!((1500..3000).contains(&moved.len()), "{} of 10000 moved", moved.len());
            assert!(moved.iter().all(|key| four.find(key) == 3), "a key moved between old servers");
        }
    }

    #[test]
    fn an_empty_ring_and_one_server_are_no_danger() {
        assert_eq!(Ring::new(&[], Form::Ketama).find("a"), 0);
        assert_eq!(Ring::new(&servers(1..2), Form::Ketama).find("a"), 0);
    }
}
