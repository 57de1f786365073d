//! Lines on their way to a slow reader: a bounded queue and a thread that writes.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::mask;

/// Lines that may wait. At some hundred bytes a line that is a few megabytes.
const LINES: usize = 8192;

/// How long the end of the process waits for the lines that are not yet written: so often, for so long.
const LAST_TRIES: u32 = 100;
const LAST_TRY: Duration = Duration::from_millis(10);

#[derive(Debug)]
enum Item {
    Line(Vec<u8>),
    /// Everything before this is written.
    Mark(SyncSender<()>),
}

/// A writer that nobody waits for. When dropped it waits for its last lines, no longer than about a second.
#[derive(Debug)]
pub struct Writing {
    lines: Lines,
}

/// Puts whole lines into the queue; what does not fit is lost and counted.
#[derive(Clone, Debug)]
pub struct Lines {
    queue: SyncSender<Item>,
    lost: Arc<AtomicU64>,
    mask: bool,
}

impl Writing {
    /// Writes to this from a thread of its own.
    pub(super) fn to(sink: impl Write + Send + 'static, mask: bool) -> Self {
        let (queue, items) = sync_channel(LINES);
        let lost = Arc::<AtomicU64>::default();
        let lines = Lines { queue, lost: Arc::clone(&lost), mask };
        // Without a thread there are no logs, which is no reason to take no calls.
        let _ = std::thread::Builder::new().name("dipcache-log".to_owned()).spawn(move || write(sink, &items, &lost));
        Self { lines }
    }

    /// Where lines go in.
    pub(super) fn lines(&self) -> impl Fn() -> Lines + Send + Sync + 'static + use<> {
        let lines = self.lines.clone();
        move || lines.clone()
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let (written, done) = sync_channel(1);
        let mut mark = Item::Mark(written);
        for _ in 0..LAST_TRIES {
            match self.lines.queue.try_send(mark) {
                Ok(()) => {
                    // An error is a reader that takes nothing: we have waited long enough for it.
                    let _ = done.recv_timeout(LAST_TRY * LAST_TRIES);
                    return;
                }
                Err(TrySendError::Full(back)) => mark = back,
                Err(TrySendError::Disconnected(_)) => return,
            }
            std::thread::sleep(LAST_TRY);
        }
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut line = line.to_vec();
        let length = line.len();
        if self.mask {
            mask::line(&mut line);
        }
        if self.queue.try_send(Item::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(mut sink: impl Write, items: &Receiver<Item>, lost: &AtomicU64) {
    for item in items {
        let gone = lost.swap(0, Ordering::Relaxed);
        // There is nobody to tell that the log cannot be written.
        let _ = match item {
            Item::Line(line) if gone == 0 => sink.write_all(&line),
            Item::Line(line) => writeln!(sink, "{gone} lines of log were lost: they were not read fast enough")
                .and_then(|()| sink.write_all(&line)),
            Item::Mark(written) => {
                let flushed = sink.flush();
                let _ = written.send(());
                flushed
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::{Condvar, Mutex};

    /// Takes nothing until it is opened.
    #[derive(Clone, Default)]
    struct Gate(Arc<(Mutex<bool>, Condvar)>, Arc<Mutex<Vec<u8>>>);

    impl Gate {
        fn open(&self) {
            *self.0.0.lock() = true;
            self.0.1.notify_all();
        }
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut open = self.0.0.lock();
            self.0.1.wait_while(&mut open, |open| !*open);
            self.1.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_and_no_time() {
        let gate = Gate::default();
        let writing = Writing::to(gate.clone(), true);
        let mut lines = writing.lines()();
        // Would wait for ever if it waited.
        for _ in 0..LINES + 100 {
            lines.write_all(b"call of 13035550123\n").unwrap();
        }
        gate.open();
        drop(writing);
        lines.write_all(b"last\n").unwrap();
        drop(Writing { lines });
        let told = String::from_utf8(gate.1.lock().clone()).unwrap();
        assert!(told.contains("call of 13*******23\n") && !told.contains("13035550123"));
        assert!(told.contains("lines of log were lost"), "{}", &told[told.len() - 300..]);
    }
}
