//! The local cache of one lookup on disk: so that a restart is not a cold morning.
//!
//! ```text
//! "dipsnap" version | shape u64 | stale, revalidate, ceiling in ms u64 | era u64
//! per entry: length of the id u16, id, length u32, the answer as memcached would have it
//! 0xffff | entries u64 | crc u32 over all before it
//! ```
//!
//! A file is believed whole or not at all: the checksum is held against every byte before the first entry is taken.
//! Times are the calendar's, so what expired meanwhile comes back as stale, and what died does not come back.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use compact_str::CompactString;

use super::stored::{self, Moment};
use super::{Entry, LocalCache};
use crate::cache::entry::Freshness;
use crate::policy::CacheRules;

const MAGIC: &[u8; 7] = b"dipsnap";
const VERSION: u8 = 1;
const HEAD: usize = 48;
const TAIL: u64 = 14;
/// In the place of an id's length: there are no more entries.
const END: u16 = u16::MAX;
/// No answer is longer: records have a bound of their own far below.
const LONGEST: u32 = 16 * 1024 * 1024;
const BUFFER: usize = 256 * 1024;

/// What makes the entries of one process another one's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Belongs {
    shape: u64,
    times: [u64; 3],
    era: u64,
}

/// Why a snapshot is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The system does not give it.
    #[error("it does not read: {0}")]
    System(#[from] io::Error),
    /// It is another version's, or no snapshot at all.
    #[error("it is of another version")]
    Version,
    /// It is torn or bent.
    #[error("it is damaged")]
    Damaged,
    /// The policy has changed since, or a flush has come.
    #[error("it is of another policy, or of before a flush")]
    Other,
}

impl Belongs {
    /// To this policy, in this era of the cluster; 0 where none is known.
    pub fn new(shape: u64, rules: &CacheRules, era: u64) -> Self {
        let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self { shape, times: [millis(rules.stale), millis(rules.revalidate), millis(rules.ceiling)], era }
    }

    /// Whether entries of `old` may go on here: each carries how long it may be served, and no contract has become
    /// stricter since.
    fn takes(&self, old: &Self) -> bool {
        // Without its memcached a node cannot know of a flush; a warm start is worth more then than a perfect one.
        let era = self.era == old.era || self.era == 0 || old.era == 0;
        self.shape == old.shape && era && old.times.iter().zip(&self.times).all(|(old, new)| old <= new)
    }
}

/// Writes every entry down that is not dead; how many there were. It is there whole, or not at all.
///
/// # Errors
/// When the folder does not take it.
pub fn save(path: &Path, belongs: Belongs, cache: &LocalCache) -> io::Result<u64> {
    let beside = path.with_added_extension("new");
    let mut out =
        Summed { inner: BufWriter::with_capacity(BUFFER, File::create(&beside)?), crc: crc32fast::Hasher::new() };
    out.write_all(MAGIC)?;
    out.write_all(&[VERSION])?;
    for number in [belongs.shape, belongs.times[0], belongs.times[1], belongs.times[2], belongs.era] {
        out.write_all(&number.to_be_bytes())?;
    }
    let mut count = 0_u64;
    let mut failed = None;
    cache.each(|id, entry| {
        if failed.is_none() {
            match write_entry(&mut out, id, entry) {
                Ok(written) => count += u64::from(written),
                Err(error) => failed = Some(error),
            }
        }
    });
    if let Some(error) = failed {
        return Err(error);
    }
    out.write_all(&END.to_be_bytes())?;
    out.write_all(&count.to_be_bytes())?;
    let sum = out.crc.finalize();
    out.inner.write_all(&sum.to_be_bytes())?;
    let file = out.inner.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_data()?;
    std::fs::rename(&beside, path)?;
    Ok(count)
}

