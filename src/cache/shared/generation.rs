//! What a server's generation key says: the number that answers must carry, and when a node last vouched for it.

/// What nobody has vouched for in this time, while nodes were there to do it, is of yesterday: milliseconds.
pub(super) const YESTERDAY: u64 = 3_000;

/// The generation and the time, in milliseconds since 1970; `None` for what was not written by one of us.
pub(super) fn parse(bytes: &[u8]) -> Option<(u64, u64)> {
    let (generation, vouched) = std::str::from_utf8(bytes).ok()?.split_once(' ')?;
    // A number so high that none could follow it was not written by one of us.
    let number = |text: &str| text.parse().ok().filter(|number| *number > 0 && *number < u64::MAX / 2);
    Some((number(generation)?, number(vouched)?))
}

/// True when this is the generation we know, and somebody has vouched for it of late.
pub(super) fn is_known(bytes: &[u8], known: Option<u64>, now_ms: u64) -> bool {
    parse(bytes)
        .is_some_and(|(generation, vouched)| Some(generation) == known && now_ms.saturating_sub(vouched) <= YESTERDAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_one_of_us_wrote_of_late_is_known() {
        assert!(is_known(b"5 1000", Some(5), 4000));
        assert!(!is_known(b"5 1000", Some(5), 4001), "nobody vouched for it");
        assert!(!is_known(b"4 1000", Some(5), 1000));
        assert!(!is_known(b"5 1000", None, 1000));
        for foreign in [&b""[..], b"5", b"5 x", b"0 1", b"18446744073709551615 1", b"\xff 1"] {
            assert_eq!(parse(foreign), None);
        }
    }
}
