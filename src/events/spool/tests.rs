//! The named ways in which a spool can be damaged, and what must be left of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::deadline::now;

const ROOMY: Limits = Limits { bytes: 1 << 30, age: Duration::from_secs(3600), when_full: WhenFull::Oldest };
const NOW: u64 = 1_000_000_000;

fn open(folder: &Path, limits: Limits) -> Arc<Journal> {
    Arc::new(Journal::open(folder, limits).unwrap())
}

fn draft(key: &str, text: &str) -> Draft {
    Draft { key: key.into(), text: text.into(), summary: false }
}

/// Appends and writes one event after the other, named by what would be its number in a fresh spool.
fn fill(journal: &Journal, numbers: std::ops::Range<u64>) {
    for number in numbers {
        journal.append([draft("lrn", &format!("event {number}"))], NOW);
        journal.write().unwrap();
    }
}

/// All that a new reader sees.
fn read_all(journal: &Arc<Journal>) -> Vec<String> {
    let (mut reader, ledger) = journal.reader("test");
    let (mut from, mut seen) = (ledger.floor(), Vec::new());
    loop {
        let records = reader.read(from, 7);
        let Some(last) = records.last() else { return seen };
        from = last.offset + 1;
        seen.extend(records.iter().map(|record| record.text.to_string()));
    }
}

fn events(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(|number| format!("event {number}")).collect()
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "seg"))
        .collect();
    files.sort();
    files
}

/// Three segments of ten events, closed as a crash would.
fn three_segments(folder: &Path) -> Vec<PathBuf> {
    for begin in [0, 10, 20] {
        let journal = open(folder, ROOMY);
        fill(&journal, begin..begin + 10);
    }
    let files = segments(folder);
    assert_eq!(files.len(), 3);
    files
}

fn damage(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// Where the `index`th record of a segment begins.
fn begin_of(bytes: &[u8], index: usize) -> usize {
    memchr::memmem::find_iter(bytes, &frame::MAGIC).nth(index).unwrap()
}

#[test]
fn a_restart_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    three_segments(folder.path());
    assert_eq!(read_all(&open(folder.path(), ROOMY)), events(0..30));
}

#[test]
fn a_torn_tail_is_cut_and_the_next_event_stands_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = three_segments(folder.path());
    damage(&files[2], |bytes| bytes.truncate(bytes.len() - 3));
    let journal = open(folder.path(), ROOMY);
    fill(&journal, 100..101);
    assert_eq!(read_all(&journal), [events(0..29), events([100])].concat());
    assert_eq!(journal.next(), 30, "29 was torn, and its number is free: nobody has settled it");
}

#[test]
fn a_number_that_was_settled_is_not_given_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let files = three_segments(folder.path());
    {
        let journal = open(folder.path(), ROOMY);
        let (_, ledger) = journal.reader("test");
        ledger.note(30).unwrap();
    }
    damage(&files[2], |bytes| bytes.truncate(10));
    let journal = open(folder.path(), ROOMY);
    fill(&journal, 100..101);
    assert_eq!(read_all(&journal), events([100]));
}

#[test]
fn every_length_of_a_torn_tail_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path(), ROOMY), 0..3);
    let file = segments(folder.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    let third = begin_of(&whole, 2);
    for length in third..whole.len() {
        fs::write(&file, &whole[..length]).unwrap();
        assert_eq!(read_all(&open(folder.path(), ROOMY)), events(0..2), "cut at {length}");
    }
}

#[test]
fn exactly_the_record_with_a_flipped_bit_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let files = three_segments(folder.path());
    damage(&files[1], |bytes| {
        let at = begin_of(bytes, 4) + 30;
        bytes[at] ^= 1;
    });
    assert_eq!(read_all(&open(folder.path(), ROOMY)), events((0..30).filter(|number| *number != 14)));
}

#[test]
fn a_damaged_length_hides_no_other_record() {
    let folder = tempfile::tempdir().unwrap();
    let files = three_segments(folder.path());
    for length in [0_u32, 5, 60, 4000, 1 << 20, u32::MAX] {
        damage(&files[1], |bytes| {
            let at = begin_of(bytes, 4) + 4;
            bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
        });
        let left = read_all(&open(folder.path(), ROOMY));
        assert_eq!(left, events((0..30).filter(|number| *number != 14)), "length {length}");
    }
}

#[test]
fn a_page_of_zeros_costs_what_stood_there() {
    let folder = tempfile::tempdir().unwrap();
    let files = three_segments(folder.path());
    damage(&files[1], |bytes| {
        let (from, to) = (begin_of(bytes, 3) + 5, begin_of(bytes, 6) + 5);
        bytes[from..to].fill(0);
    });
    let expected = events((0..30).filter(|number| !(13..=16).contains(number)));
    assert_eq!(read_all(&open(folder.path(), ROOMY)), expected);
}

#[test]
fn a_missing_segment_and_a_foreign_file_cost_only_what_was_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let files = three_segments(folder.path());
    fs::remove_file(&files[1]).unwrap();
    fs::write(folder.path().join("00000000000000000015.seg.bak"), "x").unwrap();
    fs::write(folder.path().join("README"), "x").unwrap();
    assert_eq!(read_all(&open(folder.path(), ROOMY)), events((0..10).chain(20..30)));
}

#[test]
fn an_empty_and_a_garbage_newest_segment_are_survived() {
    for garbage in [&b""[..], b"dce1", b"dce1\xff\xff\xff\xff\0\0\0\0", &[0; 70_000]] {
        let folder = tempfile::tempdir().unwrap();
        three_segments(folder.path());
        fs::write(folder.path().join("00000000000000000030.seg"), garbage).unwrap();
        let journal = open(folder.path(), ROOMY);
        fill(&journal, 30..31);
        assert_eq!(read_all(&journal), events(0..31));
    }
}

