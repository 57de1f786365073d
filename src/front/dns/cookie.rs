//! DNS cookies (RFC 7873): a client sends eight bytes of its own choice, and an answer that brings them back was not forged
//! by somebody who cannot see the question.
//!
//! We bring them back, with a cookie of ours as the option demands, and ask for nothing: whoever has no cookie, or one of
//! another server's, is answered like everybody else. So ours need not be remembered, nor looked at when it comes back.

use std::fmt;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How long a client's cookie is.
const CLIENT: usize = 8;

/// How long ours is: what RFC 7873, appendix B, takes of an HMAC.
const SERVER: usize = 8;

/// Makes cookies; its key is of this process alone.
pub struct Baker {
    keyed: Hmac<Sha256>,
}

impl Default for Baker {
    fn default() -> Self {
        let (one, other) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
        let mut key = [0; 64];
        key[..16].copy_from_slice(one.as_bytes());
        key[16..32].copy_from_slice(other.as_bytes());
        // A key that fills the hash's block is taken as it is; the rest of it is zeros, as HMAC would put there itself.
        Self { keyed: Hmac::new(&key.into()) }
    }
}

impl fmt::Debug for Baker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Baker")
    }
}

impl Baker {
    /// The option's answer to what this client sent: its own cookie, and ours. `None` where its length is wrong, which
    /// is a malformed query (RFC 7873, section 5.2.2).
    pub fn cookie(&self, sent: &[u8], from: IpAddr) -> Option<Vec<u8>> {
        if !matches!(sent.len(), CLIENT | 16..=40) {
            return None;
        }
        let client = &sent[..CLIENT];
        let mut mac = self.keyed.clone();
        mac.update(client);
        match from {
            IpAddr::V4(address) => mac.update(&address.octets()),
            IpAddr::V6(address) => mac.update(&address.octets()),
        }
        let ours = mac.finalize().into_bytes();
        Some([client, &ours[..SERVER]].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_comes_back_with_ours_which_depends_on_the_client() {
        let baker = Baker::default();
        let (here, there): (IpAddr, IpAddr) = ("127.0.0.1".parse().unwrap(), "::1".parse().unwrap());
        let first = baker.cookie(b"12345678", here).unwrap();
        assert_eq!((first.len(), &first[..8]), (16, b"12345678".as_slice()));
        assert_eq!(baker.cookie(&first, here), Some(first.clone()), "the same client keeps its cookie");
        assert_ne!(baker.cookie(b"12345678", there).unwrap()[8..], first[8..]);
        assert_ne!(baker.cookie(b"12345679", here).unwrap()[8..], first[8..]);
        assert_ne!(
            Baker::default().cookie(b"12345678", here).unwrap()[8..],
            first[8..],
            "each process has its own key"
        );
        for wrong in [0, 7, 9, 15, 41] {
            assert_eq!(baker.cookie(&vec![0; wrong], here), None, "{wrong}");
        }
    }
}