fn write_entry(out: &mut impl Write, id: &str, entry: &Entry) -> io::Result<bool> {
    let now = Moment::now();
    let Some(length) = u16::try_from(id.len()).ok().filter(|length| *length != END) else { return Ok(false) };
    if entry.freshness(now.tick) == Freshness::Dead {
        return Ok(false);
    }
    let bytes = stored::write(entry, id, 0, now);
    let Some(long) = u32::try_from(bytes.len()).ok().filter(|long| *long <= LONGEST) else { return Ok(false) };
    out.write_all(&length.to_be_bytes())?;
    out.write_all(id.as_bytes())?;
    out.write_all(&long.to_be_bytes())?;
    out.write_all(&bytes)?;
    Ok(true)
}

/// Reads a snapshot and gives each entry that is not dead to `take`; how many there were. `None` where there is none.
///
/// # Errors
/// [`Refused`] says why nothing of it was taken.
pub fn load(path: &Path, belongs: Belongs, take: &mut dyn FnMut(CompactString, Entry)) -> Result<Option<u64>, Refused> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let length = file.metadata()?.len();
    let mut reader = BufReader::with_capacity(BUFFER, &file);
    let mut head = [0; HEAD];
    if length < HEAD as u64 + TAIL || reader.read_exact(&mut head).is_err() || &head[..7] != MAGIC {
        return Err(Refused::Damaged);
    }
    if head[7] != VERSION {
        return Err(Refused::Version);
    }
    let number = |at: usize| u64::from_be_bytes(std::array::from_fn(|n| head[at + n]));
    let old = Belongs { shape: number(8), times: [number(16), number(24), number(32)], era: number(40) };
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head);
    is_whole(&mut reader, length - HEAD as u64, crc)?;
    if !belongs.takes(&old) {
        return Err(Refused::Other);
    }
    let mut again = BufReader::with_capacity(BUFFER, File::open(path)?);
    again.read_exact(&mut head)?;
    Ok(Some(entries(&mut again, take)?))
}

/// Holds the checksum against what comes.
fn is_whole(reader: &mut impl Read, length: u64, mut crc: crc32fast::Hasher) -> Result<(), Refused> {
    let mut left = length - 4;
    let mut piece = vec![0; BUFFER];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
        reader.read_exact(&mut piece[..most])?;
        crc.update(&piece[..most]);
        left -= most as u64;
    }
    let mut sum = [0; 4];
    reader.read_exact(&mut sum)?;
    if u32::from_be_bytes(sum) == crc.finalize() { Ok(()) } else { Err(Refused::Damaged) }
}

fn entries(reader: &mut impl Read, take: &mut dyn FnMut(CompactString, Entry)) -> Result<u64, Refused> {
    let now = Moment::now();
    let (mut taken, mut count) = (0, 0_u64);
    let mut bytes = Vec::new();
    loop {
        let mut two = [0; 2];
        reader.read_exact(&mut two)?;
        let length = u16::from_be_bytes(two);
        if length == END {
            let mut eight = [0; 8];
            reader.read_exact(&mut eight)?;
            return if u64::from_be_bytes(eight) == count { Ok(taken) } else { Err(Refused::Damaged) };
        }
        bytes.resize(usize::from(length), 0);
        reader.read_exact(&mut bytes)?;
        let id = CompactString::from_utf8(&bytes).map_err(|_| Refused::Damaged)?;
        let mut four = [0; 4];
        reader.read_exact(&mut four)?;
        let long = u32::from_be_bytes(four);
        if long > LONGEST {
            return Err(Refused::Damaged);
        }
        bytes.resize(long as usize, 0);
        reader.read_exact(&mut bytes)?;
        count += 1;
        // One that this version does not take, or from a clock that was set back, is left out.
        let Ok(entry) = stored::read(&bytes, &id, 0, now) else { continue };
        if entry.freshness(now.tick) != Freshness::Dead {
            take(id, entry);
            taken += 1;
        }
    }
}

/// Sums up what is written.
struct Summed<W> {
    inner: W,
    crc: crc32fast::Hasher,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.crc.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::answer::{Outcome, Record};
    use crate::deadline::tick;
    use crate::policy::Engine;

