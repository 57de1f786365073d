//! Structured logs, and numbers masked in them.

use std::fmt;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// A key as logs may show it: all but the first three and the last two characters are stars.
///
/// Phone numbers and account names are personal data; the rest is enough to tell two calls apart.
#[derive(Clone, Copy, Debug)]
pub struct Masked<'a>(pub &'a str);

impl fmt::Display for Masked<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.0.chars().count();
        for (place, character) in self.0.chars().enumerate() {
            let shown = length > 6 && (place < 3 || place + 2 >= length);
            fmt::Write::write_char(f, if shown { character } else { '*' })?;
        }
        Ok(())
    }
}

/// Starts logging to standard error. `level` is a filter such as `info` or `dipcache=debug`; a second call does nothing.
pub fn start(level: &str, json: bool) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // An error only says that logging has been started before.
    let _ = if json { lines.json().finish().try_init() } else { lines.finish().try_init() };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_never_shown_in_full() {
        assert_eq!(Masked("+13035550123").to_string(), "+13*******23");
        assert_eq!(Masked("911").to_string(), "***");
        assert_eq!(Masked("").to_string(), "");
    }
}
