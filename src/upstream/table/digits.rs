//! Digits in a `u64`, so that sorting numbers is sorting integers.
//!
//! Four bits a digit from the top, each one more than the digit; 0 is "no digit". So `130` stands
//! before `1300` and both before `131`, and everything that begins with `130` lies between
//! [`first`] and [`last`] of it. Sixteen digits fit: E.164 has fifteen.

/// The most digits that are told apart.
pub const MOST: usize = 16;

/// The digits of a text, a leading `+` left out. `None` for another character, and for none or too many digits.
pub fn first(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() || digits.len() > MOST {
        return None;
    }
    pack(digits)
}

/// As [`first`], of a key: what comes behind the digits that fit decides nothing.
pub fn of_key(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    pack(&digits[..digits.len().min(MOST)])
}

fn pack(digits: &[u8]) -> Option<u64> {
    let mut packed = 0_u64;
    let mut shift = 60_u32;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        packed |= u64::from(byte - b'0' + 1) << shift;
        // The last digit that fits is shifted by 0; behind it nothing is packed any more.
        shift = shift.saturating_sub(4);
    }
    Some(packed)
}

/// The end of all that begins with these digits.
pub const fn last(packed: u64) -> u64 {
    if packed == 0 {
        return u64::MAX;
    }
    // The digits end at a whole nibble; all below them is free.
    let free = packed.trailing_zeros() / 4 * 4;
    packed | ((1 << free) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_the_order_of_the_texts() {
        let texts = ["0", "00", "1", "13", "130", "1300", "1309", "131", "2", "9999999999999999"];
        let packed: Vec<u64> = texts.iter().map(|text| first(text.as_bytes()).unwrap()).collect();
        assert!(packed.is_sorted_by(|a, b| a < b), "{packed:x?}");
    }

    #[test]
    fn what_begins_with_a_prefix_lies_within_it_and_nothing_else() {
        let within = |prefix: &str, key: &str| {
            let (prefix, key) = (first(prefix.as_bytes()).unwrap(), of_key(key.as_bytes()).unwrap());
            (prefix..=last(prefix)).contains(&key)
        };
        assert!(within("1303", "+13035550123") && within("0", "0") && within("13", "13"));
        assert!(!within("1303", "1302999") && !within("1303", "1304") && !within("1303", "130"));
        assert!(within("1234567890123456", "12345678901234567"), "the seventeenth digit decides nothing");
        assert!(!within("1234567890123456", "1234567890123457"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "+", "12a", "1 2", "++1", "12345678901234567"] {
            assert_eq!(first(text.as_bytes()), None, "{text}");
        }
    }
}
