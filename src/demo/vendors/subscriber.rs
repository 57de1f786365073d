//! What there is to know about a number: invented, but the same each time and at every vendor.

/// Everything the simulated vendors know about one number of the North American plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriber {
    /// The ten digits.
    pub digits: String,
    /// True for a number that moved to another carrier.
    pub ported: bool,
    /// The ten digits of the switch that serves it: its own block's, or the new carrier's.
    pub routing: String,
    /// The carrier that serves it.
    pub carrier: &'static Carrier,
    /// Where it rings.
    pub place: &'static Place,
    /// The name to show, at most 15 characters; `None` where nobody gave one.
    pub name: Option<String>,
    /// True for a company.
    pub business: bool,
}

/// A carrier, as the industry's tables name it.
#[derive(Debug, PartialEq, Eq)]
pub struct Carrier {
    /// Its name.
    pub name: &'static str,
    /// Operating company number.
    pub ocn: &'static str,
    /// Service provider id.
    pub spid: &'static str,
    /// What kind of company it is.
    pub kind: &'static str,
    /// Where its ported-in numbers are routed to: NPA and NXX.
    pub block: &'static str,
}

/// A rate centre.
#[derive(Debug, PartialEq, Eq)]
pub struct Place {
    /// The rate centre's name.
    pub rate_center: &'static str,
    /// Its state.
    pub state: &'static str,
    /// Its LATA.
    pub lata: &'static str,
}

const CARRIERS: [Carrier; 6] = [
    Carrier { name: "NORTHSTAR TELECOM", ocn: "7101", spid: "710A", kind: "CLEC", block: "303555" },
    Carrier { name: "BLUE MESA WIRELESS", ocn: "6202", spid: "620B", kind: "WIRELESS", block: "720555" },
    Carrier { name: "PRAIRIE BELL", ocn: "9303", spid: "930C", kind: "RBOC", block: "312555" },
    Carrier { name: "COASTLINE VOICE", ocn: "4404", spid: "440D", kind: "VOIP", block: "415555" },
    Carrier { name: "LAKESHORE CABLE", ocn: "5505", spid: "550E", kind: "CABLE", block: "414555" },
    Carrier { name: "GRANITE RURAL COOP", ocn: "1606", spid: "160F", kind: "ILEC", block: "603555" },
];

const PLACES: [Place; 6] = [
    Place { rate_center: "DENVER", state: "CO", lata: "656" },
    Place { rate_center: "CHICAGO", state: "IL", lata: "358" },
    Place { rate_center: "SAN FRAN", state: "CA", lata: "722" },
    Place { rate_center: "MILWAUKEE", state: "WI", lata: "356" },
    Place { rate_center: "CONCORD", state: "NH", lata: "122" },
    Place { rate_center: "AUSTIN", state: "TX", lata: "558" },
];

const FIRMS: [&str; 8] = ["ACME", "RIVERA", "SUMMIT", "OAKWOOD", "PIONEER", "BLUEBIRD", "HARBOR", "CEDAR"];
const TRADES: [&str; 8] = ["PLUMBING", "DENTAL", "BAKERY", "LEGAL", "MOTORS", "BOOKS", "ROOFING", "FLORIST"];
const SURNAMES: [&str; 8] = ["JENSEN", "OKAFOR", "MILLER", "NGUYEN", "GARCIA", "KOWALSKI", "SINGH", "BAKER"];
const GIVEN: [&str; 8] = ["MARIA", "JAMES", "AISHA", "WEI", "LENA", "OMAR", "GRACE", "PAUL"];

/// The share of numbers, in percent, of which nobody knows anything.
const UNKNOWN: u64 = 4;
/// The share of numbers, in percent, that were ported.
const PORTED: u64 = 40;
/// The share of numbers, in percent, for which no name is on file.
const NAMELESS: u64 = 8;

impl Subscriber {
    /// What is known about these ten digits; `None` where they are no number or nobody knows it.
    pub fn of(digits: &str) -> Option<Self> {
        let well_formed = digits.len() == 10
            && digits.bytes().all(|digit| digit.is_ascii_digit())
            && digits.as_bytes()[0] >= b'2'
            && digits.as_bytes()[3] >= b'2';
        if !well_formed {
            return None;
        }
        let mut chance = Chance::seeded(digits);
        if chance.percent() < UNKNOWN {
            return None;
        }
        let ported = chance.percent() < PORTED;
        let carrier = chance.pick(&CARRIERS);
        let routing = if ported { format!("{}0000", carrier.block) } else { digits.to_owned() };
        let place = chance.pick(&PLACES);
        let business = chance.percent() < 45;
        let name = (chance.percent() >= NAMELESS).then(|| {
            let (first, second) = if business {
                (chance.pick(&FIRMS), chance.pick(&TRADES))
            } else {
                (chance.pick(&SURNAMES), chance.pick(&GIVEN))
            };
            // The network carries fifteen characters of a name, and no more.
            format!("{first} {second}").chars().take(15).collect()
        });
        Some(Self { digits: digits.to_owned(), ported, routing, carrier, place, name, business })
    }
}

/// Chance that falls the same way for the same number on every machine: SplitMix64 over its digits.
struct Chance(u64);

impl Chance {
    fn seeded(digits: &str) -> Self {
        Self(digits.bytes().fold(0, |seed, digit| seed * 10 + u64::from(digit - b'0')))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn percent(&mut self) -> u64 {
        self.next() % 100
    }

    fn pick<T, const N: usize>(&mut self, from: &'static [T; N]) -> &'static T {
        const { assert!(N > 0, "there is something to pick from") };
        &from[(self.next() % N as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_never_change() {
        let first = Subscriber::of("3035550123").unwrap();
        assert_eq!(Subscriber::of("3035550123").unwrap(), first);
        assert_ne!(Subscriber::of("3035550124"), Some(first));
    }

    #[test]
    fn every_kind_of_number_is_met() {
        let all: Vec<_> = (2_000..6_000).map(|n| Subscriber::of(&format!("303555{n}"))).collect();
        let known: Vec<_> = all.iter().flatten().collect();
        let share = |count: usize| count * 100 / all.len();
        assert!((2..7).contains(&share(all.len() - known.len())), "unknown");
        assert!((30..50).contains(&share(known.iter().filter(|one| one.ported).count())), "ported");
        assert!((4..12).contains(&share(known.iter().filter(|one| one.name.is_none()).count())), "nameless");
        assert!(known.iter().all(|one| one.ported || one.routing == one.digits));
        assert!(known.iter().flat_map(|one| &one.name).all(|name| name.len() <= 15));
    }

    #[test]
    fn what_is_no_number_is_unknown() {
        for text in ["", "303555012", "30355501234", "0035550123", "3030550123", "303555012x"] {
            assert_eq!(Subscriber::of(text), None, "{text}");
        }
    }
}
