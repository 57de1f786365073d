//! What a simulated upstream can be told to do, as `PUT /v1/sim/{lookup}/{upstream}` carries it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest latency that an order may name.
const MAX_LATENCY_MS: u64 = 60_000;

/// How a simulated upstream behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Answers after its latency.
    Ok,
    /// Answers after ten times its latency.
    Slow,
    /// Takes the request and never answers.
    Hang,
    /// Takes the request and resets the connection.
    Reset,
    /// Answers that something is broken: HTTP 500, DNS SERVFAIL.
    Error,
    /// Answers something that its protocol does not know.
    Garbage,
    /// Takes no connection: the port is closed.
    Refuse,
}

impl Mode {
    /// Every mode, in the order of declaration.
    pub const ALL: [Self; 7] =
        [Self::Ok, Self::Slow, Self::Hang, Self::Reset, Self::Error, Self::Garbage, Self::Refuse];

    /// The word for it in orders and views.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Slow => "slow",
            Self::Hang => "hang",
            Self::Reset => "reset",
            Self::Error => "error",
            Self::Garbage => "garbage",
            Self::Refuse => "refuse",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An order to a simulated upstream. What it leaves out stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// How to behave from now on.
    pub mode: Option<Mode>,
    /// How long an answer takes when all is well, in milliseconds.
    pub latency_ms: Option<u64>,
}

/// The order as it is typed, before it is known to make sense.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    mode: Option<String>,
    latency_ms: Option<u64>,
}

/// Why an order was not understood.
#[derive(Debug, thiserror::Error)]
pub enum BadOrder {
    /// No JSON object with the two known keys.
    #[error(
        "the order is not understood ({0}); it looks like {{\"mode\":\"hang\",\"latency_ms\":5}}, either key may be left out"
    )]
    Json(#[from] serde_json::Error),
    /// A mode of another name.
    #[error("there is no mode `{0}`; the modes are ok, slow, hang, reset, error, garbage and refuse")]
    Mode(String),
    /// A latency past the limit.
    #[error("latency_ms is {0}; at most {MAX_LATENCY_MS} is taken. To never answer, use the mode `hang`")]
    Latency(u64),
}

impl Order {
    /// An order that changes the mode alone.
    pub fn mode(mode: Mode) -> Self {
        Self { mode: Some(mode), latency_ms: None }
    }

    /// Reads the body of a `PUT`.
    ///
    /// # Errors
    /// [`BadOrder`] says what is wrong with it and how an order looks.
    pub fn parse(body: &[u8]) -> Result<Self, BadOrder> {
        let typed: Typed = serde_json::from_slice(body)?;
        let mode = match typed.mode {
            Some(name) => Some(Mode::from_name(&name).ok_or(BadOrder::Mode(name))?),
            None => None,
        };
        match typed.latency_ms {
            Some(latency) if latency > MAX_LATENCY_MS => Err(BadOrder::Latency(latency)),
            latency_ms => Ok(Self { mode, latency_ms }),
        }
    }
}

/// What a simulated upstream does at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conduct {
    /// How it behaves.
    pub mode: Mode,
    /// How long an answer takes when all is well, in milliseconds.
    pub latency_ms: u64,
}

impl Conduct {
    /// The conduct after an order.
    #[must_use]
    pub fn after(self, order: Order) -> Self {
        Self { mode: order.mode.unwrap_or(self.mode), latency_ms: order.latency_ms.unwrap_or(self.latency_ms) }
    }

    /// How long this one answer takes: the latency and up to a quarter more, as on a real network.
    pub fn delay(self) -> Duration {
        let factor = if self.mode == Mode::Slow { 10.0 } else { 1.0 };
        let millis = Duration::from_millis(self.latency_ms).mul_f64(factor);
        millis.mul_f64(1.0 + 0.25 * fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_key_may_be_left_out() {
        let order = Order::parse(br#"{"mode":"hang","latency_ms":5}"#).unwrap();
        assert_eq!(order, Order { mode: Some(Mode::Hang), latency_ms: Some(5) });
        let conduct = Conduct { mode: Mode::Hang, latency_ms: 5 };
        assert_eq!(conduct.after(Order::parse(br#"{"latency_ms":70}"#).unwrap()).mode, Mode::Hang);
        assert_eq!(conduct.after(Order::parse(br#"{"mode":"ok"}"#).unwrap()).latency_ms, 5);
        assert_eq!(conduct.after(Order::parse(b"{}").unwrap()), conduct);
    }

    #[test]
    fn a_bad_order_says_what_would_be_right() {
        let complaint = |body: &[u8]| Order::parse(body).unwrap_err().to_string();
        assert!(complaint(br#"{"mode":"dead"}"#).contains("no mode `dead`; the modes are ok, slow"));
        assert!(complaint(br#"{"latency_ms":70000}"#).contains("at most 60000"));
        assert!(complaint(br#"{"latency_ms":-1}"#).contains("it looks like"));
        assert!(complaint(br#"{"speed":1}"#).contains("unknown field `speed`"));
        assert!(complaint(b"").contains("it looks like {\"mode\""));
    }

    #[test]
    fn slow_is_ten_times_the_latency() {
        for _ in 0..100 {
            let ok = Conduct { mode: Mode::Ok, latency_ms: 8 }.delay();
            let slow = Conduct { mode: Mode::Slow, latency_ms: 8 }.delay();
            assert!((8..=10).contains(&ok.as_millis()), "{ok:?}");
            assert!((80..=100).contains(&slow.as_millis()), "{slow:?}");
        }
    }
}
