//! The bytes that a client sent, cut into commands; and those that are passed over.
//!
//! Whatever comes is bounded: a line by [`MAX_LINE`], a value by the store. What is longer is refused
//! and passed over without being kept, so that the next command is found where it begins.

use crate::front::memcached::command::{Command, Refusal, parse};
use crate::front::memcached::plain::TOO_LARGE;
use crate::front::memcached::store::Store;

/// The longest line: room for a get of two hundred keys of the longest kind.
const MAX_LINE: usize = 64 * 1024;

/// What is passed over in search of a line's end before the client is given up.
const MAX_STRAY: usize = 1024 * 1024;

/// Announced values up to here are passed over; what announces more is no client of memcached.
const MAX_ANNOUNCED: u64 = i32::MAX as u64;

const LINE_TOO_LONG: Refusal = Refusal::because("CLIENT_ERROR line too long");
const BAD_CHUNK: Refusal = Refusal::because("CLIENT_ERROR bad data chunk");

/// Where a connection stands within its input.
#[derive(Debug, Default)]
pub struct Cutter {
    /// Bytes of the present line in which there is no line end.
    scanned: usize,
    /// Bytes that the present command needs to be whole.
    needed: usize,
    /// Bytes of a refused value still to be passed over.
    over: u64,
    /// After those, everything up to a line end: so much of it has been passed over.
    stray: Option<usize>,
}

/// The next thing in the input.
#[derive(Debug)]
pub enum Cut<'a> {
    /// A command, its value, and how many bytes they took.
    Command(Command<'a>, &'a [u8], usize),
    /// A line that is refused, and how many bytes it took.
    Refused(Refusal, usize),
    /// A value that is too large for this key: the reply is said already.
    TooLarge {
        /// The key.
        key: Box<[u8]>,
        /// The reply.
        reply: &'static [u8],
        /// True where no reply is wanted.
        quiet: bool,
        /// How many bytes the line took.
        length: usize,
    },
    /// Nothing to answer, and so many bytes passed over.
    Passed(usize),
    /// The rest is the beginning of something.
    Partial,
    /// This is no client of memcached's text protocol.
    Foreign,
}

impl Cutter {
    /// True while what comes next is thrown away.
    pub fn is_passing(&self) -> bool {
        self.over > 0 || self.stray.is_some()
    }

    /// Bytes that the present command needs to be whole, as far as is known.
    pub fn needed(&self) -> usize {
        self.needed
    }

    /// Cuts the next command off the input, which begins where the last one ended.
    pub fn cut<'a>(&mut self, input: &'a [u8]) -> Cut<'a> {
        if self.is_passing() {
            return self.pass(input);
        }
        match input.first() {
            None => return Cut::Partial,
            // The binary protocol's first byte is 0x80, and no command begins beyond ASCII.
            Some(0x80..) => return Cut::Foreign,
            Some(_) if input.len() < self.needed => return Cut::Partial,
            Some(_) => {}
        }
        let Some(end) = memchr::memchr(b'\n', &input[self.scanned..]).map(|end| self.scanned + end) else {
            return self.without_end(input);
        };
        self.scanned = 0;
        let line = &input[..end];
        if line.len() > MAX_LINE {
            return Cut::Refused(LINE_TOO_LONG, end + 1);
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match parse(line) {
            Ok(command) => self.with_value(command, input, end),
            Err(refusal) => {
                if let Some(length) = refusal.value.filter(|length| *length <= MAX_ANNOUNCED) {
                    (self.over, self.stray) = (length, Some(0));
                }
                Cut::Refused(refusal, end + 1)
            }
        }
    }

    fn without_end<'a>(&mut self, input: &'a [u8]) -> Cut<'a> {
        if input.len() <= MAX_LINE {
            self.scanned = input.len();
            return Cut::Partial;
        }
        self.scanned = 0;
        self.stray = Some(0);
        Cut::Refused(LINE_TOO_LONG, input.len())
    }

    fn with_value<'a>(&mut self, command: Command<'a>, input: &'a [u8], end: usize) -> Cut<'a> {
        let Some((key, length, quiet)) = command.announced() else {
            return Cut::Command(command, b"", end + 1);
        };
        if !Store::fits(key, length) {
            (self.over, self.stray) = (length as u64, Some(0));
            return Cut::TooLarge { key: key.into(), reply: TOO_LARGE, quiet, length: end + 1 };
        }
        let (start, stop) = (end + 1, end + 1 + length);
        if input.len() < stop + 2 {
            self.needed = stop + 2;
            return Cut::Partial;
        }
        self.needed = 0;
        if &input[stop..stop + 2] != b"\r\n" {
            self.stray = Some(0);
            return Cut::Refused(Refusal { quiet, ..BAD_CHUNK }, stop);
        }
        Cut::Command(command, &input[start..stop], stop + 2)
    }

    fn pass<'a>(&mut self, input: &[u8]) -> Cut<'a> {
        let value = usize::try_from(self.over).unwrap_or(usize::MAX).min(input.len());
        self.over -= value as u64;
        let rest = &input[value..];
        let (Some(passed), false) = (self.stray, rest.is_empty()) else { return Cut::Passed(value) };
        match memchr::memchr(b'\n', rest) {
            Some(end) => {
                self.stray = None;
                Cut::Passed(value + end + 1)
            }
            None if passed + rest.len() > MAX_STRAY => Cut::Foreign,
            None => {
                self.stray = Some(passed + rest.len());
                Cut::Passed(input.len())
            }
        }
    }
}