    fn rules() -> CacheRules {
        let second = Duration::from_secs(1);
        CacheRules {
            found: 60 * second,
            partial: second,
            not_found: 30 * second,
            invalid_number: second,
            stale: 60 * second,
            revalidate: Duration::ZERO,
            ceiling: 600 * second,
            jitter: 0.0,
            refresh_ahead: 1.0,
            min_ttl: second,
            max_ttl: second,
            max_entries: 1000,
            max_bytes: 1 << 20,
            engine: Engine::default(),
        }
    }

    fn cache() -> LocalCache {
        let cache = LocalCache::new(Engine::default(), 1000, 1 << 20);
        let seal = |outcome, record: Option<&str>, age: u64| {
            Entry::seal(&rules(), outcome, record.map(Record::from_json), None, 0.0, tick() - age).unwrap()
        };
        cache.put("fresh".into(), seal(Outcome::Found, Some("{\"a\":1}"), 10));
        cache.put("stale".into(), seal(Outcome::Found, Some("{\"a\":2}"), 70_000));
        cache.put("dead".into(), seal(Outcome::Found, Some("{\"a\":3}"), 150_000));
        cache.put("no".into(), seal(Outcome::NotFound, None, 10));
        cache
    }

    fn belongs() -> Belongs {
        Belongs::new(7, &rules(), 3)
    }

    fn read(path: &Path, belongs: Belongs) -> Result<Vec<(CompactString, Entry)>, Refused> {
        let mut read = Vec::new();
        load(path, belongs, &mut |id, entry| read.push((id, entry)))?;
        read.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(read)
    }

    #[test]
    fn what_is_not_dead_comes_back_as_old_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lrn.snapshot");
        assert!(load(&path, belongs(), &mut |_, _| {}).unwrap().is_none());
        assert_eq!(save(&path, belongs(), &cache()).unwrap(), 3);
        let entries = read(&path, belongs()).unwrap();
        let now = tick();
        let told: Vec<_> = entries.iter().map(|(id, entry)| (id.as_str(), entry.freshness(now))).collect();
        assert_eq!(told, [("fresh", Freshness::Fresh), ("no", Freshness::Fresh), ("stale", Freshness::Stale)]);
        assert_eq!(entries[2].1.record.as_ref().unwrap().as_json(), "{\"a\":2}");
        assert!(entries[2].1.age_ms(now) >= 70_000 && entries[2].1.age_ms(now) < 80_000);
    }

    #[test]
    fn a_damaged_snapshot_gives_nothing_wherever_the_damage_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lrn.snapshot");
        save(&path, belongs(), &cache()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut bent = whole.clone();
            bent[at] ^= 0x10;
            std::fs::write(&path, &bent).unwrap();
            assert!(read(&path, belongs()).is_err(), "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(read(&path, belongs()).is_err(), "cut at {at}");
        }
        let mut older = whole;
        older[7] = VERSION - 1;
        std::fs::write(&path, &older).unwrap();
        assert!(matches!(read(&path, belongs()), Err(Refused::Version)));
    }

    #[test]
    fn a_changed_policy_or_a_flush_takes_nothing_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lrn.snapshot");
        save(&path, belongs(), &cache()).unwrap();
        assert!(matches!(read(&path, Belongs::new(8, &rules(), 3)), Err(Refused::Other)));
        assert!(matches!(read(&path, Belongs::new(7, &rules(), 4)), Err(Refused::Other)));
        let stricter = CacheRules { stale: Duration::ZERO, ..rules() };
        assert!(matches!(read(&path, Belongs::new(7, &stricter, 3)), Err(Refused::Other)));
        let laxer = CacheRules { stale: Duration::from_secs(500), ..rules() };
        assert_eq!(read(&path, Belongs::new(7, &laxer, 3)).unwrap().len(), 3);
    }
}