#[test]
fn damaged_notes_of_keys_and_floors_lose_no_event() {
    let folder = tempfile::tempdir().unwrap();
    three_segments(folder.path());
    fs::write(folder.path().join("00000000000000000000.keys"), "ffffffff [\"cnam\"]\n").unwrap();
    fs::create_dir_all(folder.path().join("floors")).unwrap();
    fs::write(folder.path().join("floors").join("test"), "12").unwrap();
    let journal = open(folder.path(), ROOMY);
    assert!(journal.keys_between(0, 5).may_hold("lrn"), "nobody knows, so perhaps");
    assert_eq!(read_all(&journal), events(0..30));
}

#[test]
fn a_full_spool_drops_what_the_operator_chose() {
    let fill_up = |when_full| {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path(), Limits { bytes: 8_000, when_full, ..ROOMY });
        fill(&journal, 0..500);
        assert!(journal.bytes() <= 8_000, "{when_full:?}: {} bytes", journal.bytes());
        (folder, journal)
    };
    let (_folder, oldest) = fill_up(WhenFull::Oldest);
    assert_eq!((oldest.next(), oldest.refused()), (500, 0));
    drop(oldest);

    let (folder, newest) = fill_up(WhenFull::Newest);
    let kept = newest.next();
    assert_eq!(newest.refused(), 500 - kept);
    drop(newest);
    assert_eq!(read_all(&open(folder.path(), ROOMY)), events(0..kept));

    let (folder, refuse) = fill_up(WhenFull::Refuse);
    let kept = refuse.next();
    assert_eq!(refuse.refused(), 500 - kept);
    let (_, ledger) = refuse.reader("test");
    ledger.note(kept - 1).unwrap();
    refuse.tidy(NOW);
    fill(&refuse, 500..501);
    assert_eq!(refuse.next(), kept + 1, "room for a segment: open again");
    drop((folder, refuse));
}

#[test]
fn what_is_too_old_goes() {
    let folder = tempfile::tempdir().unwrap();
    three_segments(folder.path());
    let journal = open(folder.path(), Limits { age: Duration::from_secs(1), ..ROOMY });
    // The files are from today, and the clock says a day later.
    let tomorrow = crate::deadline::wall_clock().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    journal.tidy(tomorrow + 86_400_000);
    assert_eq!((segments(folder.path()).len(), journal.first()), (0, 30));
}

#[test]
fn few_events_grow_too_old_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path(), Limits { age: Duration::from_secs(80), ..ROOMY });
    let (mut reader, ledger) = journal.reader("test");
    fill(&journal, 0..3);
    journal.tidy(NOW + 9_999);
    fill(&journal, 3..4);
    assert_eq!(segments(folder.path()).len(), 1, "an eighth of the age has not passed");
    journal.tidy(NOW + 10_000);
    journal.append([draft("lrn", "event 4")], NOW + 10_000);
    journal.write().unwrap();
    assert_eq!(segments(folder.path()).len(), 2);
    journal.tidy(NOW + 80_001);
    assert_eq!(segments(folder.path()).len(), 1);
    // What memory still holds is not taken from a reader that keeps up.
    assert_eq!(reader.read(ledger.floor(), 10).len(), 5);
    drop((reader, journal));
    assert_eq!(read_all(&open(folder.path(), ROOMY)), ["event 4"]);
}

#[test]
fn a_disk_that_refuses_is_tried_again_and_memory_keeps_what_fits() {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let journal = open(&spool, ROOMY);
    fill(&journal, 0..5);
    fs::rename(&spool, folder.path().join("away")).unwrap();
    fs::write(&spool, "in the way").unwrap();
    // The open file is still there: make the journal begin a new one.
    let sum = Draft { summary: true, ..draft("lrn", &"x".repeat(100_000)) };
    let mut failed = false;
    for _ in 0..200 {
        journal.append([sum.clone()], NOW);
        failed |= journal.write().is_err();
    }
    assert!(failed, "a new segment could not be begun");
    let before = journal.next();
    journal.append((0..100).map(|number| draft("lrn", &format!("event {number}"))), NOW);
    assert_eq!(journal.next(), before + 100, "sums went, turns of state found room");
    fs::remove_file(&spool).unwrap();
    fs::rename(folder.path().join("away"), &spool).unwrap();
    journal.write().unwrap();
    assert_eq!(journal.durable(), journal.next());
    drop(journal);
    let all = read_all(&open(&spool, ROOMY));
    assert_eq!(all[..5], events(0..5));
    assert_eq!(all[all.len() - 100..], events(0..100));
}

/// Ten gigabytes, sparse: what counts is how many files there are, and that they are not read.
#[test]
fn ten_gigabytes_start_within_a_second() {
    let folder = tempfile::tempdir().unwrap();
    three_segments(folder.path());
    let size = 16 << 20;
    for index in 0..700_u64 {
        let first = 1_000 + index * 100_000;
        let path = segment::path(folder.path(), first);
        fs::File::create(path).unwrap().set_len(size).unwrap();
        segment::write_keys(folder.path(), first, &Keys::These(["lrn".into()].into())).unwrap();
    }
    let roomy = Limits { bytes: 1 << 40, ..ROOMY };
    fill(&open(folder.path(), roomy), 0..1);
    let start = now();
    let journal = open(folder.path(), roomy);
    let took = now() - start;
    assert!(journal.bytes() > 10 << 30);
    assert!(took < Duration::from_secs(1), "{took:?}");
}
