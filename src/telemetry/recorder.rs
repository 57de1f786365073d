//! The one place where `metrics` is tied to Prometheus' text format.

use std::sync::LazyLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::telemetry::histogram;

/// `None` only where somebody else has installed a recorder before us, as a program that embeds us might.
static HANDLE: LazyLock<Option<PrometheusHandle>> = LazyLock::new(|| {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).ok()?;
    metrics::gauge!("dipcache_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Some(handle)
});

/// Installs the recorder; the first call does, later ones do nothing. Handles made before it count nowhere.
pub fn install() {
    LazyLock::force(&HANDLE);
}

/// All metrics in Prometheus' text format.
pub fn render() -> String {
    let mut text = HANDLE.as_ref().map(PrometheusHandle::render).unwrap_or_default();
    histogram::render(&mut text);
    text
}
