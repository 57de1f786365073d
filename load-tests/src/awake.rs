//! Processors that stay awake while something is measured.
//!
//! A processor with nothing to do halts, and to wake takes it longer than most of what is measured here: on a virtual machine,
//! where the host must first give it back, some 20 µs at each hop of a request, and now and then milliseconds. Asked to be ready
//! at once, it waits without halting. cyclictest measures so, and `tuned-adm profile latency-performance` sets up a
//! machine so.

use std::fs::{File, OpenOptions};
use std::io::Write;

use anyhow::Context;

/// Where the kernel is told how long a processor may take to wake, for as long as the file is held open
/// (Documentation/power/pm_qos_interface.rst).
const LATENCY: &str = "/dev/cpu_dma_latency";

/// All processors stay awake until this is dropped.
#[derive(Debug)]
pub struct Awake {
    _held: File,
}

impl Awake {
    /// Has them stay awake.
    ///
    /// # Errors
    /// When the system has no such file, or does not let us.
    pub fn keep() -> anyhow::Result<Self> {
        let held = || {
            let mut file = OpenOptions::new().write(true).open(LATENCY)?;
            file.write_all(&0_i32.to_ne_bytes())?;
            Ok::<_, std::io::Error>(file)
        };
        let held = held().with_context(|| format!("cannot write to {LATENCY}, which root may; leave out `--awake`"))?;
        Ok(Self { _held: held })
    }
}
