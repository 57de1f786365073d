//! Keys that are legal in memcached's text protocol, whatever they are made of.
//!
//! memcache-async writes a key as it gets it: a space or a line end in one would be another word or a second
//! command. So every key is made here, and nowhere else.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// What memcached allows.
const LONGEST: usize = 250;

/// `{prefix}{kind}:{name}`, where `name` may be anything.
pub(super) fn plain(prefix: &str, kind: &str, name: &str) -> String {
    finish(format!("{prefix}{kind}:"), name)
}

/// The key of an answer. The policy's shape and the era of the last flush are part of it, so that neither a changed
/// policy nor a flush ever meets what was kept before.
pub(super) fn of_answer(prefix: &str, lookup: &str, shape: u64, era: u64, id: &str) -> String {
    let lookup = finish(String::new(), lookup);
    finish(format!("{prefix}e:{lookup}:{shape:x}.{era:x}:"), id)
}

/// Appends the rest as it is where that is legal, else its digest. A rest that looks like a digest gets one as
/// well, so that two things never share a key.
fn finish(mut start: String, rest: &str) -> String {
    let legal = !rest.starts_with('#') && rest.bytes().all(|byte| byte.is_ascii_graphic());
    if legal && start.len() + rest.len() <= LONGEST {
        start.push_str(rest);
        return start;
    }
    start.push('#');
    for byte in Sha256::digest(rest.as_bytes()) {
        // Writing to a String cannot fail.
        let _ = write!(start, "{byte:02x}");
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_plain_key_stays_readable() {
        assert_eq!(plain("dip:", "health", "cnam"), "dip:health:cnam");
        assert_eq!(of_answer("dip:", "cnam", 255, 16, "+13035550123"), "dip:e:cnam:ff.10:+13035550123");
    }

    #[test]
    fn a_literal_digest_is_not_the_digest() {
        let spaced = of_answer("", "a", 0, 0, "x y");
        let literal = spaced.rsplit(':').next().unwrap();
        assert_ne!(of_answer("", "a", 0, 0, literal), spaced);
    }

    proptest! {
        #[test]
        fn every_key_is_legal_and_no_two_are_the_same(one in any::<String>(), two in ".{0,400}") {
            let prefix = "p".repeat(64);
            for text in [&one, &two] {
                let key = of_answer(&prefix, "a-lookup", u64::MAX, u64::MAX, text);
                prop_assert!(key.len() <= LONGEST, "{} bytes", key.len());
                prop_assert!(key.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            let same = of_answer("", "a", 0, 0, &one) == of_answer("", "a", 0, 0, &two);
            prop_assert_eq!(same, one == two);
        }
    }
}
