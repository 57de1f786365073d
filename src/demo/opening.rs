//! What the spectator is told before the picture starts: what runs where, and what to try.

use super::DemoOptions;
use super::calls::RATE;

/// A number that both name vendors know.
const SAMPLE: &str = "13035550126";

/// The text.
pub fn text(options: &DemoOptions) -> String {
    let DemoOptions { http, admin, simulator, .. } = options;
    let upstreams: Vec<_> = simulator
        .addresses()
        .into_iter()
        .map(|((lookup, upstream), address)| format!("{lookup}/{upstream} {address}"))
        .collect();
    format!(
        "dipcache demo: the proxy, its vendors and {RATE} calls a second, in one process on loopback. Nothing leaves this machine.

  lookups    http://{http}     curl -i http://{http}/v1/lookup/cnam/{SAMPLE}
  flags                              curl http://{http}/v1/health
  admin      http://{admin}     curl http://{admin}/metrics
  upstreams  {}

Break one yourself (modes: ok slow hang reset error garbage refuse); Ctrl-C ends the demo:
             curl -X PUT http://{admin}/v1/sim/lrn/vendor-a -d '{{\"mode\":\"hang\"}}'",
        upstreams.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::vendors::Subscriber;

    #[test]
    fn the_number_to_try_has_a_name() {
        assert!(Subscriber::of(&SAMPLE[1..]).unwrap().name.is_some());
    }
}
